package e2e

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// checkOutput is what these tests look at in the output of check --json.
type checkOutput struct {
	OK     bool
	Failed *struct{ Stage, Reason, Cure string }

	Upstreams []struct {
		Addresses []struct {
			Address string
			Stages  []struct{ Stage, Result, Text string }
			TLS     struct{ Version, Group string }
			Chain   struct {
				Verified    bool
				TrustAnchor string `json:"trust_anchor"`
			}
			KeyExchange []struct {
				Offered, Outcome string
				ClientHello      int `json:"client_hello_bytes"`
			} `json:"key_exchange"`
			Authentication []string
			Login          *struct {
				User          string
				ServerVersion string  `json:"server_version"`
				InRecovery    bool    `json:"in_recovery"`
				RoundTrip     float64 `json:"round_trip_milliseconds"`
			}
		}
	}
}

// check runs pgorigin check against an upstream and returns its exit code and its output.
func check(ctx context.Context, t *testing.T, upstream string, env []string, args ...string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, shared.binary, append([]string{"check"}, args...)...)
	// A binary with the race detector would sleep for a second before it exits.
	cmd.Env = slices.Concat([]string{
		"GORACE=atexit_sleep_ms=10",
		"PGORIGIN_UPSTREAM_ADDR=" + upstream,
		"PGORIGIN_TLS_CA_FILE=" + shared.lab.CAFile,
		"PGORIGIN_LISTEN_ADDR=127.0.0.44:6432", "PGORIGIN_HEALTH_ADDR=127.0.0.44:9632", // nobody is there
	}, env)
	data, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	out, code := string(data), cmd.ProcessState.ExitCode()
	if strings.Contains(out, servers.Password) {
		t.Error("the output has the password in it")
	}
	return code, out
}

func checkJSON(ctx context.Context, t *testing.T, upstream string, env []string, args ...string) (int, checkOutput) {
	t.Helper()
	code, text := check(ctx, t, upstream, env, append(args, "--json")...)
	var out checkOutput
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return code, out
}

// passFile writes a password file for upstream.
func passFile(t *testing.T, upstream, password string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pgpass")
	line := fmt.Sprintf("%s:%s:%s:%s\n", upstream, servers.Database, servers.User, password)
	if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckLogsInToRealServers(t *testing.T) {
	for name, upstream := range map[string]string{"postgres": shared.postgres.Addr, "pgbouncer": shared.bouncer.Addr} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			env := []string{"PGUSER=" + servers.User, "PGDATABASE=" + servers.Database, "PGPASSFILE=" + passFile(t, upstream, servers.Password)}
			code, text := check(ctx, t, upstream, env, "--login")
			t.Log(text)
			// The warning is about an IP address in place of a name.
			if code != 0 || !strings.HasSuffix(text, "\nworks, with 1 warning\n") || strings.Contains(text, "\x1b") {
				t.Errorf("exit code %d and\n%s", code, text)
			}
			code, out := checkJSON(ctx, t, upstream, env, "--login")
			if code != 0 || !out.OK || out.Failed != nil || len(out.Upstreams) != 1 || len(out.Upstreams[0].Addresses) != 1 {
				t.Fatalf("exit code %d: %+v", code, out)
			}
			a := out.Upstreams[0].Addresses[0]
			if a.Address != upstream || !a.Chain.Verified || a.Chain.TrustAnchor != `"pgorigin throw-away CA"` || a.TLS.Version != "1.3" {
				t.Errorf("%+v", a)
			}
			if !slices.Contains(a.Authentication, "SCRAM-SHA-256") || slices.Contains(a.Authentication, "SCRAM-SHA-256-PLUS") != (name == "postgres") {
				t.Errorf("authentication %v", a.Authentication)
			}
			if l := a.Login; l == nil || l.User != servers.User || l.ServerVersion == "" || l.InRecovery || l.RoundTrip <= 0 {
				t.Errorf("login %+v", l)
			}
			works := 0
			for _, row := range a.KeyExchange {
				if row.Outcome == "works" {
					works++
				} else if row.Outcome != "refused" {
					t.Errorf("key exchange: %+v", row)
				}
			}
			if works < 2 || len(a.KeyExchange) != 6 {
				t.Errorf("%d rows of the matrix work: %+v", works, a.KeyExchange)
			}
		})
	}
}

func TestCheckSendsNoCredentials(t *testing.T) {
	for name, upstream := range map[string]string{"postgres": shared.postgres.Addr, "pgbouncer": shared.bouncer.Addr} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			// A made-up account may be refused before a password is asked for, which is no fault of the way there.
			code, text := check(ctx, t, upstream, nil)
			if code != 0 || !strings.Contains(text, "authentication") || strings.Contains(text, "\n  login") {
				t.Errorf("exit code %d and\n%s", code, text)
			}
			code, text = check(ctx, t, upstream, nil, "--no-startup")
			if code != 0 || strings.Contains(text, "authentication") {
				t.Errorf("exit code %d and\n%s", code, text)
			}
		})
	}
}

func TestCheckNamesTheFaultOfARealServer(t *testing.T) {
	ctx := testContext(t)
	plain, err := shared.lab.Postgres(ctx, servers.PostgresOptions{NoTLS: true})
	if err != nil {
		t.Fatal(err)
	}
	account := []string{"PGUSER=" + servers.User, "PGDATABASE=" + servers.Database}
	for _, row := range []struct {
		name, upstream string
		env, args      []string
		stage, reason  string
	}{
		{"no TLS", plain.Addr, nil, nil, "sslrequest", "tls_refused"},
		{"wrong name", shared.postgres.Addr, []string{"PGORIGIN_TLS_SERVER_NAME=elsewhere.test"}, nil, "name", "cert_name_mismatch"},
		{
			"wrong password", shared.postgres.Addr,
			append([]string{"PGPASSFILE=" + passFile(t, shared.postgres.Addr, "wrong")}, account...),
			[]string{"--login"},
			"login", "auth_rejected",
		},
		{
			"unknown database", shared.postgres.Addr,
			append([]string{"PGPASSFILE=" + passFile(t, shared.postgres.Addr, servers.Password)}, "PGUSER="+servers.User, "PGDATABASE=nowhere"),
			[]string{"--login"},
			"login", "auth_rejected",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, out := checkJSON(ctx, t, row.upstream, row.env, row.args...)
			if code != 1 || out.OK || out.Failed == nil || out.Failed.Stage != row.stage || out.Failed.Reason != row.reason || out.Failed.Cure == "" {
				t.Errorf("exit code %d, %+v; want stage %s and reason %s", code, out.Failed, row.stage, row.reason)
			}
		})
	}
}

// Without a client certificate, TLS is as good as with one. A user may need it all the same.
func TestCheckKeepsTheClientCertificateOfAUserWhoNeedsIt(t *testing.T) {
	ctx := testContext(t)
	stranger := tlstest.NewCA("a stranger's CA", tlstest.P256).Issue(tlstest.Leaf{
		CommonName: servers.User, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	certificate, key, err := stranger.WriteFiles(t.TempDir(), "client")
	if err != nil {
		t.Fatal(err)
	}
	for database, want := range map[string]string{
		servers.Database:       "Unset PGORIGIN_TLS_CERT_FILE",
		servers.MutualDatabase: "Add the certificate of",
	} {
		t.Run(database, func(t *testing.T) {
			code, out := checkJSON(ctx, t, shared.postgres.Addr, []string{
				"PGORIGIN_TLS_CERT_FILE=" + certificate, "PGORIGIN_TLS_KEY_FILE=" + key,
				"PGUSER=" + servers.User, "PGDATABASE=" + database,
			})
			if code != 1 || out.Failed == nil || out.Failed.Reason != "client_cert_rejected" || !strings.HasPrefix(out.Failed.Cure, want) {
				t.Errorf("exit code %d, %+v; want a cure that begins with %q", code, out.Failed, want)
			}
		})
	}
}
