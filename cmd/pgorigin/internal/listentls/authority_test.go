package listentls

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func newAuthority(t *testing.T) *Authority {
	t.Helper()
	a, err := NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestLeaf: a sidecar runs for years. Its certificate is never about to expire, also when the clock is put back.
func TestLeaf(t *testing.T) {
	a, start := newAuthority(t), time.Now()
	l, err := a.NewLeaf([]string{"db.prod.example.com", "192.0.2.1", "::1"}, start)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.PEM())
	var before []byte
	for _, row := range []struct {
		after time.Duration
		same  bool
	}{
		{0, false}, {170 * 24 * time.Hour, true}, {181 * 24 * time.Hour, false}, {15 * 365 * 24 * time.Hour, false}, {-12 * time.Hour, false},
	} {
		now := start.Add(row.after)
		found, err := l.at(now, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"db.prod.example.com", "192.0.2.1", "::1"} {
			if _, err := found.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now}); err != nil {
				t.Errorf("after %v: %v", row.after, err)
			}
		}
		if same := bytes.Equal(before, found.Certificate[0]); same != row.same {
			t.Errorf("after %v: the same certificate: %v", row.after, same)
		}
		before = found.Certificate[0]
	}
}

// TestAskedNames: a client that a hosts file leads here verifies the name by which it was led. What clients ask for
// is bounded, and never spoils the names that are configured.
func TestAskedNames(t *testing.T) {
	l, err := newAuthority(t).NewLeaf([]string{"localhost", "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	wants := func(name string, holds bool) {
		t.Helper()
		found, err := l.at(time.Now(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := found.Leaf.VerifyHostname(name) == nil; got != holds {
			t.Errorf("%.80q: %v", name, got)
		}
		if found.Leaf.VerifyHostname("localhost") != nil || len(found.Leaf.DNSNames) > 1+maxAsked {
			t.Errorf("after %.80q: %d names", name, len(found.Leaf.DNSNames))
		}
	}
	wants("DB.prod.example.com", true)
	before, _ := l.at(time.Now(), "")
	for _, bad := range []string{"*.example.com", "a\x00b", "ä.example", strings.Repeat("a", 64), strings.Repeat("a.", 200) + "b", "-\n"} {
		wants(bad, false)
	}
	wants("db.prod.example.com", true)
	if after, _ := l.at(time.Now(), "db.prod.example.com"); after != before {
		t.Error("made anew for a name that it has")
	}
	for _, ip := range []string{"127.0.0.1", "10.0.0.1"} { // which SNI must not have
		wants(ip, true)
		before, _ := l.at(time.Now(), ip)
		if after, _ := l.at(time.Now(), ip); after != before {
			t.Errorf("made anew for %s, which it has", ip)
		}
	}
	for i := range 100 {
		wants(fmt.Sprintf("db%d.example.com", i), true)
	}
	wants("db.prod.example.com", true)
}

// TestWriteFile: nothing is replaced that somebody may need.
func TestWriteFile(t *testing.T) {
	folder, a := t.TempDir(), newAuthority(t)
	put := func(name string, text []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link, ours := filepath.Join(folder, "link"), put("ours", newAuthority(t).PEM())
	if err := os.Symlink(ours, link); err != nil {
		t.Fatal(err)
	}
	foreign := map[string]string{
		"another CA":   put("another", tlstest.NewCA("another", tlstest.P256).PEM()),
		"a key":        put("key", tlstest.NewCA("x", tlstest.P256).Issue(tlstest.Leaf{}).KeyPEM()),
		"text":         put("text", []byte("important")),
		"nothing":      put("empty", nil),
		"ours and one": put("both", append(newAuthority(t).PEM(), tlstest.NewCA("x", tlstest.P256).PEM()...)),
		"a folder":     folder,
		"a link":       link,
	}
	for name, path := range foreign {
		before, _ := os.ReadFile(path)
		if err := a.WriteFile(path); !errors.Is(err, ErrForeignFile) {
			t.Errorf("%s: %v", name, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s: replaced", name)
		}
	}
	for name, path := range map[string]string{"ours": ours, "new": filepath.Join(folder, "new")} {
		if err := a.WriteFile(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		text, _ := os.ReadFile(path)
		info, err := os.Stat(path)
		if !bytes.Equal(text, a.PEM()) || err != nil || info.Mode() != 0o644 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if err := a.WriteFile(filepath.Join(folder, "nowhere", "ca.crt")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in no folder: %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(folder, ".pgorigin-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
