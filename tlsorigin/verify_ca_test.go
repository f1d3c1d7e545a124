package tlsorigin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func withoutName(c *Config) { c.VerifyCA = true }

func TestVerifyCALeavesOutTheNameOnly(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	between := ca.Intermediate("Intermediate", tlstest.P521)
	for name, pair := range map[string]*tlstest.Pair{
		"right name":       ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}),
		"other name":       ca.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}}),
		"no name":          ca.Issue(tlstest.Leaf{}),
		"intermediate":     between.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}}),
		"name in the CN":   ca.Issue(tlstest.Leaf{CommonName: "other.test"}),
		"any usage":        ca.Issue(tlstest.Leaf{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}),
		"no usage at all":  ca.Issue(tlstest.Leaf{ExtKeyUsage: []x509.ExtKeyUsage{}, KeyUsage: tlstest.NoKeyUsage}),
		"the anchor alone": nil,
	} {
		t.Run(name, func(t *testing.T) {
			change := withoutName
			if pair == nil {
				pair = ca.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}})
				change = func(c *Config) { c.VerifyCA, c.CAPEM = true, string(pair.CertPEM()) }
			}
			p := peertest.Start(t, peertest.Presents(pair))
			var seen Attempt
			conn, err := newTestDialer(t, ca, func(c *Config) {
				change(c)
				c.Trace = &Trace{Attempt: func(a Attempt) { seen = a }}
			}, p.Addr).Dial(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(seen.State.VerifiedChains) != 1 {
				t.Errorf("the trace sees %d verified chains", len(seen.State.VerifiedChains))
			}
			peertest.CheckEcho(t, conn)
			conn.Close()
			peertest.CheckOnlyTLS(t, p.Received(t))
		})
	}
}

// What verify-full refuses for another reason than the name, verify-ca refuses for the same, in TLS 1.2 and
// 1.3.
func TestVerifyCARefusesTheRest(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P521)
	for _, row := range peertest.BadCertificates(ca) {
		if Reason(row.Reason) == ReasonCertNameMismatch {
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			t.Parallel()
			p := peertest.Start(t, row.Script)
			failure := dialFailure(t, newTestDialer(t, ca, withoutName, p.Addr))
			if failure.Kind != Reason(row.Reason) {
				t.Errorf("reason %s, want %s (%v)", failure.Kind, row.Reason, failure)
			}
			if failure.ExpectedName != "" || strings.Contains(failure.Error(), "not \"db.test\"") {
				t.Errorf("the name is mentioned although it does not matter: %v", failure)
			}
			peertest.CheckOnlyTLS(t, p.Received(t))
		})
	}
}

func TestVerifyCAFailsClosed(t *testing.T) {
	ca, stranger := tlstest.NewCA("Test Root", tlstest.P256), tlstest.NewCA("Test Root", tlstest.P256)
	trusting := newTestDialer(t, ca, withoutName, "db.test:6432").state.Load()
	good := ca.Issue(tlstest.Leaf{}).Leaf
	clients := ca.Issue(tlstest.Leaf{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}).Leaf
	expired := ca.Issue(tlstest.Leaf{NotAfter: time.Now().Add(-time.Hour)}).Leaf
	for name, sent := range map[string][]*x509.Certificate{
		"empty chain":          {},
		"another CA":           {stranger.Issue(tlstest.Leaf{}).Leaf},
		"another CA sent, too": {stranger.Issue(tlstest.Leaf{}).Leaf, stranger.Cert, ca.Cert},
		"a good one behind it": {stranger.Issue(tlstest.Leaf{}).Leaf, good, ca.Cert},
		"expired":              {expired},
		"for clients only":     {clients},
		"nothing parsed":       {new(x509.Certificate)},
	} {
		t.Run(name, func(t *testing.T) {
			// As crypto/tls calls it, and as it would if it believed that the chain is verified.
			for _, state := range []tls.ConnectionState{
				{PeerCertificates: sent}, {PeerCertificates: sent, VerifiedChains: [][]*x509.Certificate{{good, ca.Cert}}, HandshakeComplete: true},
			} {
				v := &verification{policy: trusting.policy}
				if err := v.verify(state); err == nil || v.chains != nil {
					t.Error("accepted")
				}
			}
		})
	}
	v := &verification{policy: trusting.policy}
	if err := v.verify(tls.ConnectionState{PeerCertificates: []*x509.Certificate{good}}); err != nil || len(v.chains) != 1 {
		t.Errorf("a good chain: %v", err)
	}
}

// A configuration that belongs to no connection accepts nobody, and a connection that nobody has verified is
// not used.
func TestVerificationCannotBeLost(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	pair := ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})
	p := peertest.Start(t, peertest.Presents(pair))
	d := newTestDialer(t, ca, nil, p.Addr)
	trusting := d.state.Load()
	for _, state := range []tls.ConnectionState{{}, {PeerCertificates: []*x509.Certificate{pair.Leaf}}} {
		if err := trusting.template.VerifyConnection(state); err == nil {
			t.Error("the template accepts a peer")
		}
	}
	a := d.newAttempt(route{host: p.Addr, dial: p.Addr, name: testName}, trusting, time.Minute, options{})
	a.observe = func(config *tls.Config) { config.VerifyConnection = nil }
	conn, failure := a.run(t.Context(), newNetDialer().DialContext)
	if conn != nil || failure == nil || failure.Kind != ReasonCertInvalid {
		t.Errorf("without the hook: %v, %v", conn, failure)
	}
	peertest.CheckOnlyTLS(t, p.Received(t))
}

func TestVerifyCANeedsItsOwnAuthority(t *testing.T) {
	_, err := NewDialer(Config{Addrs: []string{"db.test:6432"}, VerifyCA: true})
	var wrong *ConfigError
	if !errors.As(err, &wrong) || wrong.Field != "VerifyCA" || !strings.Contains(err.Error(), "CAFile") {
		t.Errorf("with the system roots: %v", err)
	}
	d := newTestDialer(t, tlstest.NewCA("Test Root", tlstest.P256), withoutName, "db.test:6432")
	if text := warningTexts(d); !strings.Contains(text, "VerifyCA: the upstream's name is not checked") {
		t.Errorf("warnings %q", text)
	}
}
