package tlsorigin

import (
	"crypto/x509"
	"maps"
	"path/filepath"
	"sync"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// secret is what a Secret holds: a CA bundle and a client certificate with its key.
func secret(ca *tlstest.CA, client *tlstest.Pair) map[string][]byte {
	return map[string][]byte{"ca.crt": ca.PEM(), "tls.crt": client.CertPEM(), "tls.key": client.KeyPEM()}
}

func issueClient(ca *tlstest.CA) *tlstest.Pair {
	return ca.Issue(tlstest.Leaf{CommonName: "app", ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// rotation is a Dialer over a mounted Secret.
type rotation struct {
	*Dialer
	*tlstest.Mount
	files map[string][]byte // at first

	mu      sync.Mutex
	reports []report
}

type report struct {
	found Reloaded
	err   error
}

func newRotation(t *testing.T, files map[string][]byte, change func(*Config), addrs ...string) *rotation {
	t.Helper()
	mount, err := tlstest.NewMount(filepath.Join(t.TempDir(), "secret"), files)
	if err != nil {
		t.Fatal(err)
	}
	r := &rotation{Mount: mount, files: files}
	cfg := Config{
		Addrs: append(addrs, "127.0.0.1:1")[:max(1, len(addrs))], ServerName: testName,
		CAFile: mount.Path("ca.crt"), CertFile: mount.Path("tls.crt"), KeyFile: mount.Path("tls.key"),
		Trace: &Trace{Reloaded: func(found Reloaded, err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.reports = append(r.reports, report{found, err})
		}},
	}
	if change != nil {
		change(&cfg)
	}
	if r.Dialer, err = NewDialer(cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

// taken returns the reports so far and forgets them.
func (r *rotation) taken() []report {
	r.mu.Lock()
	defer r.mu.Unlock()
	reports := r.reports
	r.reports = nil
	return reports
}

// swap replaces all files, those of changes by others.
func (r *rotation) swap(t *testing.T, changes map[string][]byte) {
	t.Helper()
	files := maps.Clone(r.files)
	maps.Copy(files, changes)
	maps.DeleteFunc(files, func(_ string, data []byte) bool { return data == nil })
	if err := r.Swap(files); err != nil {
		t.Fatal(err)
	}
}
