package tlsorigin

import (
	"crypto/tls"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// TestAnOfferIsNeverWider: an offer cannot bring back what the configuration rules out.
func TestAnOfferIsNeverWider(t *testing.T) {
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		ServerName:   "db.test", NextProtos: []string{protocolName},
	}
	wide := Offer{
		MaxVersion: tls.VersionTLS12, NoServerName: true, NoProtocols: true,
		CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
	}
	direct := config.Clone()
	wide.narrow(config, false)
	if config.MinVersion != tls.VersionTLS12 || config.MaxVersion != tls.VersionTLS12 || config.ServerName != "" || config.NextProtos != nil ||
		!slices.Equal(config.CipherSuites, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}) {
		t.Errorf("%+v", config)
	}
	if wide.narrow(direct, true); !slices.Equal(direct.NextProtos, []string{protocolName}) {
		t.Errorf("direct TLS without ALPN")
	}
	foreign := Offer{CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}}
	if foreign.narrow(direct, true); direct.CipherSuites == nil || len(direct.CipherSuites) > 0 {
		t.Errorf("cipher suites %v, want none", direct.CipherSuites)
	}
}

// TestAnOfferVerifiesAsMuch: without SNI, the certificate must still have the name, and a stranger is refused.
func TestAnOfferVerifiesAsMuch(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	for name, row := range map[string]struct {
		pair *tlstest.Pair
		want Reason
	}{
		"good":       {ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}), ""},
		"wrong name": {ca.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}}), ReasonCertNameMismatch},
		"stranger":   {tlstest.SelfSigned(tlstest.Leaf{DNSNames: []string{testName}}), ReasonCertUnknownAuthority},
	} {
		for _, offer := range []*Offer{{NoServerName: true}, {NoProtocols: true}, {MaxVersion: tls.VersionTLS12}} {
			p := peertest.Start(t, peertest.Presents(row.pair))
			d := newTestDialer(t, ca, nil, p.Addr)
			addr, err := net.ResolveTCPAddr("tcp", p.Addr)
			if err != nil {
				t.Fatal(err)
			}
			found, err := d.Observe(t.Context(), &Addr{TCP: addr, Host: p.Addr}, 10*time.Second, offer)
			if err != nil {
				t.Fatal(err)
			}
			if found.Conn != nil {
				found.Conn.Close()
			}
			var got Reason
			if found.Err != nil {
				got = found.Err.Kind
			}
			if got != row.want || (found.Conn != nil) != (row.want == "") {
				t.Errorf("%s with %+v: %v, want %q", name, *offer, found.Err, row.want)
			}
		}
	}
}
