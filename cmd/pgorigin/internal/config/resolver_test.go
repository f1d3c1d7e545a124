package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHostsFileLoops: the hosts file leads the name of the upstream to us, which is right for clients alone.
func TestHostsFileLoops(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	const hosts = "127.0.0.1 localhost\n\n# 127.0.0.1 old.test\n127.0.0.1\tdb.test DB2.test. # ours\n::1 six.test\n" +
		"127.0.0.1 both.test\n10.0.0.5 both.test other.test last.test\n127.0.0.1 last.test\nlonely\n"
	if err := os.WriteFile(path, []byte(hosts), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, env, want string }{
		{"a loop", "UPSTREAM_ADDR=db.test:5432 LISTEN_ADDR=127.0.0.1:5432", "UPSTREAM_ADDR"},
		{"in another spelling", "UPSTREAM_ADDR=Db2.Test:5432 LISTEN_ADDR=127.0.0.1:5432", "UPSTREAM_ADDR"},
		{"of every address", "UPSTREAM_ADDR=db.test:5432 LISTEN_ADDR=:5432 LISTEN_ALLOW_NON_LOOPBACK=true", "UPSTREAM_ADDR"},
		{"IPv6", "UPSTREAM_ADDR=six.test:5432 LISTEN_ADDR=[::1]:5432", "UPSTREAM_ADDR"},
		{
			"of another origin", "UPSTREAM_ADDR=far.test:5432 ORIGINS=a A_UPSTREAM_ADDR=db.test:5432 A_LISTEN_ADDR=127.0.0.1:5432",
			"A_UPSTREAM_ADDR",
		},
		{
			"to another origin", "UPSTREAM_ADDR=db.test:5432 ORIGINS=a A_UPSTREAM_ADDR=far.test:5432 A_LISTEN_ADDR=127.0.0.1:5432",
			"UPSTREAM_ADDR",
		},
		{"past the file", "UPSTREAM_ADDR=db.test:5432 LISTEN_ADDR=127.0.0.1:5432 UPSTREAM_RESOLVER=dns", ""},
		{"past it by inheritance", "UPSTREAM_ADDR=far.test:5432 UPSTREAM_RESOLVER=10.0.0.1 ORIGINS=a A_UPSTREAM_ADDR=db.test:5432 A_LISTEN_ADDR=127.0.0.1:5432", ""},
		{"another port", "UPSTREAM_ADDR=db.test:5432 LISTEN_ADDR=127.0.0.1:6432", ""},
		{"a socket", "UPSTREAM_ADDR=db.test:5432 LISTEN_ADDR=unix:/run/x/socket", ""},
		{"another address", "UPSTREAM_ADDR=other.test:5432 LISTEN_ADDR=127.0.0.1:5432", ""},
		{"two addresses", "UPSTREAM_ADDR=both.test:5432 LISTEN_ADDR=127.0.0.1:5432", ""},
		{"two addresses in another order", "UPSTREAM_ADDR=last.test:5432 LISTEN_ADDR=127.0.0.1:5432", ""},
		{"a comment behind a line", "UPSTREAM_ADDR=ours:5432 LISTEN_ADDR=127.0.0.1:5432", ""},
		{"a comment", "UPSTREAM_ADDR=old.test:5432 LISTEN_ADDR=127.0.0.1:5432", ""},
		{"a name that the file does not have", "UPSTREAM_ADDR=lonely:5432 LISTEN_ADDR=127.0.0.1:5432", ""},
	} {
		var env []string
		for setting := range strings.FieldsSeq(row.env) {
			env = append(env, Prefix+setting)
		}
		s, _, problems := Load(env)
		if len(problems) > 0 {
			t.Fatalf("%s: %v", row.name, problems)
		}
		switch found := s.checkHostsFile(path); {
		case len(found) == 0 && row.want == "":
		case len(found) != 1 || found[0].Variable != Prefix+row.want ||
			!strings.Contains(found[0].Text, "set "+Prefix+strings.TrimSuffix(row.want, "ADDR")+"RESOLVER=dns"):
			t.Errorf("%s: %v", row.name, found)
		}
	}
	if found := hostsOf(filepath.Join(t.TempDir(), "none"), "db.test"); found != nil {
		t.Errorf("without a file: %v", found)
	}
}

func TestListenIPs(t *testing.T) {
	s, _, problems := Load(withSettings("LISTEN_ADDR=:6432,unix:/run/x,localhost:1,[::1]:2,name.test:3 " +
		"LISTEN_ALLOW_NON_LOOPBACK=true REPORTING_UPSTREAM_ADDR=h"))
	const want = "[[::]:6432 127.0.0.1:1 [::1]:2 127.0.0.1:6433]"
	if got := fmt.Sprint(s.ListenIPs()); got != want || len(problems) > 0 {
		t.Errorf("%s, %v", got, problems)
	}
}
