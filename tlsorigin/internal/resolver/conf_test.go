package resolver

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestConf(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"", "[127.0.0.1:53] [] 1 5s 2 false false"},
		{"nameserver 10.96.0.10\nsearch prod.svc.cluster.local cluster.local\noptions ndots:5\n", "[10.96.0.10:53] [prod.svc.cluster.local. cluster.local.] 5 5s 2 false false"},
		{"nameserver 1.1.1.1\nnameserver\nnameserver dns.test\nnameserver ::1\nnameserver fe80::1%eth0\nnameserver 4.4.4.4", "[1.1.1.1:53 [::1]:53 [fe80::1%eth0]:53] [] 1 5s 2 false false"},
		{"# nameserver 1.1.1.1\n; nameserver 1.1.1.1\n\tsearch a.\n search .\n", "[127.0.0.1:53] [] 1 5s 2 false false"},
		{"search a b\nsearch c\n", "[127.0.0.1:53] [c.] 1 5s 2 false false"},
		{"domain a\n", "[127.0.0.1:53] [a.] 1 5s 2 false false"},
		{"options rotate use-vc timeout:1 attempts:3 edns0 trust-ad\r\n", "[127.0.0.1:53] [] 1 1s 3 true true"},
		{"options ndots:99 timeout:0 attempts:0\n", "[127.0.0.1:53] [] 15 1s 1 false false"},
		{"options ndots:-1 timeout:x attempts:\noptions\n", "[127.0.0.1:53] [] 0 5s 2 false false"},
	} {
		c := parseConf(row.text, "host")
		if got := fmt.Sprint(c.servers, c.search, c.ndots, c.timeout, c.attempts, c.rotate, c.tcp); got != row.want {
			t.Errorf("%q:\n got %s\nwant %s", row.text, got, row.want)
		}
	}
	if c := parseConf("", "web-1.example.com"); !slices.Equal(c.search, []string{"example.com."}) {
		t.Errorf("without a search list, the domain of the machine is searched: %v", c.search)
	}
	if c := parseConf("search "+strings.Repeat("a ", 999), ""); len(c.search) != maxSearch {
		t.Errorf("%d domains", len(c.search))
	}
}

// TestRotate begins with each server in turn.
func TestRotate(t *testing.T) {
	c := parseConf("nameserver 1.1.1.1\nnameserver 2.2.2.2\noptions rotate\n", "")
	first := map[string]bool{}
	for range 200 {
		order := c.order()
		if len(order) != 2 {
			t.Fatal(order)
		}
		first[order[0]] = true
	}
	if len(first) != 2 {
		t.Errorf("first: %v", first)
	}
}

// TestConfChanges: a laptop changes networks, and a VPN writes the file anew.
func TestConfChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("nameserver 192.0.2.1\n")
	file, err := openConf(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &Resolver{conf: file}
	expect := func(when, want string) {
		t.Helper()
		if got := r.Servers(t.Context()); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %v, want %s", when, got, want)
		}
	}
	later := func() { file.read = time.Now().Add(-confLife) }
	write("nameserver 192.0.2.2\n")
	expect("at once", "192.0.2.1:53")
	later()
	expect("later", "192.0.2.2:53")
	os.Remove(path)
	later()
	expect("without the file", "192.0.2.2:53")
	write("nameserver 192.0.2.3\n")
	expect("with the file again", "192.0.2.3:53")
	r.only = "192.0.2.53:5353"
	expect("with one server", "192.0.2.53:5353")
}

// TestResolvedIsNotAsked: systemd-resolved reads the hosts file, too. It says whom it asks itself.
func TestResolvedIsNotAsked(t *testing.T) {
	dir := t.TempDir()
	for _, row := range []struct{ text, uplink, want string }{
		{"nameserver 127.0.0.53\nsearch a.test\noptions edns0 trust-ad\n", "nameserver 10.0.0.2\nnameserver 10.0.0.3\nsearch b.test\n", "[10.0.0.2:53 10.0.0.3:53] [a.test.]"},
		{"nameserver 127.0.0.53\n", "", "[127.0.0.53:53] []"},
		{"nameserver 127.0.0.53\n", "# none\n", "[127.0.0.53:53] []"},
		{"nameserver 192.0.2.1\n", "nameserver 10.0.0.2\n", "[192.0.2.1:53] []"},
	} {
		f := &confFile{path: filepath.Join(dir, "resolv.conf"), uplink: filepath.Join(dir, "uplink")}
		os.Remove(f.uplink)
		for path, text := range map[string]string{f.path: row.text, f.uplink: row.uplink} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, err := f.parse()
		if err != nil || fmt.Sprint(c.servers, c.search) != row.want {
			t.Errorf("%q: %v %v, %v", row.text, c.servers, c.search, err)
		}
	}
}

// TestConfStalls: nobody waits for a mount without a server.
func TestConfStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := fixedConf(parseConf("nameserver 192.0.2.1\n", ""))
		file.path = "resolv.conf"
		mount := make(chan struct{})
		go file.reader.Do(t.Context(), func() *conf { <-mount; return nil })
		synctest.Wait()
		began := time.Now()
		if c := file.load(t.Context()); c.servers[0] != "192.0.2.1:53" || time.Since(began) != confPatience {
			t.Errorf("%v after %v", c.servers, time.Since(began))
		}
		close(mount)
	})
}

func TestNoConf(t *testing.T) {
	if _, err := openConf(filepath.Join(t.TempDir(), "resolv.conf")); err == nil {
		t.Error("without a file, nobody knows whom to ask")
	}
	r := NewFor(netip.MustParseAddrPort("192.0.2.53:5353"))
	if got := r.Servers(t.Context()); !slices.Equal(got, []string{"192.0.2.53:5353"}) {
		t.Errorf("got %v", got)
	}
}
