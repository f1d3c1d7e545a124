package main

import (
	"encoding/json"
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
	var list []config.Setting
	if err := json.Unmarshal([]byte(got.stdout), &list); err != nil || got.code != cli.ExitOK {
		t.Fatalf("%+v: %v", got, err)
	}
	for _, want := range []config.Setting{
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

// TestConfigComplainsLikeRun: config reads the files, too, and reports all problems at once.
func TestConfigComplainsLikeRun(t *testing.T) {
	env := []string{"PGORIGIN_UPSTREAM_ADDR=db:6432", "PGORIGIN_TLS_CA_FILE=/does/not/exist", "PGORIGIN_ADMIN_ADDR=:1"}
	want := runWith(t, env)
	got := runWith(t, env, "config")
	if got != want || got.code != cli.ExitConfig || strings.Count(got.stderr, "\n") != 3 {
		t.Errorf("config says %+v, run %+v", got, want)
	}
}

// TestEnvFile: the file is valid as it is. With every default in force it means the same.
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
	for i, v := range before.Settings() {
		if got := after.Settings()[i]; got.Value != v.Value {
			t.Errorf("%s is %q by default and %q from the file", v.Variable, v.Value, got.Value)
		}
	}
}
