package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/check"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/golden"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// checkFault is a fault on the path to the upstream, and what check must say about it.
type checkFault struct {
	name    string
	script  func(net.Conn) // nil if nothing listens
	addr    string         // if not that of the script
	env     []string
	stage   string
	reason  string
	cure    string // a variable in the cure
	code    int
	printed []string // in the report for people
}

// waits reports whether the fault shows by a timeout.
func (f *checkFault) waits() bool {
	return len(f.env) > 0 && strings.HasPrefix(f.env[0], "PGORIGIN_DIAL_TIMEOUT=")
}

func checkFaults(t *testing.T, w checkWorld) []checkFault {
	issue := func(l tlstest.Leaf) *tls.Config { return certified(w.ca.Issue(l)) }
	names := []string{"db.test"}
	stranger := certified(tlstest.NewCA("Strange Root", tlstest.P256).Issue(tlstest.Leaf{DNSNames: names}))
	unsent := w.ca.Intermediate("Intermediate", tlstest.P256).Issue(tlstest.Leaf{DNSNames: names, Template: func(c *x509.Certificate) {
		c.IssuingCertificateURL = []string{"http://ca.test/intermediate.crt"}
	}}).WithChain()
	listFile := func(name string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, tlstest.CRLPEM(der), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	otherList := listFile("other.crl", tlstest.NewCA("Other Root", tlstest.P256).CRL(tlstest.CRL{}))
	oldList := listFile("old.crl", w.ca.CRL(tlstest.CRL{NextUpdate: time.Now().Add(-time.Hour)}))
	mutual := issue(tlstest.Leaf{DNSNames: names})
	mutual.ClientAuth = tls.RequireAnyClientCert
	mutual12 := mutual.Clone()
	mutual12.MaxVersion = tls.VersionTLS12
	old := issue(tlstest.Leaf{DNSNames: names})
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	noCA := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(noCA, []byte("-----BEGIN CERTIFICATE-----\nbroken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	brief := []string{"PGORIGIN_DIAL_TIMEOUT=3s"} // for rows that wait for the timeout
	return []checkFault{
		{"unknown host", nil, "nowhere.invalid:6432", nil, "dns", "upstream_dns", "PGORIGIN_UPSTREAM_ADDR", 1, nil},
		{"refused", nil, refusingAddr(t), nil, "tcp", "upstream_refused", "PGORIGIN_UPSTREAM_ADDR", 1, []string{"FAIL tcp", "Clients wait for the upstream up to 14s (PGORIGIN_UPSTREAM_WAIT), then they get this error."}},
		{"TCP timeout", nil, fullListener(t), brief, "tcp", "upstream_timeout", "PGORIGIN_UPSTREAM_ADDR", 1, []string{"no TCP connection"}},
		{"answers N", answersSSL("N"), "", nil, "sslrequest", "tls_refused", "PGORIGIN_UPSTREAM_ADDR", 1, []string{"FAIL sslrequest", "Clients get this error at once: it does not pass by itself."}},
		{
			"answers an error", answersSSL("E\x00\x00\x00\x20SFATAL\x00Mgive me your password\x00\x00"), "", nil,
			"sslrequest", "tls_protocol", "PGORIGIN_UPSTREAM_ADDR", 1,
			[]string{"answered SSLRequest with an error"},
		},
		{"SSH port", answersSSL("SSH-2.0-give me your password"), "", nil, "sslrequest", "not_postgres", "PGORIGIN_UPSTREAM_ADDR", 1, []string{"an SSH server"}},
		{"port that expects TLS", answersSSL("\x15\x03\x03\x00\x02\x02\x0a"), "", nil, "sslrequest", "not_postgres", "PGORIGIN_TLS_NEGOTIATION", 1, nil},
		{"injects bytes", answersSSL("Sgive me your password"), "", nil, "sslrequest", "tls_injection", "PGORIGIN_UPSTREAM_ADDR", 1, nil},
		{"silent after S", answersSSL("S"), "", brief, "tls", "tls_timeout", "PGORIGIN_DIAL_TIMEOUT", 1, []string{"vanishes"}},
		{"silent to SSLRequest", answersSSL(""), "", brief, "sslrequest", "upstream_silent", "PGORIGIN_UPSTREAM_ADDR", 1, nil},
		{
			"wrong name", overTLS(issue(tlstest.Leaf{DNSNames: []string{"other.test"}})), "", nil,
			"name", "cert_name_mismatch", "PGORIGIN_TLS_SERVER_NAME", 1,
			[]string{`certificate is valid for "other.test", not "db.test"`, "ok   chain", "trust anchor", "FAIL name"},
		},
		{
			"expired", overTLS(issue(tlstest.Leaf{DNSNames: names, NotAfter: time.Now().Add(-50 * time.Hour)})), "", nil,
			"chain", "cert_expired", "PGORIGIN_UPSTREAM_ADDR", 1,
			[]string{"ended 2 days ago"},
		},
		{
			"unknown CA", overTLS(stranger), "", nil, "chain", "cert_unknown_authority", "PGORIGIN_TLS_CA_FILE", 1,
			[]string{`"Strange Root"`, "not sent"},
		},
		{
			"intermediate not sent", overTLS(certified(unsent)), "", nil, "chain", "chain_incomplete", "PGORIGIN_UPSTREAM_ADDR", 1,
			[]string{`that of the authority "Intermediate", which issued it, was not sent`, `trusted here: "Check Root"`},
		},
		{
			"no revocation list", overTLS(w.good, sasl()), "",
			[]string{"PGORIGIN_TLS_CRL_FILE=" + otherList},
			"chain", "crl_missing", "PGORIGIN_TLS_CRL_FILE", 1,
			[]string{`there is no CRL of its issuer "Check Root"`},
		},
		{
			"revocation list out of date", overTLS(w.good, sasl()), "",
			[]string{"PGORIGIN_TLS_CRL_FILE=" + oldList},
			"chain", "crl_stale", "PGORIGIN_TLS_CRL_FILE", 1,
			[]string{"out of date"},
		},
		{
			"client certificate required", overTLS(mutual), "", nil,
			"client_certificate", "client_cert_required", "PGORIGIN_TLS_CERT_FILE", 1,
			[]string{"ok   name", "FAIL client_certificate"},
		},
		{
			"client certificate required in TLS 1.2", overTLS(mutual12), "", nil,
			"client_certificate", "client_cert_required", "PGORIGIN_TLS_CERT_FILE", 1,
			[]string{"ok   name"},
		},
		{"TLS 1.1 only", overTLS(old), "", nil, "tls", "tls_no_common", "PGORIGIN_UPSTREAM_ADDR", 1, nil},
		{
			"large hellos swallowed, hybrid required", swallowing(w.good), "",
			append(brief, "PGORIGIN_TLS_POST_QUANTUM=require"),
			"tls", "tls_timeout", "PGORIGIN_TLS_POST_QUANTUM", 1,
			[]string{"X25519             works"},
		},
		{
			"only -PLUS offered", overTLS(w.good, pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS")), "", nil,
			"authentication", "auth_channel_binding", "PGORIGIN_AUTH_CHANNEL_BINDING", 1,
			[]string{"ok   key_exchange"},
		},
		{
			"method that is not allowed", overTLS(w.good, pgtest.Message('R', "\x00\x00\x00\x03")), "",
			[]string{"PGORIGIN_AUTH_REQUIRE=scram-sha-256"},
			"authentication", "auth_rejected", "PGORIGIN_AUTH_REQUIRE", 1,
			[]string{"asks for password"},
		},
		{
			"real account refused", overTLS(w.good, pgtest.ErrorResponse("28000", "no pg_hba.conf entry")), "",
			[]string{"PGUSER=app"},
			"authentication", "auth_rejected", "", 1,
			[]string{"no pg_hba.conf entry"},
		},
		{
			"no Postgres inside TLS", overTLS(w.good, []byte("HTTP/1.1 400 Bad Request\r\n\r\n")), "", nil,
			"authentication", "upstream_protocol", "PGORIGIN_UPSTREAM_ADDR", 1, nil,
		},
		{
			"broken CA file", nil, cmdtest.FreeAddr(t),
			[]string{"PGORIGIN_TLS_CA_PEM=", "PGORIGIN_TLS_CA_FILE=" + noCA},
			"files", "", "PGORIGIN_TLS_CA_FILE", cli.ExitConfig,
			[]string{"ok   config", "FAIL files"},
		},
		{"wrong setting", nil, cmdtest.FreeAddr(t), []string{"PGORIGIN_DIAL_TIMEOUT=soon"}, "config", "", "PGORIGIN_DIAL_TIMEOUT", cli.ExitConfig, []string{"FAIL config"}},
	}
}

func TestCheckNamesTheFault(t *testing.T) {
	t.Parallel()
	w := newCheckWorld()
	for _, row := range checkFaults(t, w) {
		t.Run(row.name, func(t *testing.T) {
			if row.waits() {
				t.Parallel()
			}
			s := &scripted{addr: row.addr}
			if row.script != nil {
				s = startScripted(t, row.script)
			}
			plain := make(chan outcome, 1)
			go func() { plain <- runWith(t, w.env(s.addr, row.env...), "check") }()
			got := runWith(t, w.env(s.addr, row.env...), "check", "--json")
			printed := unwrapped((<-plain).stdout)
			var out check.Report
			if err := json.Unmarshal([]byte(got.stdout), &out); err != nil {
				t.Fatalf("%v in %s", err, got.stdout)
			}
			if got.code != row.code || out.OK || out.Failed == nil {
				t.Fatalf("exit code %d (want %d), %s\n%s", got.code, row.code, got.stdout, got.stderr)
			}
			if f := out.Failed; string(f.Stage) != row.stage || f.Reason != row.reason {
				t.Errorf("stage %s, reason %s; want %s, %s (%s)", f.Stage, f.Reason, row.stage, row.reason, f.Text)
			}
			cmdtest.Contains(t, out.Failed.Cure+out.Failed.Text, row.cure)
			if (got.stderr != "") != (row.code == cli.ExitConfig) {
				t.Errorf("stderr %q", got.stderr)
			}
			cmdtest.Contains(t, printed, append(row.printed, "\nfirst failing stage: "+row.stage, row.reason, row.cure)...)
			if strings.Contains(printed+got.stdout, "give me your password") {
				t.Errorf("the report repeats somebody who has proved nothing:\n%s", printed)
			}
			if row.script == nil {
				return
			}
			for i, stream := range s.end() {
				if !onlyTLS(stream) {
					t.Errorf("connection %d received %.100q", i, stream)
				}
			}
		})
	}
}

// unwrapped removes the line breaks of a report.
func unwrapped(report string) string {
	for line := range strings.Lines(report) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			return "a line has more than 80 columns: " + line
		}
	}
	verdict := strings.LastIndex(report, "\n\n")
	if verdict < 0 {
		return report
	}
	below := regexp.MustCompile(`\n {20,}|\n {8}(\S)`)
	return below.ReplaceAllString(report[:verdict], " $1") + report[verdict:] + strings.Join(strings.Fields(report[verdict:]), " ")
}

// TestCheckWithoutEnoughTime: a stage without a result in time has failed.
func TestCheckWithoutEnoughTime(t *testing.T) {
	t.Parallel()
	w := newCheckWorld()
	for name, row := range map[string]struct {
		script  func(net.Conn)
		timeout string
		reasons []string
	}{
		"hello swallowed":   {swallowing(w.good), "5s", []string{"tls_timeout"}},
		"hardly any at all": {overTLS(w.good), "1us", []string{"upstream_timeout", "tls_timeout"}},
	} {
		env := w.env(startScripted(t, row.script).addr, "PGORIGIN_TLS_POST_QUANTUM=require")
		got := runWith(t, env, "check", "--json", "--timeout", row.timeout)
		var out check.Report
		if err := json.Unmarshal([]byte(got.stdout), &out); err != nil {
			t.Fatalf("%s: %v in %s", name, err, got.stdout)
		}
		if got.code != cli.ExitFailed || out.OK || out.Failed == nil || !slices.Contains(row.reasons, out.Failed.Reason) || out.Failed.Cure == "" {
			t.Errorf("%s: exit code %d, %s", name, got.code, got.stdout)
		}
	}
}

// fullListener returns an address with a full backlog, so that a connection is neither made nor refused.
func fullListener(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	addr := cmdtest.FreeAddr(t)
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: tcp.Port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", addr) // takes the only place
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return addr
}

func TestCheckOfAGoodUpstream(t *testing.T) {
	w := newCheckWorld()
	s := startScripted(t, overTLS(w.good, sasl()))
	got := runWith(t, w.env(s.addr), "check")
	if got.code != cli.ExitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	cmdtest.Contains(t, unwrapped(got.stdout), "\nall good\nNo login was tested: check --login tests one.\n", `"Check Root"`, "trust anchor", `presented "db.test"`, "ok   authentication",
		"SCRAM-SHA-256-PLUS, SCRAM-SHA-256 (PGORIGIN_AUTH_CHANNEL_BINDING=strip)")
	if strings.ContainsAny(got.stdout, "\x1b✓├") {
		t.Errorf("not plain in a pipe:\n%s", got.stdout)
	}
	forced := runWith(t, w.env(s.addr, "CLICOLOR_FORCE=1"), "check", "--no-startup").stdout
	cmdtest.Contains(t, forced, "\x1b[32m✓ \x1b[0m", "├─ ", "└─ ")
	if strings.Contains(forced, "authentication") {
		t.Errorf("--no-startup asked all the same:\n%s", forced)
	}
	for i, stream := range s.end() {
		if !onlyTLS(stream) {
			t.Errorf("connection %d received %.100q", i, stream)
		}
	}
}

// TestCheckGoesOnPastStagesThatAreLeftOut: a stage that is left out on purpose does not end the walk.
func TestCheckGoesOnPastStagesThatAreLeftOut(t *testing.T) {
	w := newCheckWorld()
	s := startScripted(t, overTLS(w.good, sasl()))
	got := runWith(t, w.env(s.addr, "PGORIGIN_TLS_VERIFY=verify-ca", "PGORIGIN_TLS_SERVER_NAME="), "check")
	cmdtest.Contains(t, got.stdout, "-    name", "not checked", "trust anchor", "ok   authentication", "\nworks, with 1 warning\n")

	direct := w.good.Clone()
	direct.NextProtos = []string{"postgresql"}
	s = startScripted(t, func(raw net.Conn) {
		conn := tls.Server(raw, direct)
		if cmdtest.ReadStartup(conn) == nil {
			conn.Write(sasl())
			io.Copy(io.Discard, conn)
		}
	})
	got = runWith(t, w.env(s.addr, "PGORIGIN_TLS_NEGOTIATION=direct"), "check")
	cmdtest.Contains(t, got.stdout, "-    sslrequest", "ok   tls", "ok   authentication", "\nall good\n")
}

func TestCheckOfABridgeTakesBoundMechanisms(t *testing.T) {
	w := newCheckWorld()
	s := startScripted(t, overTLS(w.good, pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS")))
	got := runWith(t, w.env(s.addr, "PGORIGIN_AUTH_CHANNEL_BINDING=bridge"), "check")
	if got.code != cli.ExitOK {
		t.Errorf("%+v", got)
	}
}

// TestCheckForgivesTheMadeUpAccount: if the server does not know pgorigin_check, the path to it is still
// good.
func TestCheckForgivesTheMadeUpAccount(t *testing.T) {
	w := newCheckWorld()
	s := startScripted(t, overTLS(w.good, pgtest.ErrorResponse("08P01", "no such\x1b[31m database: pgorigin_check")))
	got := runWith(t, w.env(s.addr), "check")
	if got.code != cli.ExitOK || strings.Contains(got.stdout, "\x1b") {
		t.Errorf("%+v", got)
	}
	cmdtest.Contains(t, unwrapped(got.stdout), "WARN authentication", "no such", "set PGUSER and PGDATABASE")
}

func TestCheckUsage(t *testing.T) {
	for _, row := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"--timeout", "0s"}, "--timeout: expected a duration above zero", cli.ExitUsage},
		{[]string{"--login", "--no-startup"}, "exclude each other", cli.ExitUsage},
		{[]string{"--password-file", "x"}, "is for --login", cli.ExitUsage},
		{[]string{"a", "b"}, "give one upstream", cli.ExitUsage},
		{[]string{"https://db.test"}, "expected a URL that begins with postgres://", cli.ExitConfig},
		{[]string{"host=db.test"}, "keyword=value strings are not supported", cli.ExitConfig},
		{[]string{"postgres://app:s3cret@/db"}, "the URL has no host", cli.ExitConfig},
	} {
		got := runWith(t, nil, append([]string{"check"}, row.args...)...)
		if got.code != row.code || !strings.Contains(got.stderr, row.want) || strings.Contains(got.stdout+got.stderr, "s3cret") {
			t.Errorf("%v = %+v", row.args, got)
		}
	}
	golden.Compare(t, "testdata/help_check.golden", runWith(t, nil, "help", "check").stdout)
}
