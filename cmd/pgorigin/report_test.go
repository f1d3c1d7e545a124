package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/golden"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// TestReportOfManyProblems shows the report if values, names and files are all wrong.
func TestReportOfManyProblems(t *testing.T) {
	got := runWith(t, []string{
		"PGORIGIN_UPSTREAM_ADDR=postgres://app:s3cret@db:5432/app",
		"PGORIGIN_LISTEN_ADDR=0.0.0.0:6432,unix:run/pg",
		"PGORIGIN_LISTEN_ALLOW_NON_LOOPBACK=ja",
		"PGORIGIN_TLS_SERVER_NAME=pg bouncer",
		"PGORIGIN_TLS_CA_FILE=testdata/no-such-file.crt",
		"PGORIGIN_TLS_KEY_FILE=testdata/client.key",
		"PGORIGIN_TLS_MIN_VERSION=1.1",
		"PGORIGIN_TLS_CRL_FILE=/etc/pgorigin/crl.pem",
		"PGORIGIN_DIAL_TIMEOUT=10",
		"PGORIGIN_LOGIN_TIMEOUT=0s",
		"PGORIGIN_MAX_SESSIONS=unlimited",
		"PGORIGIN_HEALTH_ADDR=[::1]:70000",
		"PGORIGIN_LOG_LEVEL=inof",
		"PGORIGIN_SSLMODE=require",
		"PGORIGIN_UPSTREM_ADDR=db",
		"PGORIGIN_PASSWORD=s3cret",
		"PGORIGIN_SERVICE_HOST=10.0.0.1",
	})
	if got.code != cli.ExitConfig || got.stdout != "" {
		t.Errorf("exit code %d, stdout %q", got.code, got.stdout)
	}
	if strings.Contains(got.stderr, "s3cret") {
		t.Error("the report repeats a password")
	}
	golden.Compare(t, "testdata/problems.golden", got.stderr)
}

func TestMissingUpstream(t *testing.T) {
	got := runWith(t, nil, "run")
	if got.code != cli.ExitConfig || !strings.Contains(got.stderr, "PGORIGIN_UPSTREAM_ADDR: not set: ") {
		t.Errorf("%+v", got)
	}
	if n := strings.Count(got.stderr, "PGORIGIN_UPSTREAM_ADDR:"); n != 1 {
		t.Errorf("the variable is reported %d times: %s", n, got.stderr)
	}
}

// TestFileProblemsNameTheirVariable: tlsorigin refuses a file, and the report names its variable.
func TestFileProblemsNameTheirVariable(t *testing.T) {
	dir := t.TempDir()
	ca := tlstest.NewCA("report test", tlstest.P256)
	caFile := write(t, dir, "ca.crt", ca.PEM())
	cert, key, err := ca.Issue(tlstest.Leaf{CommonName: "client"}).WriteFiles(dir, "client")
	if err != nil {
		t.Fatal(err)
	}
	_, otherKey, err := ca.Issue(tlstest.Leaf{CommonName: "other"}).WriteFiles(dir, "other")
	if err != nil {
		t.Fatal(err)
	}
	keyPEM, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		story, variable, shown string
		env                    []string
	}{
		{"no such CA", "TLS_CA_FILE", `saw "/no/such/ca.crt"`, []string{"TLS_CA_FILE=/no/such/ca.crt"}},
		{"a directory", "TLS_CA_FILE", dir, []string{"TLS_CA_FILE=" + dir}},
		{"a key for a CA", "TLS_CA_FILE", key, []string{"TLS_CA_FILE=" + key}},
		{"a key as CA text", "TLS_CA_PEM", "", []string{"TLS_CA_PEM=" + string(keyPEM)}},
		{"both CAs", "TLS_CA_PEM", "PGORIGIN_TLS_CA_FILE is set", []string{"TLS_CA_FILE=" + caFile, "TLS_CA_PEM=" + string(ca.PEM())}},
		{"certificate without key", "TLS_KEY_FILE", "PGORIGIN_TLS_CERT_FILE is", []string{"TLS_CA_FILE=" + caFile, "TLS_CERT_FILE=" + cert}},
		{"key without certificate", "TLS_CERT_FILE", "PGORIGIN_TLS_KEY_FILE is", []string{"TLS_CA_FILE=" + caFile, "TLS_KEY_FILE=" + key}},
		{"key of another", "TLS_KEY_FILE", otherKey, []string{"TLS_CA_FILE=" + caFile, "TLS_CERT_FILE=" + cert, "TLS_KEY_FILE=" + otherKey}},
		{"impossible name", "TLS_SERVER_NAME", `saw "a b"`, []string{"TLS_CA_FILE=" + caFile, "TLS_SERVER_NAME=a b"}},
	} {
		t.Run(row.story, func(t *testing.T) {
			env := []string{cmdtest.Upstream, "PGORIGIN_UPSTREAM_WAIT=off"} // no file comes later
			for _, setting := range row.env {
				env = append(env, config.Prefix+setting)
			}
			got := runWith(t, env)
			lines := strings.Split(strings.TrimSpace(got.stderr), "\n")
			if got.code != cli.ExitConfig || len(lines) != 2 {
				t.Fatalf("code %d, stderr\n%s", got.code, got.stderr)
			}
			if !strings.HasPrefix(lines[1], config.Prefix+row.variable+": ") || !strings.Contains(lines[1], row.shown) {
				t.Errorf("%s\nwant it to be about %s and have %q", lines[1], row.variable, row.shown)
			}
			if body := strings.Split(string(keyPEM), "\n")[1]; strings.Contains(got.stderr, body) {
				t.Error("the report repeats a key")
			}
		})
	}
}

func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
