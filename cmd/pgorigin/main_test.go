package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files and the generated part of docs")

// outcome is what a command left behind.
type outcome struct {
	code           int
	stdout, stderr string
}

func runWith(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, env, &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

func TestHelpIsOnStdout(t *testing.T) {
	for _, args := range [][]string{
		{"help"}, {"-h"}, {"--help"}, {"-help"}, {"run", "--help"}, {"run", "-h"}, {"help", "--help"}, {"help", "run"},
	} {
		got := runWith(t, nil, args...)
		if got.code != exitOK || got.stderr != "" || !strings.Contains(got.stdout, "PGORIGIN_UPSTREAM_ADDR") {
			t.Errorf("%v = %+v", args, got)
		}
	}
	for _, args := range [][]string{
		{"healthcheck", "--help"}, {"version", "-h"}, {"help", "healthcheck"}, {"help", "version"}, {"--help"},
	} {
		got := runWith(t, nil, args...)
		if got.code != exitOK || got.stderr != "" || !strings.Contains(got.stdout, "pgorigin ") {
			t.Errorf("%v = %+v", args, got)
		}
	}
}

func TestHelpText(t *testing.T) {
	compareGolden(t, "testdata/help.golden", runWith(t, nil, "help").stdout)
}

func TestWrongUsage(t *testing.T) {
	for _, row := range []struct {
		args []string
		want string // on stderr
	}{
		{[]string{"rnu"}, `there is no command "rnu"; did you mean run?`},
		{[]string{"healthchek"}, "did you mean healthcheck?"},
		{[]string{"frobnicate"}, `there is no command "frobnicate"`},
		{[]string{"--sslmode=disable"}, "settings are environment variables"},
		{[]string{"run", "now"}, `run: unexpected argument "now"`},
		{[]string{"run", "--fast"}, "run: flag provided but not defined: -fast"},
		{[]string{"healthcheck", "--raedy"}, "healthcheck: flag provided but not defined: -raedy"},
		{[]string{"version", "--json", "x"}, "version: unexpected argument"},
		{[]string{"help", "nobody"}, `there is no command "nobody"`},
		{[]string{"help", "run", "run"}, "help: unexpected argument"},
		{[]string{"x\x1b[31m"}, `"x\x1b[31m"`},
	} {
		got := runWith(t, nil, row.args...)
		if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, row.want) {
			t.Errorf("%v = %+v, want %d and %q", row.args, got, exitUsage, row.want)
		}
		if !strings.Contains(got.stderr, `Run "pgorigin help"`) {
			t.Errorf("%v: no hint in %q", row.args, got.stderr)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}} {
		got := runWith(t, nil, args...)
		if got.code != exitOK || !strings.HasPrefix(got.stdout, "pgorigin ") || strings.Count(got.stdout, "\n") != 1 {
			t.Errorf("%v = %+v", args, got)
		}
	}
	got := runWith(t, nil, "version", "--json")
	var b build
	if err := json.Unmarshal([]byte(got.stdout), &b); err != nil || got.code != exitOK {
		t.Fatalf("%+v: %v", got, err)
	}
	if b.Version == "" || !strings.HasPrefix(b.Go, "go1.") || !strings.Contains(b.Platform, "/") {
		t.Errorf("build = %+v", b)
	}
}

// compareGolden compares got with a file, which -update rewrites.
func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("output differs from %s (run with -update and read the diff):\n%s", path, got)
	}
}
