package config

import (
	"errors"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// DialerConfig returns the settings of o, one of the origins of s, for tlsorigin.
func (s *Config) DialerConfig(o *Origin, trace *tlsorigin.Trace) tlsorigin.Config {
	return tlsorigin.Config{
		Addrs:       o.Upstream.Addr,
		Resolver:    o.Upstream.Resolver,
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

// DialerProblems returns the problems in err, which tlsorigin.NewDialer returned for o. It leaves out the
// variables in found: a value that does not parse did not reach NewDialer, and an inherited value is wrong
// once.
func (o *Origin) DialerProblems(err error, found []Problem) []Problem {
	var problems []Problem
	for _, e := range unjoin(err) {
		p := Problem{Variable: Prefix + "*", Text: e.Error()}
		var wrong *tlsorigin.ConfigError
		var v Variable
		if errors.As(e, &wrong) {
			v, _ = dialerVariable(wrong.Field)
			p = Problem{
				Variable: o.Variable(v.Word), Value: wrong.Value, File: v.File != NoFile,
				Text: wrong.Text(o.FieldVariable),
			}
			if wrong.Problem != tlsorigin.ProblemExcluded { // which says what to leave out
				p.Text += "; " + v.Cure
			}
			if v.File == FileWatched && wrong.Problem == tlsorigin.ProblemUnusable {
				p.Fault = faultOf(e)
			}
			if v.Secret { // it may be a key, by mistake
				p.Value = ""
			}
		}
		if v.Word == "UPSTREAM_ADDR" && mentions(found, o.own("UPSTREAM_URL")) {
			continue // nobody knows the address in a URL that is wrong
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

// FieldVariable returns the variable of a field of tlsorigin.Config, or the field if there is none.
func (o *Origin) FieldVariable(field string) string {
	v, ok := dialerVariable(field)
	if !ok {
		return field
	}
	return o.Variable(v.Word)
}
