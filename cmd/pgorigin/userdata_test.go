package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// Names of a user's that look like those of settings.
const (
	userFile = "PGORIGIN_TLS_PINS.pem"
	userCA   = "PostQuantum Test CA PGORIGIN_TLS_GROUPS"
)

// namedOrigin starts an upstream of an authority called userCA, and returns the variables of an origin that
// trusts another one, in a file called userFile, in the folder Groups/Pins.
func namedOrigin(t *testing.T) (path, listen string, env []string) {
	t.Helper()
	path, listen = filepath.Join(t.TempDir(), "Groups", "Pins", userFile), cmdtest.FreeAddr(t)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, tlstest.NewCA("another "+userCA, tlstest.P256).PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	pair := tlstest.NewCA(userCA, tlstest.P256).Issue(tlstest.Leaf{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	upstream := startScripted(t, overTLS(certified(pair), sasl()))
	return path, listen, []string{
		"PGORIGIN_UPSTREAM_ADDR=" + upstream.addr, "PGORIGIN_ORIGINS=reporting", "PGORIGIN_LOG_FORMAT=json",
		"PGORIGIN_TLS_RELOAD_INTERVAL=100ms",
		"PGORIGIN_REPORTING_UPSTREAM_ADDR=" + upstream.addr, "PGORIGIN_REPORTING_LISTEN_ADDR=" + listen,
		"PGORIGIN_REPORTING_TLS_CA_FILE=" + path,
	}
}

// wantUserData wants data in text as it is, and no name of a setting made of it.
func wantUserData(t *testing.T, where, text string, data ...string) {
	t.Helper()
	for _, want := range data {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %q:\n%s", where, want, text)
		}
	}
	for _, changed := range []string{
		"PGORIGIN_REPORTING_TLS_PINS", "PGORIGIN_REPORTING_TLS_GROUPS", "/PGORIGIN_TLS_GROUPS/",
		"PGORIGIN_TLS_POST_QUANTUM Test CA",
	} {
		if strings.Contains(text, changed) {
			t.Errorf("%s has %q, which nobody wrote:\n%s", where, changed, text)
		}
	}
}

// TestUserDataIsShownAsItIs: names of files and authorities stay what they are in front of clients, in the
// log, in answers of the endpoints and in the report of check.
func TestUserDataIsShownAsItIs(t *testing.T) {
	path, listen, env := namedOrigin(t)
	r := startRun(t, env...)
	conn, err := net.Dial("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	client := pgtest.NewPeer(t, conn)
	client.Send(pgtest.Startup("user", "app"))
	refusal := client.ExpectError("08001")
	_ = conn.Close()
	wantUserData(t, "the client's error", strings.Join([]string{refusal.Message, refusal.Detail, refusal.Hint}, "\n"), userCA)
	r.Stderr.Wait(t, "session ended")
	_, status := r.Get(t, "/statusz")
	wantUserData(t, "the status", status, path, userCA)

	if err := os.WriteFile(path, []byte("PGORIGIN_TLS_PINS"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Stderr.Wait(t, "reload failed, the old certificates stay in force")
	_, ready := r.Get(t, "/readyz?verbose")
	wantUserData(t, "readiness", ready, path)
	r.Stop()
	r.WantExit(t, cli.ExitOK)
	log, _ := r.Stderr.Text()
	wantUserData(t, "the log", log, path, userCA)
}

func TestUserDataIsCheckedAsItIs(t *testing.T) {
	path, _, env := namedOrigin(t)
	got := runWith(t, env, "check")
	wantUserData(t, "check", got.stdout, userCA)
	got = runWith(t, env, "check", "--json")
	wantUserData(t, "check --json", got.stdout, userCA)

	missing := strings.Replace(path, userFile, "PGORIGIN_TLS_PINS.key", 1)
	env = append(env, "PGORIGIN_REPORTING_TLS_CERT_FILE="+path, "PGORIGIN_REPORTING_TLS_KEY_FILE="+missing)
	got = runWith(t, env)
	wantUserData(t, "the problem", got.stderr, missing)
	got = runWith(t, env, "check")
	wantUserData(t, "the report of a problem", got.stdout+got.stderr, missing)
}
