package keypair

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

const serviceName = "pgorigin-webhook.pgorigin.svc"

// pairRig is a Pair in a synctest bubble, with its files.
type pairRig struct {
	*Pair
	ca      *tlstest.CA
	folder  string
	reloads []error
}

func newPairRig(t *testing.T, first tlstest.Leaf) *pairRig {
	t.Helper()
	r := &pairRig{ca: tlstest.NewCA("webhook CA", tlstest.P256), folder: t.TempDir()}
	r.write(t, first)
	var err error
	r.Pair, err = Open(t.Context(), filepath.Join(r.folder, "tls.crt"), filepath.Join(r.folder, "tls.key"),
		serviceName, func(err error) { r.reloads = append(r.reloads, err) })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// write replaces the files.
func (r *pairRig) write(t *testing.T, leaf tlstest.Leaf) {
	t.Helper()
	if leaf.DNSNames == nil {
		leaf.DNSNames = []string{serviceName}
	}
	if _, _, err := r.ca.Issue(leaf).WriteFiles(r.folder, "tls"); err != nil {
		t.Fatal(err)
	}
}

// want looks at the files, as a new connection does, and compares which certificate is shown, and what is wrong with it.
func (r *pairRig) want(t *testing.T, name, unusable, wrong string) {
	t.Helper()
	_ = r.Load(t.Context())
	_, state := r.State()
	if got := r.used.certificate.Leaf.Subject.CommonName; got != name {
		t.Errorf("certificate %q is shown, want %q", got, name)
	}
	for what, pair := range map[string][2]string{
		"unusable": {textOf(r.Usable()), unusable}, "state": {textOf(state), wrong},
	} {
		if got, want := pair[0], pair[1]; (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func in(d time.Duration) time.Time { return time.Now().Add(d) }

// A certificate that expires while it is in use makes the webhook unready. A renewed one is taken up.
func TestKeyPairExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPairRig(t, tlstest.Leaf{CommonName: "first", NotAfter: in(time.Hour)})
		r.want(t, "first", "", "")
		if until, _ := r.State(); !until.Equal(in(time.Hour)) {
			t.Errorf("it expires at %s", until)
		}
		time.Sleep(time.Hour + time.Second)
		expired := "tls.crt expired at 2000-01-01T01:00:00Z: renew it"
		r.want(t, "first", expired, expired)
		r.write(t, tlstest.Leaf{CommonName: "second"})
		r.want(t, "second", "", "")
		if len(r.reloads) != 1 || r.reloads[0] != nil {
			t.Errorf("reloads %v", r.reloads)
		}
	})
}

// A new certificate that API servers would refuse does not replace one that they accept, and is reported once.
func TestKeyPairKeepsTheUsableOne(t *testing.T) {
	for _, c := range []struct {
		about string
		next  tlstest.Leaf
		wrong string
	}{
		{"expired", tlstest.Leaf{NotAfter: time.Unix(0, 0)}, "tls.crt expired at 1970-01-01T00:00:00Z: renew it"},
		{
			"not yet valid",
			tlstest.Leaf{NotBefore: time.Date(2000, 1, 1, 3, 0, 0, 0, time.UTC)},
			"tls.crt is valid from 2000-01-01T03:00:00Z on, and here it is 2000-01-01T00:00:00Z: check the clock",
		},
		{
			"of another service",
			tlstest.Leaf{DNSNames: []string{"web.shop.svc"}},
			"tls.crt does not have the name " + serviceName + ", by which clients call this server: x509: certificate is valid for web.shop.svc",
		},
		{
			"of a client",
			tlstest.Leaf{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
			"tls.crt is not for servers",
		},
	} {
		t.Run(c.about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newPairRig(t, tlstest.Leaf{CommonName: "first", NotAfter: in(2 * time.Hour)})
				c.next.CommonName = "next"
				r.write(t, c.next)
				r.want(t, "first", "", c.wrong)
				r.want(t, "first", "", c.wrong)
				if len(r.reloads) != 1 || r.reloads[0] == nil {
					t.Errorf("reloads %v", r.reloads)
				}
				time.Sleep(2*time.Hour + time.Second) // now both are useless, and the newer one is shown
				_ = r.Load(t.Context())
				if got := r.used.certificate.Leaf.Subject.CommonName; got != "next" || r.Usable() == nil {
					t.Errorf("certificate %q is shown, unusable %v", got, r.Usable())
				}
			})
		})
	}
}

// A certificate that becomes valid while its files stay the same is taken up.
func TestKeyPairBecomesValid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPairRig(t, tlstest.Leaf{CommonName: "first", NotAfter: in(2 * time.Hour)})
		r.write(t, tlstest.Leaf{CommonName: "next", NotBefore: in(time.Hour)})
		r.want(t, "first", "", "tls.crt is valid from")
		time.Sleep(time.Hour)
		r.want(t, "next", "", "")
	})
}

// The chain is as good as its first certificate to expire. Without a certificate that API servers accept, the webhook
// starts and is not ready: it is to take up the next one, and to be seen by those who watch.
func TestKeyPairStartsExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := tlstest.NewCA("root", tlstest.P256)
		intermediate := root.Authority(tlstest.Authority{Name: "intermediate", Template: func(c *x509.Certificate) { c.NotAfter = in(time.Hour) }})
		folder := t.TempDir()
		cert, key, err := intermediate.Issue(tlstest.Leaf{DNSNames: []string{serviceName}}).WriteFiles(folder, "tls")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour + time.Second)
		pair, err := Open(t.Context(), cert, key, serviceName, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := textOf(pair.Usable()); !strings.Contains(got, "expired at 2000-01-01T01:00:00Z") {
			t.Errorf("unusable: %q", got)
		}
	})
}

// TestKeysForTLS: a key with which no handshake can succeed is an error at the start, and no reason to drop a good one.
func TestKeysForTLS(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0") // to make keys that are too small
	key := func(signer crypto.Signer, err error) crypto.Signer {
		if err != nil {
			t.Fatal(err)
		}
		return signer
	}
	_, ed25519Key, err := ed25519.GenerateKey(rand.Reader)
	for _, c := range []struct {
		name  string
		key   crypto.Signer
		wrong string
	}{
		{"RSA 512", key(rsa.GenerateKey(rand.Reader, 512)), "cannot be used for TLS: its RSA key has 512 bits"},
		{"RSA 1024", key(rsa.GenerateKey(rand.Reader, 1024)), ""},
		{"RSA 2048", key(rsa.GenerateKey(rand.Reader, 2048)), ""},
		{"Ed25519", key(ed25519Key, err), ""},
		{"P-224", key(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)), "cannot be used for TLS: tls: "},
		{"P-384", key(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)), ""},
		{"P-521", key(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)), ""},
	} {
		r := newPairRig(t, tlstest.Leaf{CommonName: "first"})
		r.write(t, tlstest.Leaf{CommonName: c.name, Signer: c.key})
		_, err := Open(t.Context(), r.certFile, r.keyFile, "", nil)
		if got := textOf(err); (c.wrong == "") != (got == "") || !strings.Contains(got, c.wrong) {
			t.Errorf("%s: %q, want %q", c.name, got, c.wrong)
		}
		shown := c.name
		if c.wrong != "" {
			shown = "first"
		}
		r.want(t, shown, "", c.wrong)
	}
}
