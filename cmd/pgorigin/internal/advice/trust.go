package advice

import (
	"fmt"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// Verification says in one line what the upstream of o has to prove.
func Verification(o *config.Origin) string {
	name := o.TLS.ServerName
	if name == "" {
		name = "the host of the address"
	}
	texts := []string{o.TLS.Verify + ": chain and the name " + safetext.Printable(name)}
	if o.TLS.Verify == config.VerifyCA {
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

// Roots says where the certificates come from that o trusts.
func Roots(o *config.Origin, sources []tlsorigin.RootSource) []string {
	texts := []string{}
	for _, source := range sources {
		texts = append(texts, rootText(o, source))
	}
	return texts
}

func rootText(o *config.Origin, source tlsorigin.RootSource) string {
	if source.Setting == "" {
		return strings.TrimSpace("system roots " + source.Path)
	}
	text := strings.TrimSpace(o.FieldVariable(source.Setting) + " " + safetext.Printable(source.Path))
	switch {
	case source.Unreadable:
		text += " (not found)"
	case source.Certificates == 1:
		text += " (1 certificate)"
	case source.Certificates > 1:
		text += fmt.Sprintf(" (%d certificates)", source.Certificates)
	}
	return text
}

// Warning returns a warning of the dialer of o in words.
func Warning(o *config.Origin, w tlsorigin.Warning) string {
	name := o.FieldVariable(w.Field)
	if w.Value != "" {
		name += " " + safetext.Quote(w.Value)
	}
	return name + ": " + w.Text
}

// Warnings returns what is odd about o: found, the warnings of its dialer.
func Warnings(o *config.Origin, found []tlsorigin.Warning) []config.Warning {
	var warnings []config.Warning
	for _, w := range found {
		warnings = append(warnings, config.Warning{Origin: o.Name(), Text: Warning(o, w)})
	}
	return warnings
}
