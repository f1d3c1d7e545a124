package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/check"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// TestCheckOfTwoOrigins: check tests both origins even if one fails, and the report names each.
func TestCheckOfTwoOrigins(t *testing.T) {
	w := newCheckWorld()
	good := startScripted(t, overTLS(w.good, sasl()))
	wrong := startScripted(t, overTLS(certified(w.ca.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}})), sasl()))
	reporting := func(addr string) []string {
		return []string{"PGORIGIN_ORIGINS=reporting", "PGORIGIN_REPORTING_UPSTREAM_ADDR=" + addr, "PGORIGIN_REPORTING_LISTEN_ADDR=127.0.0.44:6433"}
	}
	for _, row := range []struct {
		name, first, second string
		failed              string // origin
		cure                string
	}{
		{"first wrong", wrong.addr, good.addr, "default", "Set PGORIGIN_TLS_SERVER_NAME=other.test"},
		{"second wrong", good.addr, wrong.addr, "reporting", "Set PGORIGIN_REPORTING_TLS_SERVER_NAME=other.test"},
	} {
		t.Run(row.name, func(t *testing.T) {
			env := w.env(row.first, reporting(row.second)...)
			got := runWith(t, env, "check", "--json")
			var out check.Report
			if err := json.Unmarshal([]byte(got.stdout), &out); err != nil {
				t.Fatalf("%v in %s", err, got.stdout)
			}
			if got.code != cli.ExitFailed || out.Failed == nil || out.Failed.Origin != row.failed || !strings.HasPrefix(out.Failed.Cure, row.cure) {
				t.Errorf("exit code %d, failed is %+v", got.code, out.Failed)
			}
			if len(out.Upstreams) != 2 || out.Upstreams[0].Origin != "default" || out.Upstreams[1].Origin != "reporting" {
				t.Fatalf("upstreams are %+v", out.Upstreams)
			}
			for i, u := range out.Upstreams {
				last := u.Addresses[0].Stages[len(u.Addresses[0].Stages)-1]
				if (u.Origin == row.failed) == (last.Stage == "authentication") {
					t.Errorf("upstream %d ends with stage %s", i, last.Stage)
				}
				if trusted := u.Addresses[0].Chain.TrustedBy; trusted != "PGORIGIN_TLS_CA_PEM" {
					t.Errorf("upstream %d is trusted by %s, which is inherited", i, trusted)
				}
			}
			printed := unwrapped(runWith(t, env, "check").stdout)
			cmdtest.Contains(t, printed, "\norigin reporting, upstream "+row.second, "\nupstream "+row.first, row.cure)
			if strings.Contains(printed, "first failing stage: name of "+row.second+", origin reporting") != (row.failed == "reporting") {
				t.Errorf("the verdict names another origin:\n%s", printed)
			}
		})
	}
	got := runWith(t, w.env(good.addr, append(reporting(good.addr), "PGORIGIN_REPORTING_TLS_CA_PEM="+string(w.ca.PEM()))...), "check")
	if got.code != cli.ExitOK {
		t.Errorf("%+v", got)
	}
	cmdtest.Contains(t, unwrapped(got.stdout), "PGORIGIN_TLS_CA_PEM, PGORIGIN_REPORTING_TLS_CA_PEM", "\nall good\n")
}

func TestCheckDoubtsInheritedNames(t *testing.T) {
	w := newCheckWorld()
	good := startScripted(t, overTLS(w.good, sasl()))
	env := w.env(good.addr, "PGORIGIN_ORIGINS=reporting", "PGORIGIN_REPORTING_LISTEN_ADDR=127.0.0.44:6433",
		"PGORIGIN_REPORTING_UPSTREAM_ADDR="+strings.Replace(good.addr, "127.0.0.1", "localhost", 1))
	cmdtest.Contains(t, unwrapped(runWith(t, env, "check").stdout), `origin reporting: pgorigin expects the name "db.test" from "localhost", too, because PGORIGIN_TLS_SERVER_NAME is inherited`)
}

// TestCheckSendsNoPasswordAround: a password without a host is not for several origins.
func TestCheckSendsNoPasswordAround(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := runWith(t, append(withOrigin(""), "PGUSER=app"), "check", "--login", "--password-file", file)
	if got.code != cli.ExitConfig || strings.Contains(got.stdout+got.stderr, "s3cret") {
		t.Errorf("%+v", got)
	}
	cmdtest.Contains(t, got.stderr, "has 1 problem", "--password-file", "put one for each host into PGPASSFILE")
}

// TestProblemsWithFilesOfOrigins: origins that inherit a file share its problem. It is reported once.
func TestProblemsWithFilesOfOrigins(t *testing.T) {
	for _, row := range []struct{ settings, want string }{
		{"TLS_CA_FILE=/nowhere/a", `PGORIGIN_TLS_CA_FILE: saw "/nowhere/a"`},
		{"TLS_CA_FILE=/nowhere/a REPORTING_TLS_CA_FILE=/nowhere/b", `PGORIGIN_REPORTING_TLS_CA_FILE: saw "/nowhere/b"|PGORIGIN_TLS_CA_FILE: saw "/nowhere/a"`},
		{"REPORTING_TLS_CERT_FILE=/nowhere/c", "PGORIGIN_REPORTING_TLS_KEY_FILE"},
		{"TLS_VERIFY=verify-ca", "PGORIGIN_TLS_VERIFY"},
		{"REPORTING_TLS_VERIFY=verify-ca", "PGORIGIN_REPORTING_TLS_VERIFY: |PGORIGIN_REPORTING_TLS_CA_FILE"},
		{"REPORTING_MAX_SESSIONS=x REPORTING_TLS_CA_FILE=/nowhere/b", "PGORIGIN_REPORTING_MAX_SESSIONS|PGORIGIN_REPORTING_TLS_CA_FILE"},
	} {
		env := append(withOrigin(row.settings), "PGORIGIN_UPSTREAM_WAIT=0") // else "run" holds its ports for seconds
		for _, command := range []string{"run", "check"} {
			got := runWith(t, env, command)
			if got.code != cli.ExitConfig {
				t.Errorf("%s with %s: exit code %d", command, row.settings, got.code)
			}
			cmdtest.Contains(t, got.stderr, strings.Split(row.want, "|")...)
			if n := strings.Count(got.stderr, "/nowhere/a"); n > 2 { // as the value and in the cause
				t.Errorf("said %d times:\n%s", n, got.stderr)
			}
		}
	}
}

// twoOrigins is a good configuration with an origin beside the unnamed one.
var twoOrigins = []string{
	"PGORIGIN_UPSTREAM_ADDR=db.internal", "PGORIGIN_ORIGINS=reporting",
	"PGORIGIN_REPORTING_UPSTREAM_ADDR=reports.internal:5432", "PGORIGIN_REPORTING_LISTEN_ADDR=127.0.0.1:6433",
}

// withOrigin returns twoOrigins with more settings, which have no prefix. They replace those with the same
// name.
func withOrigin(settings string) []string {
	env := slices.Clone(twoOrigins)
	for setting := range strings.FieldsSeq(settings) {
		name, _, _ := strings.Cut(config.Prefix+setting, "=")
		env = slices.DeleteFunc(env, func(entry string) bool { return strings.HasPrefix(entry, name+"=") })
		env = append(env, config.Prefix+setting)
	}
	return env
}
