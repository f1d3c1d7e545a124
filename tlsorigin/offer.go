package tlsorigin

import (
	"crypto/tls"
	"slices"
)

// Offer narrows what an observed handshake offers, and nothing else. It cannot offer what a connection would
// not. What the upstream must prove stays the same.
type Offer struct {
	Groups       []tls.CurveID // key-exchange groups; nil means those of a connection
	MaxVersion   uint16        // zero means that of a connection
	CipherSuites []uint16      // of TLS 1.2; nil means those of a connection
	NoServerName bool          // no SNI
	NoProtocols  bool          // no ALPN; direct TLS has it all the same
}

// narrow changes config, which is that of a connection.
func (o *Offer) narrow(config *tls.Config, direct bool) {
	config.MaxVersion = o.MaxVersion
	if o.CipherSuites != nil {
		config.CipherSuites = intersection(o.CipherSuites, config.CipherSuites)
	}
	if o.NoServerName {
		config.ServerName = ""
	}
	if o.NoProtocols && !direct {
		config.NextProtos = nil
	}
}

// intersection returns those of wanted that are also in allowed. It is never nil: nil would mean every suite.
func intersection(wanted, allowed []uint16) []uint16 {
	both := []uint16{}
	for _, id := range wanted {
		if slices.Contains(allowed, id) {
			both = append(both, id)
		}
	}
	return both
}
