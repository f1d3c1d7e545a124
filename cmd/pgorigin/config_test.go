package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// configEnv has a default, a given and an inherited value, and a secret.
func configEnv(t *testing.T) []string {
	t.Helper()
	return []string{
		"PGORIGIN_UPSTREAM_ADDR=db:6432", "PGORIGIN_ORIGINS=reporting",
		"PGORIGIN_REPORTING_UPSTREAM_ADDR=reports:5432", "PGORIGIN_REPORTING_LISTEN_ADDR=127.0.0.1:6433",
		"PGORIGIN_REPORTING_MAX_SESSIONS=20", "PGORIGIN_TLS_MIN_VERSION=1.3",
		"PGORIGIN_TLS_CA_PEM=" + string(tlstest.NewCA("config test", tlstest.P256).PEM()),
	}
}

func TestConfig(t *testing.T) {
	got := runWith(t, configEnv(t), "config")
	if got.code != cli.ExitOK || strings.Contains(got.stdout, "BEGIN CERTIFICATE") {
		t.Fatalf("%+v", got)
	}
	var lines []string
	for line := range strings.Lines(got.stdout) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	for _, want := range []string{
		"PGORIGIN_UPSTREAM_ADDR db:6432 environment",
		"PGORIGIN_LISTEN_ADDR 127.0.0.1:6432 default",
		"PGORIGIN_TLS_CA_FILE (system roots) default",
		"PGORIGIN_TLS_CA_PEM (set) environment",
		"PGORIGIN_ADMIN_ADDR off default",
		"PGORIGIN_REPORTING_UPSTREAM_ADDR reports:5432 environment",
		"PGORIGIN_REPORTING_MAX_SESSIONS 20 environment",
		"PGORIGIN_REPORTING_TLS_MIN_VERSION 1.3 PGORIGIN_TLS_MIN_VERSION",
		"PGORIGIN_REPORTING_TLS_CA_PEM (set) PGORIGIN_TLS_CA_PEM",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %q in\n%s", want, got.stdout)
		}
	}
	if want := len(config.Names()) + len(config.OriginWords()); len(lines) != want {
		t.Errorf("%d lines, want %d", len(lines), want)
	}
}

func TestConfigJSON(t *testing.T) {
	got := runWith(t, configEnv(t), "config", "--json")
	var list []config.ShownSetting
	if err := json.Unmarshal([]byte(got.stdout), &list); err != nil || got.code != cli.ExitOK {
		t.Fatalf("%+v: %v", got, err)
	}
	for _, want := range []config.ShownSetting{
		{Variable: "PGORIGIN_MAX_SESSIONS", Origin: "default", Value: "0", From: config.FromDefault, Unset: ""},
		{Variable: "PGORIGIN_TLS_CA_FILE", Origin: "default", Value: "", From: config.FromDefault, Unset: "system roots"},
		{Variable: "PGORIGIN_LOG_LEVEL", Origin: "", Value: "info", From: config.FromDefault, Unset: ""},
		{Variable: "PGORIGIN_REPORTING_TLS_MIN_VERSION", Origin: "reporting", Value: "1.3", From: "PGORIGIN_TLS_MIN_VERSION", Unset: ""},
	} {
		if !slices.Contains(list, want) {
			t.Errorf("no %+v in %s", want, got.stdout)
		}
	}
}

// TestConfigComplainsLikeRun: files are read, too, and everything is said at once.
func TestConfigComplainsLikeRun(t *testing.T) {
	env := []string{"PGORIGIN_UPSTREAM_ADDR=db:6432", "PGORIGIN_TLS_CA_FILE=/does/not/exist", "PGORIGIN_ADMIN_ADDR=:1"}
	want := runWith(t, env)
	got := runWith(t, env, "config")
	if got != want || got.code != cli.ExitConfig || strings.Count(got.stderr, "\n") != 3 {
		t.Errorf("config says %+v, run %+v", got, want)
	}
}

// TestEnvFile: the file works as it is, and with every default uncommented it means the same.
func TestEnvFile(t *testing.T) {
	file := runWith(t, nil, "env").stdout
	var given, all []string
	for line := range strings.Lines(file) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, config.Prefix) {
			given = append(given, line)
		}
		if entry := strings.TrimPrefix(line, "#"); strings.HasPrefix(entry, config.Prefix) {
			all = append(all, entry)
		}
	}
	if len(given) != 1 || len(all) != len(config.Names()) {
		t.Fatalf("%d lines are in force, %d of %d variables are there:\n%s", len(given), len(all), len(config.Names()), file)
	}
	var before, after config.Config
	for env, s := range map[*[]string]*config.Config{&given: &before, &all: &after} {
		var problems, warnings []config.Problem
		if *s, warnings, problems = config.Load(*env); len(problems)+len(warnings) > 0 {
			t.Fatal(problems, warnings)
		}
	}
	for i, v := range config.Variables(&before) {
		if got := config.Variables(&after)[i]; got != v {
			t.Errorf("%s is %q by default and %q from the file", v.Name, v.Value, got.Value)
		}
	}
}

// TestFlagsOfHelp: completion offers the flags that help explains, so each of them has to be one.
func TestFlagsOfHelp(t *testing.T) {
	for _, c := range commands() {
		for _, flag := range flagsIn(c.details) {
			got := runWith(t, nil, c.name, flag+"=1s", "--help")
			if strings.Contains(got.stderr, "not defined") {
				t.Errorf("%s has no flag %s: %s", c.name, flag, got.stderr)
			}
		}
		for _, flag := range flagLine.FindAllString(strings.ReplaceAll(c.usage, "[", "\n  "), -1) {
			if !slices.Contains(flagsIn(c.details), strings.TrimSpace(flag)) {
				t.Errorf("help of %s does not explain %s", c.name, flag)
			}
		}
	}
}

// TestBashCompletion asks a real bash.
func TestBashCompletion(t *testing.T) {
	script := filepath.Join(t.TempDir(), "completion")
	if err := os.WriteFile(script, []byte(runWith(t, nil, "completion", "bash").stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ typed, want string }{
		{"c", "check config completion"},
		{"heal", "healthcheck"},
		{"", strings.Join(commandNames(), " ")},
		{"check --no", "--no-startup"},
		{"wait ", "--timeout"},
		{"help shut", "shutdown"},
		{"completion ", "bash zsh fish"},
		{"env ", ""},
		{"nonsense ", ""},
	} {
		words := strings.Split("pgorigin "+row.typed, " ")
		cmd := exec.Command("bash", append([]string{"--norc", "-uc", `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pgorigin
complete -p pgorigin >/dev/null; echo "${COMPREPLY[*]}"`, script}, words...)...)
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != row.want {
			t.Errorf("%q is completed to %q, %v, want %q", row.typed, got, err, row.want)
		}
	}
}

// TestOtherCompletions looks at the text; whether zsh and fish read it is seen by the end-to-end suite.
func TestOtherCompletions(t *testing.T) {
	for _, shell := range []string{"zsh", "fish"} {
		got := runWith(t, nil, "completion", shell)
		for _, c := range commands() {
			if got.code != cli.ExitOK || !strings.Contains(got.stdout, shellQuote(c.summary)[1:]) || !strings.Contains(got.stdout, c.name) {
				t.Errorf("%s: %s is missing in %+v", shell, c.name, got)
			}
		}
	}
	for _, args := range [][]string{{"completion"}, {"completion", "csh"}, {"completion", "bash", "zsh"}} {
		if got := runWith(t, nil, args...); got.code != cli.ExitUsage {
			t.Errorf("%v: %+v", args, got)
		}
	}
}
