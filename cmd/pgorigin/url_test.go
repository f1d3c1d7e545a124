package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
)

// urlEnv has the URL of an application in the place of the other variables of w.
func (w checkWorld) urlEnv(t *testing.T, addr, parameters string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, w.ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	env := slices.DeleteFunc(w.env(""), func(entry string) bool { return strings.HasPrefix(entry, "PGORIGIN_TLS_CA_PEM=") })
	return append(env,
		"PGORIGIN_UPSTREAM_URL=postgres://app:s3cret@"+addr+"/shop?sslrootcert="+file+parameters)
}

func TestCheckOfAURL(t *testing.T) {
	w := newCheckWorld()
	s := startScripted(t, overTLS(w.good, sasl()))
	env := w.urlEnv(t, s.addr, "&sslmode=require")
	got := runWith(t, env, "check")
	if got.code != cli.ExitOK || strings.Contains(got.stdout+got.stderr, "s3cret") {
		t.Errorf("%+v", got)
	}
	cmdtest.Contains(t, unwrapped(got.stdout), "sslrootcert in PGORIGIN_UPSTREAM_URL",
		"PGORIGIN_UPSTREAM_URL has sslmode=require, which verifies less")
	if streams := s.end(); len(streams) == 0 {
		t.Error("nobody connected")
	}
}

// TestCheckAsksAsTheUserOfTheURL: a server may know more of a user that it knows.
func TestCheckAsksAsTheUserOfTheURL(t *testing.T) {
	w := newCheckWorld()
	s := startScripted(t, overTLS(w.good, sasl()))
	report, _ := checked(t, w.urlEnv(t, s.addr, ""), "--login", "--password-file", "/nowhere")
	for _, p := range report.Problems {
		if p.Variable == "PGUSER" {
			t.Errorf("%+v", p)
		}
	}
	report, _ = checked(t, w.env(s.addr), "--login")
	if len(report.Problems) != 1 || report.Problems[0].Variable != "PGUSER" {
		t.Errorf("%+v", report.Problems)
	}
}

func TestCheckTriesAnotherPortOfAURL(t *testing.T) {
	w := newCheckWorld()
	const host = "127.0.0.46"
	startScriptedOn(t, host+":5432", overTLS(w.good, sasl()))
	out, got := checked(t, w.urlEnv(t, host+":6432", ""))
	const want = "Set the port in PGORIGIN_UPSTREAM_URL to 5432 (tried: it connects)."
	if out.Failed == nil || !strings.HasPrefix(out.Failed.Cure, want) {
		t.Errorf("want %q in %s", want, got.stdout)
	}
}

// TestBadURLsEndTheStart: before anything listens, with the cure, and without user and password.
func TestBadURLsEndTheStart(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://us3cret:s3cret@a,b/d":              "PGORIGIN_UPSTREAM_URL: expected one host",
		"postgres://us3cret:s3cr%et@a/d":               "PGORIGIN_UPSTREAM_URL: the password has a %",
		"postgres://us3cret:s3cret@a?service=x":        "PGORIGIN_UPSTREAM_URL: service is about a file of libpq",
		"postgres://us3cret:s3cret@%2Frun/d":           "PGORIGIN_UPSTREAM_URL: the URL leads to a Unix socket",
		"postgres://us3cret:s3cret@a?sslrootcert=ca":   "PGORIGIN_UPSTREAM_URL: sslrootcert in the URL is the relative path",
		"postgres://us3cret:s3cret@a?sslcrl=/nowhere":  `sslcrl in PGORIGIN_UPSTREAM_URL: saw "/nowhere": cannot be read`,
		"postgres://us3cret:s3cret@a?sslcert=/nowhere": "PGORIGIN_TLS_KEY_FILE: is not set although sslcert in PGORIGIN_UPSTREAM_URL is",
	} {
		for _, command := range []string{"run", "config"} {
			got := runWith(t, []string{"PGORIGIN_UPSTREAM_URL=" + url, "PGORIGIN_UPSTREAM_WAIT=0"}, command)
			if got.code != cli.ExitConfig || !strings.Contains(got.stderr, "has 1 problem:\n"+want) || strings.Contains(got.stderr, "s3cret") {
				t.Errorf("%s with %s: %+v", command, url, got)
			}
		}
	}
}
