package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/golden"
)

// outcome is the result of a command.
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
		if got.code != cli.ExitOK || got.stderr != "" || !strings.Contains(got.stdout, "PGORIGIN_UPSTREAM_ADDR") {
			t.Errorf("%v = %+v", args, got)
		}
	}
	for _, args := range [][]string{
		{"healthcheck", "--help"}, {"version", "-h"}, {"help", "healthcheck"}, {"help", "version"}, {"--help"},
	} {
		got := runWith(t, nil, args...)
		if got.code != cli.ExitOK || got.stderr != "" || !strings.Contains(got.stdout, "pgorigin ") {
			t.Errorf("%v = %+v", args, got)
		}
	}
}

func TestHelpText(t *testing.T) {
	golden.Compare(t, "testdata/help.golden", runWith(t, nil, "help").stdout)
}

// TestHelpFitsATerminal: no line of help or of the environment file is wider than 80 columns.
func TestHelpFitsATerminal(t *testing.T) {
	pages := [][]string{{"help"}, {"env"}}
	for _, cmd := range newRootCommand(new(program)).Commands() {
		pages = append(pages, []string{"help", cmd.Name()})
	}
	for _, args := range pages {
		got := runWith(t, nil, args...)
		if got.code != cli.ExitOK || got.stderr != "" {
			t.Errorf("%v: %+v", args, got)
		}
		for line := range strings.Lines(got.stdout) {
			if len(line) > 81 {
				t.Errorf("%v: %d columns: %s", args, len(line)-1, line)
			}
		}
	}
}

// TestSingleDash: a long flag with one dash means the same. Go's own package flag allows that, too.
func TestSingleDash(t *testing.T) {
	want := runWith(t, nil, "version", "--json")
	if got := runWith(t, nil, "version", "-json=true"); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestFlagsThatAreCommands: --version and --help as the first argument mean the command of that name.
func TestFlagsThatAreCommands(t *testing.T) {
	for _, row := range []struct{ flag, command []string }{
		{[]string{"--version", "--json"}, []string{"version", "--json"}},
		{[]string{"-version", "-json"}, []string{"version", "--json"}},
		{[]string{"--help", "check"}, []string{"help", "check"}},
		{[]string{"-h", "check"}, []string{"help", "check"}},
	} {
		want := runWith(t, nil, row.command...)
		if got := runWith(t, nil, row.flag...); want.code != cli.ExitOK || got != want {
			t.Errorf("%v: %+v, want %+v", row.flag, got, want)
		}
	}
}

// TestHelpThatCannotBeWritten: help on a full disk is a failure.
func TestHelpThatCannotBeWritten(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"--help"}, {"help", "check"}, {"check", "--help"}} {
		if code := run(t.Context(), args, nil, fullDisk{}, io.Discard); code != cli.ExitFailed {
			t.Errorf("%v: exit code %d, want %d", args, code, cli.ExitFailed)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

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
		{[]string{"run", "--fast"}, `run: there is no flag "--fast"; settings are environment variables`},
		{[]string{"healthcheck", "--raedy"}, `healthcheck: there is no flag "--raedy"; did you mean --ready?`},
		{[]string{"healthcheck", "-raedy"}, "did you mean --ready?"},
		{[]string{"chekc", "--json"}, `there is no command "chekc"; did you mean check?`},
		{[]string{"--listen-addr=:5432"}, "did you mean PGORIGIN_LISTEN_ADDR?"},
		{[]string{"check", "--timeout", "soon"}, `check: --timeout: expected a duration with its unit`},
		{[]string{"start"}, "did you mean run?"},
		{[]string{"help", "chekc"}, "did you mean check?"},
		{[]string{"version", "--json", "x"}, "version: unexpected argument"},
		{[]string{"help", "nobody"}, `there is no command "nobody"`},
		{[]string{"help", "run", "run"}, "help: unexpected argument"},
		{[]string{"--help", "nobody"}, `there is no command "nobody"`},
		{[]string{"--version", "x"}, "version: unexpected argument"},
		{[]string{""}, "there is no command \"\"\n"},
		{[]string{"--", "run"}, "there is no command \"run\"\n"},
		{[]string{"x\x1b[31m"}, `"x\x1b[31m"`},
		{[]string{"--=\x1b[31m"}, `bad flag syntax: --=\x1b[31m`},
	} {
		got := runWith(t, nil, row.args...)
		if got.code != cli.ExitUsage || got.stdout != "" || !strings.Contains(got.stderr, row.want) {
			t.Errorf("%v = %+v, want %d and %q", row.args, got, cli.ExitUsage, row.want)
		}
		if !strings.Contains(got.stderr, `Run "pgorigin help"`) {
			t.Errorf("%v: no hint in %q", row.args, got.stderr)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}} {
		got := runWith(t, nil, args...)
		if got.code != cli.ExitOK || !strings.HasPrefix(got.stdout, "pgorigin ") || strings.Count(got.stdout, "\n") != 1 {
			t.Errorf("%v = %+v", args, got)
		}
	}
	got := runWith(t, nil, "version", "--json")
	var b cli.Build
	if err := json.Unmarshal([]byte(got.stdout), &b); err != nil || got.code != cli.ExitOK {
		t.Fatalf("%+v: %v", got, err)
	}
	if b.Version == "" || !strings.HasPrefix(b.Go, "go1.") || !strings.Contains(b.Platform, "/") {
		t.Errorf("build = %+v", b)
	}
}
