package main

import (
	"fmt"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// roots says in words where the certificates come from that o trusts.
func (o *origin) roots() []string {
	texts := []string{}
	for _, source := range o.dialer.Roots() {
		texts = append(texts, o.settings.rootText(source))
	}
	return texts
}

func (o *OriginSettings) rootText(source tlsorigin.RootSource) string {
	switch source.Setting {
	case "CAFile":
		return o.rename(prefix+"TLS_CA_FILE") + " " + printable(source.Path) + countText(source.Certificates)
	case "CAPEM":
		return o.rename(prefix+"TLS_CA_PEM") + countText(source.Certificates)
	case "":
		return strings.TrimSpace("system roots " + source.Path)
	}
	text := source.Setting + " " + printable(source.Path)
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

// verification says in one line what an upstream of o has to prove.
func (o *OriginSettings) verification() string {
	name := o.TLS.ServerName
	if name == "" {
		name = "the host of the address"
	}
	texts := []string{string(o.TLS.Verify) + ": chain and the name " + printable(name)}
	if o.TLS.Verify == verifyCA {
		texts = []string{string(o.TLS.Verify) + ": chain, no name"}
	}
	if n := len(o.TLS.Pins); n > 0 {
		texts = append(texts, fmt.Sprintf("one of %d pinned keys", n))
	}
	if o.TLS.CRL.File != "" {
		texts = append(texts, "not revoked by "+printable(o.TLS.CRL.File))
	}
	return strings.Join(append(texts, "TLS "+o.TLS.MinVersion.String()+" or later"), ", ")
}

// trustOf logs what an origin verifies, and against which roots.
type trustOf struct{ *origin }

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (t trustOf) MarshalLogObject(out zapcore.ObjectEncoder) error {
	out.AddString("verification", t.settings.verification())
	zap.Strings("roots", t.roots()).AddTo(out)
	return nil
}

// showRoots puts into list, for origins without a CA of their own, where their roots come from.
func (in *instance) showRoots(list []shownSetting) {
	for _, o := range in.origins {
		if o.settings.TLS.CA.File != "" || o.settings.TLS.CA.PEM != "" {
			continue
		}
		for i := range list {
			if list[i].Origin == o.settings.name && strings.HasSuffix(list[i].Variable, "_TLS_CA_FILE") {
				list[i].Unset = strings.Join(o.roots(), ", ")
				for _, source := range o.dialer.Roots() {
					if source.Setting != "" {
						list[i].From = source.Setting
					}
				}
			}
		}
	}
}
