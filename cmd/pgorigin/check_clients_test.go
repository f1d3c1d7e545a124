package main

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/check"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// clientsReport runs check with an argument and --clients, and returns what it reports of the only address.
func clientsReport(t *testing.T, env []string, code int, target string) (check.Report, *check.Clients) {
	t.Helper()
	got := runWith(t, env, "check", target, "--clients", "--json")
	var report check.Report
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || got.code != code {
		t.Fatalf("code %d, want %d: %v\n%s%s", got.code, code, err, got.stdout, got.stderr)
	}
	clients := report.Upstreams[0].Addresses[0].Clients
	if clients == nil {
		t.Fatalf("nothing about clients: %s", got.stdout)
	}
	return report, clients
}

// verdictOf returns what clients says of a stack.
func verdictOf(t *testing.T, clients *check.Clients, name string) check.ClientStack {
	t.Helper()
	i := slices.IndexFunc(clients.Stacks, func(k check.ClientStack) bool { return k.Stack == name })
	if i < 0 {
		t.Fatalf("no stack %s", name)
	}
	return clients.Stacks[i]
}

// The story of the mission: an authority with a P-521 key, and an application on rustls with ring.
func TestCheckSaysWhichApplicationsAServerBreaks(t *testing.T) {
	ca := tlstest.NewCA("P-521 Root", tlstest.P521)
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	peer := startScripted(t, overTLS(certified(ca.Issue(tlstest.Leaf{DNSNames: []string{"db.test"}})), sasl()))
	target := "postgres://app:s3cret@" + peer.addr + "/app?sslmode=require&sslrootcert=" + url.QueryEscape(file)
	env := []string{"PGORIGIN_TLS_SERVER_NAME=db.test", "PGORIGIN_DIAL_TIMEOUT=30s"}
	report, clients := clientsReport(t, env, cli.ExitOK, target)
	ring := verdictOf(t, clients, "rustls with ring")
	if !clients.Verified || ring.Verdict != "fails" || ring.Reasons[0].Cause != "issuer_p521" ||
		!strings.Contains(ring.Reasons[0].Words, "UnknownIssuer") {
		t.Errorf("%+v", ring)
	}
	if w := report.Warnings; len(w) != 2 || !strings.Contains(w[0], "sslmode=require") ||
		!strings.Contains(w[1], "password in the URL is not used") {
		t.Errorf("warnings %q", report.Warnings)
	}
	printed := runWith(t, env, "check", target, "--clients")
	for _, want := range []string{
		`The key of the authority "P-521 Root" is ECDSA P-521.`, "rustls with ring", "UnknownIssuer",
		"Through pgorigin, all of them connect.", "rustls with no provider",
	} {
		if !strings.Contains(strings.Join(strings.Fields(printed.stdout), " "), want) {
			t.Errorf("%q is not in\n%s", want, printed.stdout)
		}
	}
	for _, stream := range peer.end() {
		if !onlyTLS(stream) {
			t.Errorf("sent %q", stream)
		}
		if bytes.Contains(stream, []byte("s3cret")) || strings.Contains(printed.stdout+printed.stderr, "s3cret") {
			t.Error("the password of the URL was used or shown")
		}
	}
}

// Without a trusted authority, check still says what the certificates would do, and that they prove nothing.
func TestCheckSaysSoWithoutATrustedAuthority(t *testing.T) {
	ca := tlstest.NewCA("P-521 Root", tlstest.P521)
	config := certified(ca.Issue(tlstest.Leaf{DNSNames: []string{"db.test"}}))
	config.MinVersion = 0x0304
	peer := startScripted(t, overTLS(config))
	_, clients := clientsReport(t, nil, cli.ExitFailed, peer.addr)
	ring, old := verdictOf(t, clients, "rustls with ring"), verdictOf(t, clients, "Secure Transport")
	if clients.Verified || ring.Verdict != "fails" || old.Reasons[0].Cause != "no_common_version" {
		t.Errorf("%v, %+v, %+v", clients.Verified, ring, old)
	}
	for _, stream := range peer.end() {
		if !onlyTLS(stream) {
			t.Errorf("sent %q", stream)
		}
	}
}
