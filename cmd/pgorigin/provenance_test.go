package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func TestBlanksDropNoPolicy(t *testing.T) {
	ca := "PGORIGIN_TLS_CA_PEM=" + string(tlstest.NewCA("blank test", tlstest.P256).PEM())
	for _, row := range []struct {
		variable, value string
		wrong           bool
	}{
		{"PGORIGIN_TLS_PINS", "  ", true},
		{"PGORIGIN_TLS_PINS", "\t\n", true},
		{"PGORIGIN_TLS_PINS", "", false},
		{"PGORIGIN_TLS_CRL_FILE", " ", true},
		{"PGORIGIN_TLS_SERVER_NAME", " ", true},
		{"PGORIGIN_AUTH_REQUIRE", " ", true},
		{"PGORIGIN_AUTH_REQUIRE", "", false},
		{"PGORIGIN_REPORTING_TLS_PINS", " ", true},
		{"PGORIGIN_LISTEN_ALLOW_UIDS", " ", true},
		{"PGORIGIN_LOG_LEVEL", " ", false},
	} {
		env := []string{
			"PGORIGIN_UPSTREAM_ADDR=db:6432", "PGORIGIN_ORIGINS=reporting", "PGORIGIN_REPORTING_UPSTREAM_ADDR=reports:5432",
			"PGORIGIN_REPORTING_LISTEN_ADDR=127.0.0.1:6433", ca, row.variable + "=" + row.value,
		}
		got := runWith(t, env, "config")
		if row.wrong != (got.code == cli.ExitConfig) || row.wrong != strings.Contains(got.stderr, row.variable+": ") {
			t.Errorf("%s=%q: exit code %d, %s", row.variable, row.value, got.code, got.stderr)
		}
	}
}

func TestConfigSaysWhereRootsComeFrom(t *testing.T) {
	ca := tlstest.NewCA("provenance test", tlstest.P256)
	file := filepath.Join(t.TempDir(), "other roots.pem")
	if err := os.WriteFile(file, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", file)
	t.Setenv("SSL_CERT_DIR", "/does/not/exist")
	upstream := "PGORIGIN_UPSTREAM_ADDR=db:6432"
	rowOf := func(env ...string) (config.Setting, string) {
		got := runWith(t, env, "config", "--json")
		var list []config.Setting
		if err := json.Unmarshal([]byte(got.stdout), &list); err != nil || got.code != cli.ExitOK {
			t.Fatalf("%+v: %v", got, err)
		}
		i := slices.IndexFunc(list, func(s config.Setting) bool { return s.Variable == "PGORIGIN_TLS_CA_FILE" })
		return list[i], got.stderr
	}
	row, doubts := rowOf(upstream)
	if want := "SSL_CERT_FILE " + file + ", SSL_CERT_DIR /does/not/exist (not found)"; row.Unset != want || !strings.HasPrefix(row.From, "SSL_CERT_") {
		t.Errorf("%+v, want %s", row, want)
	}
	if !strings.Contains(doubts, "SSL_CERT_FILE in the environment replaces the system's roots with") || !strings.Contains(doubts, "PGORIGIN_TLS_CA_FILE") {
		t.Errorf("doubts are %q", doubts)
	}
	row, doubts = rowOf(upstream, "PGORIGIN_TLS_CA_FILE="+file)
	if row.Value != file || strings.Contains(doubts, "SSL_CERT_") {
		t.Errorf("with a CA file: %+v, %s", row, doubts)
	}
}
