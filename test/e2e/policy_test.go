package e2e

import (
	"crypto/x509"
	"net"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// The settings of the policy, as a client in front of the shared servers meets them.
func TestPolicySettings(t *testing.T) {
	served := shared.postgres.Certificate.Leaf
	clean := writeFile(t, "clean.crl", tlstest.CRLPEM(shared.lab.CA.CRL(tlstest.CRL{})))
	revoked := writeFile(t, "revoked.crl", tlstest.CRLPEM(shared.lab.CA.CRL(tlstest.CRL{Revoked: []*x509.Certificate{served}, Reason: 1})))
	stranger := writeFile(t, "stranger.crl", tlstest.CRLPEM(tlstest.NewCA("a stranger's CA", tlstest.P256).CRL(tlstest.CRL{})))
	otherPin := tlsorigin.Pin(tlstest.NewCA("other", tlstest.P256).Cert)
	for name, row := range map[string]struct {
		env    []string
		reason string // empty: a login works
		words  []string
	}{
		"any name with verify-ca":     {[]string{"PGORIGIN_TLS_VERIFY=verify-ca", "PGORIGIN_TLS_SERVER_NAME=db.elsewhere.test"}, "", nil},
		"not on a list":               {[]string{"PGORIGIN_TLS_CRL_FILE=" + clean}, "", nil},
		"pinned, the root":            {[]string{"PGORIGIN_TLS_PINS=" + otherPin + "," + tlsorigin.Pin(shared.lab.CA.Cert)}, "", nil},
		"pinned, and a list, any one": {[]string{"PGORIGIN_TLS_PINS=" + tlsorigin.Pin(served), "PGORIGIN_TLS_CRL_FILE=" + clean, "PGORIGIN_TLS_VERIFY=verify-ca"}, "", nil},
		"revoked":                     {[]string{"PGORIGIN_TLS_CRL_FILE=" + revoked}, "cert_revoked", []string{"serial number", "keyCompromise"}},
		"revoked, any name":           {[]string{"PGORIGIN_TLS_CRL_FILE=" + revoked, "PGORIGIN_TLS_VERIFY=verify-ca"}, "cert_revoked", nil},
		"no list of that authority":   {[]string{"PGORIGIN_TLS_CRL_FILE=" + stranger}, "crl_missing", []string{"no CRL of its issuer"}},
		"pinned otherwise":            {[]string{"PGORIGIN_TLS_PINS=" + otherPin}, "cert_pin_mismatch", []string{tlsorigin.Pin(served)}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			origin := startOrigin(t, shared.postgres.Addr, row.env...)
			if row.reason == "" {
				mustExec(ctx, t, connect(ctx, t, origin.Addr), "SELECT 1")
				return
			}
			answer := refusal(ctx, t, origin.Addr)
			for _, word := range row.words {
				if !strings.Contains(answer.Message, word) {
					t.Errorf("the message %q lacks %q", answer.Message, word)
				}
			}
			if answer.Code != "08001" || !strings.Contains(answer.Hint, "PGORIGIN_") {
				t.Errorf("a client is told %s, with the hint %q", answer.Code, answer.Hint)
			}
			session, err := origin.AwaitSession(ctx, `"reason":"`+row.reason+`"`)
			if err != nil {
				t.Fatal(err)
			}
			if session["cert_serial"] == "" || session["cert_sha256"] != tlsorigin.Fingerprint(served) {
				t.Errorf("the log says of the certificate: %v, %v", session["cert_serial"], session["cert_sha256"])
			}
		})
	}
}

// verify-ca accepts any name, and no other chain.
func TestVerifyCARefusesAStranger(t *testing.T) {
	ctx := testContext(t)
	stranger := tlstest.NewCA("a stranger's CA", tlstest.P256).Issue(tlstest.Leaf{
		DNSNames: []string{servers.ServerName}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
	bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{Certificate: stranger})
	if err != nil {
		t.Fatal(err)
	}
	defer bouncer.Stop()
	origin := startOrigin(t, bouncer.Addr, "PGORIGIN_TLS_VERIFY=verify-ca")
	if answer := refusal(ctx, t, origin.Addr); answer.Code != "08001" {
		t.Errorf("a client is told %s %s", answer.Code, answer.Message)
	}
	if _, err := origin.AwaitSession(ctx, `"reason":"cert_unknown_authority"`); err != nil {
		t.Error(err)
	}
	if lines := bouncer.Log.Lines("login attempt"); len(lines) > 0 {
		t.Errorf("a login in spite of an unknown authority: %q", lines)
	}
}
