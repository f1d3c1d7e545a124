package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// DialerConfig returns the settings of o, one of the origins of s, for tlsorigin.
func (s *Config) DialerConfig(o *Origin, trace *tlsorigin.Trace) tlsorigin.Config {
	return tlsorigin.Config{
		Addrs:       o.Upstream.Addr,
		ServerName:  o.TLS.ServerName,
		CAFile:      o.TLS.CAFile,
		CAPEM:       o.TLS.CAPem,
		VerifyCA:    o.TLS.Verify == VerifyCA,
		CRLFile:     o.TLS.CRLFile,
		Pins:        o.TLS.Pins,
		CertFile:    o.TLS.CertFile,
		KeyFile:     o.TLS.KeyFile,
		MinVersion:  uint16(o.TLS.MinVersion),
		Groups:      o.TLS.Groups,
		PostQuantum: o.TLS.PostQuantum,
		Negotiation: o.TLS.Negotiation,
		ResumeFor:   o.TLS.ResumeFor,
		Timeout:     s.DialTimeout,
		Trace:       trace,
	}
}

// ChannelBinding returns AUTH_CHANNEL_BINDING for pgwire.
func (o *Origin) ChannelBinding() pgwire.ChannelBinding {
	switch o.Auth.ChannelBinding {
	case "pass":
		return pgwire.PassChannelBinding
	case "bridge":
		return pgwire.BridgeChannelBinding
	}
	return pgwire.StripChannelBinding
}

// AuthMethods returns the methods that the upstream may ask for; zero is any.
func (o *Origin) AuthMethods() pgwire.AuthMethods {
	return o.ChannelBinding().Methods(pgwire.AuthMethods(o.Auth.Require))
}

// DialerProblems returns the problems in err, which tlsorigin.NewDialer returned for o. It leaves out the variables in
// found: a value that does not parse did not reach NewDialer, and an inherited value is wrong once.
func (o *Origin) DialerProblems(err error, found []Problem) []Problem {
	var problems []Problem
	for _, e := range unjoin(err) {
		p := Problem{Variable: Prefix + "*", Text: e.Error()}
		var wrong *tlsorigin.ConfigError
		if errors.As(e, &wrong) {
			v, _ := dialerVariable(wrong.Field)
			p = Problem{Variable: o.Variable(v.Word), Value: wrong.Value, Text: wrong.Text(o.fieldName) + "; " + v.Cure, File: v.File != NoFile}
			if v.Secret { // it may be a key, by mistake
				p.Value = ""
			}
		}
		if !mentions(found, p.Variable) {
			problems = append(problems, p)
		}
	}
	return problems
}

// unjoin returns the errors that errors.Join put together.
func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// fieldName returns the variable of a field of tlsorigin.Config, or the field if there is none.
func (o *Origin) fieldName(field string) string {
	v, ok := dialerVariable(field)
	if !ok {
		return field
	}
	return o.Variable(v.Word)
}

// WarningText returns a warning in words.
func (o *Origin) WarningText(w tlsorigin.Warning) string {
	name := o.fieldName(w.Field)
	if w.Value != "" {
		name += " " + safetext.Quote(w.Value)
	}
	return name + ": " + w.Text
}

// DialerWarnings returns what is odd about o: found, the warnings of its dialer, and too many spares.
func (o *Origin) DialerWarnings(found []tlsorigin.Warning) []Warning {
	var warnings []Warning
	for _, w := range found {
		warnings = append(warnings, Warning{Origin: o.Name(), Text: o.WarningText(w)})
	}
	const share = 10
	if o.WarmSpares > 1 && o.MaxSessions > 0 && o.WarmSpares*share > o.MaxSessions {
		warnings = append(warnings, Warning{o.Name(), fmt.Sprintf("%s=%d is more than a tenth of %s=%d: connections that the "+
			"upstream holds open unused", o.Variable("WARM_SPARES"), o.WarmSpares, o.Variable("MAX_SESSIONS"), o.MaxSessions)})
	}
	return warnings
}

// RootText says where trusted certificates come from.
func (o *Origin) RootText(source tlsorigin.RootSource) string {
	switch source.Setting {
	case "CAFile":
		return o.Variable("TLS_CA_FILE") + " " + safetext.Printable(source.Path) + countText(source.Certificates)
	case "CAPEM":
		return o.Variable("TLS_CA_PEM") + countText(source.Certificates)
	case "":
		return strings.TrimSpace("system roots " + source.Path)
	}
	text := source.Setting + " " + safetext.Printable(source.Path)
	if source.Unreadable {
		text += " (not found)"
	}
	return text
}

func countText(n int) string {
	if n == 1 {
		return " (1 certificate)"
	}
	return fmt.Sprintf(" (%d certificates)", n)
}

// Verification says in one line what the upstream of o has to prove.
func (o *Origin) Verification() string {
	name := o.TLS.ServerName
	if name == "" {
		name = "the host of the address"
	}
	texts := []string{o.TLS.Verify + ": chain and the name " + safetext.Printable(name)}
	if o.TLS.Verify == VerifyCA {
		texts = []string{o.TLS.Verify + ": chain, no name"}
	}
	if n := len(o.TLS.Pins); n > 0 {
		texts = append(texts, fmt.Sprintf("one of %d pinned keys", n))
	}
	if o.TLS.CRLFile != "" {
		texts = append(texts, "not revoked by "+safetext.Printable(o.TLS.CRLFile))
	}
	return strings.Join(append(texts, "TLS "+o.TLS.MinVersion.String()+" or later"), ", ")
}
