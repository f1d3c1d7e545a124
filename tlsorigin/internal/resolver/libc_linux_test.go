package resolver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// inNamespace is set in the child that has a mount namespace of its own.
const inNamespace = "PGORIGIN_TEST_NAMESPACE"

// TestLikeLibc compares with getaddrinfo of libc and with package net, all under the same resolv.conf.
func TestLikeLibc(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("a resolv.conf of its own, and port 53, need root")
	}
	if os.Getenv(inNamespace) == "" {
		cmd := exec.CommandContext(t.Context(), "unshare", "-m", os.Args[0], "-test.run=^TestLikeLibc$")
		cmd.Env = append(os.Environ(), inNamespace+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	conf := mountFiles(t)
	two := []string{"192.0.2.7", "192.0.2.8", "2001:db8::7"}
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("192.0.2.%d", i))
	}
	for i, row := range []struct {
		name, conf, host string
		zone             zone
		differs          string // why libc has no address
	}{
		{name: "addresses", host: "db.test", zone: zone{"db.test": {addrs: two}}},
		{name: "CNAME", host: "db.test", zone: zone{"db.test": {alias: "real.test", addrs: two}}},
		{name: "no such name", host: "db.test"},
		{name: "no address", host: "db.test", zone: zone{"db.test": {}}},
		{name: "TCP", host: "db.test", zone: zone{"db.test": {addrs: many}}},
		{name: "search", conf: inPod, host: "db", zone: zone{"db.prod.svc.cluster.local": {addrs: two}, "db": {addrs: many[:1]}}},
		{name: "search, the second", conf: inPod, host: "db.other", zone: zone{"db.other.svc.cluster.local": {addrs: two}, "db.other": {addrs: many[:1]}}},
		{name: "as it is", conf: inPod, host: "db.test", zone: zone{"db.test": {addrs: two}}},
		{name: "final dot", conf: inPod, host: "db.test.", zone: zone{"db.test.cluster.local": {addrs: many[:1]}, "db.test": {addrs: two}}},
		{name: "many dots", conf: inPod, host: "a.b.c.d.e.test", zone: zone{"a.b.c.d.e.test.cluster.local": {addrs: many[:1]}, "a.b.c.d.e.test": {addrs: two}}},
		{name: "an empty name in the search", conf: inPod, host: "db.test", zone: zone{"db.test.cluster.local": {}, "db.test": {addrs: two}}},
		{name: "a failure in the search", conf: inPod, host: "db.test", zone: zone{"db.test.cluster.local": {code: servFail}, "db.test": {addrs: two}}},
		{name: "a refusal in the search", conf: inPod, host: "db.test", zone: zone{"db.test.cluster.local": {code: refused}, "db.test": {addrs: two}}},
		{name: "failure", host: "db.test", zone: zone{"db.test": {code: servFail}}},
		{
			name: "CNAME behind its address", host: "db.test", zone: zone{"db.test": {alias: "real.test", addrs: two, late: true}},
			differs: "libc reads the records in their order",
		},
	} {
		ip := fmt.Sprintf("127.84.0.%d", i+1)
		startServerAt(t, ip+":53", row.zone)
		if err := os.WriteFile(conf, []byte("nameserver "+ip+"\n"+row.conf), 0o600); err != nil {
			t.Fatal(err)
		}
		here, other, libc := lookUpBy(t, row.host)
		if here != other || here != libc && row.differs == "" {
			t.Errorf("%s:\nhere: %s\nnet:  %s\nlibc: %s", row.name, here, other, libc)
		}
		if row.differs != "" && libc != "" {
			t.Errorf("%s: libc agrees by now: it has %s", row.name, libc)
		}
	}
	s := startServerAt(t, "127.84.1.1:53", zone{"hosts.test": {addrs: two}})
	if err := os.WriteFile(conf, []byte("nameserver 127.84.1.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	here, other, libc := lookUpBy(t, "hosts.test")
	if want := strings.Join(two, " "); here != want || other != "192.0.2.66" || libc != other {
		t.Errorf("a name of the hosts file:\nhere: %s\nnet:  %s\nlibc: %s\n%v", here, other, libc, s.questions())
	}
}

// mountFiles gives this mount namespace files of its own, and returns the path of resolv.conf.
func mountFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"resolv.conf": "", "nsswitch.conf": "hosts: files dns\n", "hosts": "127.0.0.1 localhost\n192.0.2.66 hosts.test\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount(path, "/etc/"+name, "", syscall.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "resolv.conf")
}

// lookUpBy returns the addresses that each resolver finds now.
func lookUpBy(t *testing.T, host string) (here, other, libc string) {
	t.Helper()
	sorted := func(texts []string) string {
		slices.Sort(texts)
		return strings.Join(slices.Compact(texts), " ")
	}
	text := func(addrs []netip.Addr) string {
		var texts []string
		for _, addr := range addrs {
			texts = append(texts, addr.Unmap().String())
		}
		return sorted(texts)
	}
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	addrs, _ := r.LookupNetIP(t.Context(), "ip", host)
	here = text(addrs)
	// Package net reads the file every five seconds only, so another process asks.
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), lookUpByNet+"="+host)
	printed, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(printed), "found:")
	rest, _, _ = strings.Cut(rest, "\n")
	other = sorted(strings.Fields(rest))
	out, _ := exec.CommandContext(t.Context(), "getent", "ahosts", host).Output() // fails without an address
	var found []string
	for line := range strings.Lines(string(out)) {
		found = append(found, strings.Fields(line)[0])
	}
	return here, other, sorted(found)
}

// lookUpByNet has the name that another process looks up.
const lookUpByNet = "PGORIGIN_TEST_LOOKUP"

// TestMain is that other process, too.
func TestMain(m *testing.M) {
	host := os.Getenv(lookUpByNet)
	if host == "" {
		os.Exit(m.Run())
	}
	addrs, _ := (&net.Resolver{PreferGo: true}).LookupNetIP(context.Background(), "ip", host)
	fmt.Print("found:")
	for _, addr := range addrs {
		fmt.Print(" ", addr.Unmap())
	}
	fmt.Println()
}
