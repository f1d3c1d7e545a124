package e2e

import (
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// refusalCase is an upstream that must not be used, and how everybody learns why.
type refusalCase struct {
	upstream string
	env      []string
	reason   string
	message  []string // words of the ErrorResponse's message
	hint     string   // a word of its hint
}

func TestRefusals(t *testing.T) {
	ctx := testContext(t)
	plain, err := shared.lab.Postgres(ctx, servers.PostgresOptions{NoTLS: true})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Stop()
	now := time.Now()
	expired, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{Certificate: shared.lab.CA.Issue(tlstest.Leaf{
		DNSNames: []string{servers.ServerName}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-24 * time.Hour),
	})})
	if err != nil {
		t.Fatal(err)
	}
	defer expired.Stop()
	stranger := writeFile(t, "stranger.crt", tlstest.NewCA("a stranger's CA", tlstest.P256).PEM())
	nobody, err := shared.lab.Port()
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]refusalCase{
		"wrong name": {
			shared.bouncer.Addr,
			[]string{"PGORIGIN_TLS_SERVER_NAME=db.elsewhere.test"},
			"cert_name_mismatch",
			[]string{"certificate", servers.ServerName, "db.elsewhere.test"},
			"PGORIGIN_TLS_SERVER_NAME",
		},
		"unknown CA": {
			shared.bouncer.Addr,
			[]string{"PGORIGIN_TLS_CA_FILE=" + stranger},
			"cert_unknown_authority",
			[]string{"certificate"},
			"PGORIGIN_TLS_CA_FILE",
		},
		"expired":     {expired.Addr, nil, "cert_expired", []string{"certificate", "expired"}, "certificate"},
		"TLS refused": {plain.Addr, nil, "tls_refused", []string{"TLS"}, ""},
		"nobody there": {
			"127.0.0.1:" + nobody,
			[]string{noWait},
			"upstream_refused",
			[]string{"refused"},
			"PGORIGIN_UPSTREAM_ADDR",
		},
	} {
		t.Run(name, func(t *testing.T) { row.check(t) })
	}
	if lines := plain.Log.Lines("connection authorized"); len(lines) > 0 {
		t.Errorf("a session without TLS: %q", lines)
	}
	if lines := expired.Log.Lines("login attempt"); len(lines) > 0 {
		t.Errorf("a login in spite of an expired certificate: %q", lines)
	}
}

func (row refusalCase) check(t *testing.T) {
	ctx := testContext(t)
	origin := startOrigin(t, row.upstream, row.env...)
	answer := refusal(ctx, t, origin.Addr)
	state := "08001"
	if row.reason == "upstream_refused" {
		state = "57P03" // libpq then tries the next host of its list
	}
	if answer.Code != state || answer.Severity != "FATAL" || !strings.HasPrefix(answer.Message, "pgorigin: ") {
		t.Errorf("a client is told %s %s: %s", answer.Severity, answer.Code, answer.Message)
	}
	for _, word := range row.message {
		if !strings.Contains(answer.Message, word) {
			t.Errorf("the message %q lacks %q", answer.Message, word)
		}
	}
	if answer.Hint == "" || !strings.Contains(answer.Hint, row.hint) {
		t.Errorf("the hint %q lacks %q", answer.Hint, row.hint)
	}
	if answer.Detail == "" {
		t.Error("no detail with the session number")
	}
	code, out := psql(ctx, t, servers.DSN(origin.Addr))
	if code != 2 || !strings.Contains(out, "FATAL:  "+answer.Message) || !strings.Contains(out, "HINT:  ") {
		t.Errorf("psql ended with %d", code)
	}
	t.Logf("psql prints:\n%s", out)
	session, err := origin.AwaitSession(ctx, `"reason":"`+row.reason+`"`)
	if err != nil {
		t.Fatal(err)
	}
	if session["sqlstate"] != state || session["phase"] != "dial" {
		t.Errorf("the session ended with SQLSTATE %v in phase %v", session["sqlstate"], session["phase"])
	}
}

// PostgreSQL's database "mutual" demands a client certificate for the very user, and knows the Lab's CA only.
func TestClientCertificate(t *testing.T) {
	intermediate := shared.lab.CA.Intermediate("issuer of clients", tlstest.P384)
	stranger := tlstest.NewCA("a stranger's CA", tlstest.P256)
	leaf := func(user string, key tlstest.KeyType) tlstest.Leaf {
		return tlstest.Leaf{CommonName: user, Key: key, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	}
	for name, row := range map[string]struct {
		pair        *tlstest.Pair // nil: none
		code, words string        // SQLSTATE and words of the answer; none: login works
	}{
		"P-521":                      {pair: shared.lab.CA.Issue(leaf(servers.User, tlstest.P521))},
		"Ed25519":                    {pair: shared.lab.CA.Issue(leaf(servers.User, tlstest.Ed25519))},
		"RSA":                        {pair: shared.lab.CA.Issue(leaf(servers.User, tlstest.RSA2048))},
		"sent with its intermediate": {pair: intermediate.Issue(leaf(servers.User, tlstest.P256))},
		"of another user":            {shared.lab.CA.Issue(leaf("somebody", tlstest.P256)), "28P01", "authentication failed"},
		"missing":                    {nil, "28000", "connection requires a valid client certificate"},
		"of a CA that nobody knows":  {stranger.Issue(leaf(servers.User, tlstest.P256)), "08001", "client certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			var env []string
			if row.pair != nil {
				certificate, key, err := row.pair.WriteFiles(t.TempDir(), "client")
				if err != nil {
					t.Fatal(err)
				}
				env = []string{"PGORIGIN_TLS_CERT_FILE=" + certificate, "PGORIGIN_TLS_KEY_FILE=" + key}
			}
			origin := startOrigin(t, shared.postgres.Addr, env...)
			database := "dbname=" + servers.MutualDatabase
			if row.code == "" {
				mustExec(ctx, t, connect(ctx, t, origin.Addr, database), "SELECT 1")
				return
			}
			answer := refusal(ctx, t, origin.Addr, database)
			if answer.Code != row.code || !strings.Contains(answer.Message, row.words) {
				t.Errorf("a client is told %s %s", answer.Code, answer.Message)
			}
			if row.code != "08001" {
				return // the server's own words
			}
			if !strings.Contains(answer.Hint, "PGORIGIN_TLS_CERT_FILE") {
				t.Errorf("the hint is %q", answer.Hint)
			}
			if _, err := origin.AwaitSession(ctx, `"reason":"client_cert_rejected"`); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestConfigurationProblems(t *testing.T) {
	certificate, _, errOne := shared.lab.CA.Issue(tlstest.Leaf{CommonName: servers.User}).WriteFiles(t.TempDir(), "one")
	_, otherKey, errOther := shared.lab.CA.Issue(tlstest.Leaf{CommonName: servers.User}).WriteFiles(t.TempDir(), "other")
	free, errPort := shared.lab.Port()
	if err := errors.Join(errOne, errOther, errPort); err != nil {
		t.Fatal(err)
	}
	taken := startOrigin(t, shared.postgres.Addr)
	for name, row := range map[string]struct {
		env   []string
		code  int
		words []string
	}{
		"nothing set": {nil, 78, []string{"PGORIGIN_UPSTREAM_ADDR"}},
		"all at once": {
			[]string{"PGORIGIN_UPSTREAM_ADR=db", "PGORIGIN_DIAL_TIMEOUT=soon", "PGORIGIN_TLS_MIN_VERSION=1.1", "PGORIGIN_LISTEN_ADDR=0.0.0.0:6432"},
			78,
			[]string{"PGORIGIN_UPSTREAM_ADDR", "PGORIGIN_UPSTREAM_ADR", "PGORIGIN_DIAL_TIMEOUT", "soon", "PGORIGIN_TLS_MIN_VERSION", "1.1", "PGORIGIN_LISTEN_ADDR"},
		},
		"verification off": {[]string{"PGORIGIN_UPSTREAM_ADDR=db", "PGORIGIN_SSLMODE=require"}, 78, []string{"PGORIGIN_SSLMODE"}},
		"too many spares":  {[]string{"PGORIGIN_UPSTREAM_ADDR=db", "PGORIGIN_WARM_SPARES=33"}, 78, []string{"PGORIGIN_WARM_SPARES", "33"}},
		"no CA file":       {[]string{"PGORIGIN_UPSTREAM_ADDR=db", "PGORIGIN_TLS_CA_FILE=/nowhere/ca.crt"}, 78, []string{"PGORIGIN_TLS_CA_FILE", "/nowhere/ca.crt"}},
		"CA file is a key": {[]string{"PGORIGIN_UPSTREAM_ADDR=db", "PGORIGIN_TLS_CA_FILE=" + otherKey}, 78, []string{"PGORIGIN_TLS_CA_FILE", otherKey}},
		"key of another": {
			[]string{"PGORIGIN_UPSTREAM_ADDR=db", "PGORIGIN_TLS_CERT_FILE=" + certificate, "PGORIGIN_TLS_KEY_FILE=" + otherKey},
			78,
			[]string{"PGORIGIN_TLS_KEY_FILE", otherKey},
		},
		"port in use": {
			[]string{"PGORIGIN_UPSTREAM_ADDR=db", "PGORIGIN_LISTEN_ADDR=" + taken.Addr, "PGORIGIN_HEALTH_ADDR=off"},
			1,
			[]string{taken.Addr, "in use"},
		},
		"health port in use": {
			[]string{"PGORIGIN_UPSTREAM_ADDR=db", "PGORIGIN_LISTEN_ADDR=127.0.0.1:" + free, "PGORIGIN_HEALTH_ADDR=" + strings.TrimPrefix(taken.Health, "http://")},
			1,
			[]string{strings.TrimPrefix(taken.Health, "http://"), "in use"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			env := append(row.env, noWait)
			p, err := shared.lab.StartOrigin(shared.binary, env...)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Stop()
			awaitExit(testContext(t), t, p, row.code)
			for _, word := range row.words {
				if !strings.Contains(p.Log.String(), word) {
					t.Errorf("the output lacks %q:\n%s", word, p.Log.String())
				}
			}
		})
	}
}

func writeFile(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
