package tlsorigin

import (
	"crypto/x509"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// reloadCase is something that happens to files. It is judged by their content alone.
type reloadCase struct {
	name   string
	change func(t *testing.T, r *rotation)
	files  []string      // of the mount that Reload names
	took   time.Duration // to decide
	err    string        // in the error; empty for none
}

// reloadWorld holds what the cases are made of.
type reloadWorld struct {
	ca            *tlstest.CA
	first, second *tlstest.Pair // client certificates; the first is in force
	bundle        []byte        // of ca and another one
}

func newReloadWorld() reloadWorld {
	ca := tlstest.NewCA("Root", tlstest.P256)
	return reloadWorld{ca, issueClient(ca), issueClient(ca), slices.Concat(ca.PEM(), tlstest.NewCA("New Root", tlstest.P256).PEM())}
}

// decidedAtOnce are cases in which the files are in order whenever one looks.
func (w reloadWorld) decidedAtOnce() []reloadCase {
	return []reloadCase{
		{"nothing happens", func(*testing.T, *rotation) {}, nil, 0, ""},
		{"swap to the same content", func(t *testing.T, r *rotation) { r.swap(t, nil) }, nil, 0, ""},
		{"touched", func(t *testing.T, r *rotation) {
			now := time.Now().Add(time.Hour)
			if err := os.Chtimes(r.Path("ca.crt"), now, now); err != nil {
				t.Fatal(err)
			}
		}, nil, 0, ""},
		{"swap of the CA", func(t *testing.T, r *rotation) { r.swap(t, map[string][]byte{"ca.crt": w.bundle}) }, []string{"ca.crt"}, 0, ""},
		{"swap of everything", func(t *testing.T, r *rotation) {
			r.swap(t, map[string][]byte{"ca.crt": w.bundle, "tls.crt": w.second.CertPEM(), "tls.key": w.second.KeyPEM()})
		}, []string{"ca.crt", "tls.crt", "tls.key"}, 0, ""},
		{"rewritten in place, with the same time", func(t *testing.T, r *rotation) {
			info, _ := os.Stat(r.Path("ca.crt"))
			peertest.WriteFile(t, r.Path("ca.crt"), w.second.CertPEM(), 0o600)
			if err := os.Chtimes(r.Path("ca.crt"), info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		}, []string{"ca.crt"}, 0, ""},
	}
}

// decidedLater are cases in which the files are wrong, at first or for good.
func (w reloadWorld) decidedLater() []reloadCase {
	return []reloadCase{
		{"certificate a moment before its key", func(t *testing.T, r *rotation) {
			peertest.WriteFile(t, r.Path("tls.crt"), w.second.CertPEM(), 0o600)
			time.AfterFunc(700*time.Millisecond, func() { peertest.WriteFile(t, r.Path("tls.key"), w.second.KeyPEM(), 0o600) })
		}, []string{"tls.crt", "tls.key"}, 800 * time.Millisecond, ""},
		{"key a moment before its certificate", func(t *testing.T, r *rotation) {
			peertest.WriteFile(t, r.Path("tls.key"), w.second.KeyPEM(), 0o600)
			time.AfterFunc(1700*time.Millisecond, func() { peertest.WriteFile(t, r.Path("tls.crt"), w.second.CertPEM(), 0o600) })
		}, []string{"tls.crt", "tls.key"}, 1800 * time.Millisecond, ""},
		{"certificate without its key", func(t *testing.T, r *rotation) {
			r.swap(t, map[string][]byte{"tls.crt": w.second.CertPEM()})
		}, []string{"tls.crt"}, 2 * time.Second, "KeyFile"},
		{"CA half written at first", func(t *testing.T, r *rotation) {
			peertest.WriteFile(t, r.Path("ca.crt"), w.bundle[:len(w.bundle)-100], 0o600)
			time.AfterFunc(500*time.Millisecond, func() { peertest.WriteFile(t, r.Path("ca.crt"), w.bundle, 0o600) })
		}, []string{"ca.crt"}, 600 * time.Millisecond, ""},
		{"truncated CA", func(t *testing.T, r *rotation) {
			r.swap(t, map[string][]byte{"ca.crt": w.bundle[:len(w.bundle)-100]})
		}, []string{"ca.crt"}, 2 * time.Second, "truncated"},
		{"empty CA", func(t *testing.T, r *rotation) { r.swap(t, map[string][]byte{"ca.crt": {}}) }, []string{"ca.crt"}, 2 * time.Second, "is empty"},
		{"missing CA", func(t *testing.T, r *rotation) { r.swap(t, map[string][]byte{"ca.crt": nil}) }, []string{"ca.crt"}, 2 * time.Second, "no such file"},
		{"key in the CA file", func(t *testing.T, r *rotation) {
			r.swap(t, map[string][]byte{"ca.crt": w.first.KeyPEM()})
		}, []string{"ca.crt"}, 2 * time.Second, "private key"},
		{"good CA but bad pair", func(t *testing.T, r *rotation) {
			r.swap(t, map[string][]byte{"ca.crt": w.bundle, "tls.crt": []byte("nonsense")})
		}, []string{"ca.crt", "tls.crt"}, 2 * time.Second, "CertFile"},
	}
}

// TestReload runs in bubbles, because files that are wrong have some time to become right.
func TestReload(t *testing.T) {
	w := newReloadWorld()
	for _, row := range slices.Concat(w.decidedAtOnce(), w.decidedLater()) {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { row.run(t, newRotation(t, secret(w.ca, w.first), nil)) })
		})
	}
}

func (row reloadCase) run(t *testing.T, r *rotation) {
	before := r.state.Load()
	row.change(t, r)
	began := time.Now()
	found, err := r.Reload(t.Context())
	if took := time.Since(began); took != row.took {
		t.Errorf("it took %v, want %v", took, row.took)
	}
	var paths []string
	for _, name := range row.files {
		paths = append(paths, r.Path(name))
	}
	if !slices.Equal(found.Files, paths) || found.Changed != (row.err == "" && paths != nil) {
		t.Errorf("found %+v, want files %q", found, paths)
	}
	if found.Changed == (r.state.Load() == before) {
		t.Errorf("changed is %v, but the state in force says otherwise", found.Changed)
	}
	checkReloadError(t, err, row.err)
	if reports := r.taken(); len(reports) != 1 || reports[0].found.Changed != found.Changed || !errors.Is(reports[0].err, err) {
		t.Errorf("reports are %+v", reports)
	}
	began = time.Now()
	if again, err2 := r.Reload(t.Context()); again.Changed || (err2 == nil) != (err == nil) || time.Since(began) != 0 {
		t.Errorf("a second Reload found %+v, %v after %v", again, err2, time.Since(began))
	}
}

func checkReloadError(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("error %v", err)
		}
		return
	}
	var wrong *ConfigError
	if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want a *ConfigError with %q", err, want)
	}
}

func TestReloadedSaysWhatChanged(t *testing.T) {
	ca, other := tlstest.NewCA("Root", tlstest.P256), tlstest.NewCA("New Root", tlstest.P256)
	first := issueClient(ca)
	second := other.Issue(tlstest.Leaf{CommonName: "app", NotAfter: time.Now().Add(-time.Minute), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	r := newRotation(t, secret(ca, first), nil)
	r.swap(t, secret(other, second))
	found, err := r.Reload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(found.RootsAdded, []string{Fingerprint(other.Cert)}) || !slices.Equal(found.RootsRemoved, []string{Fingerprint(ca.Cert)}) {
		t.Errorf("roots: added %q, removed %q", found.RootsAdded, found.RootsRemoved)
	}
	if found.Client != Fingerprint(second.Leaf) || !found.ClientNotAfter.Equal(second.Leaf.NotAfter) || !found.RootsNotAfter.Equal(other.Cert.NotAfter) {
		t.Errorf("client %s until %v, roots until %v", found.Client, found.ClientNotAfter, found.RootsNotAfter)
	}
	if len(found.Warnings) != 1 || !strings.Contains(found.Warnings[0].Text, "expired") {
		t.Errorf("warnings are %v", found.Warnings)
	}
	if roots, client := r.Certificates(); len(roots) != 1 || len(client) != 1 || !client[0].Equal(second.Leaf) {
		t.Errorf("%d roots, %d client certificates", len(roots), len(client))
	}
	if len(Fingerprint(other.Cert)) != 64 {
		t.Error("a fingerprint is no SHA-256")
	}
}

// A problem that is followed by another one is news; a way back to what is in force is none.
func TestReloadAfterRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := tlstest.NewCA("Root", tlstest.P256)
		r := newRotation(t, secret(ca, issueClient(ca)), nil)
		for _, step := range []struct {
			ca   []byte
			took time.Duration
			err  string
		}{
			{[]byte("nonsense"), settleTime, "no PEM block"},
			{[]byte("nonsense"), 0, "no PEM block"},
			{nil, settleTime, "no such file"},
			{ca.PEM(), 0, ""},
			{nil, settleTime, "no such file"},
		} {
			r.swap(t, map[string][]byte{"ca.crt": step.ca})
			began := time.Now()
			found, err := r.Reload(t.Context())
			checkReloadError(t, err, step.err)
			if found.Changed || time.Since(began) != step.took {
				t.Errorf("%q: found %+v after %v, want %v", step.ca, found, time.Since(began), step.took)
			}
		}
	})
}
