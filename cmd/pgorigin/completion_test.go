package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
)

// TestCompletion asks as the scripts of all shells do. The end-to-end suite asks real shells.
func TestCompletion(t *testing.T) {
	for typed, want := range map[string][]string{
		"c":                           {"check", "config", "completion"},
		"heal":                        {"healthcheck"},
		"check --no":                  {"--no-startup"},
		"wait --":                     {"--timeout", "--help"},
		"help shut":                   {"shutdown"},
		"help shutdown ":              nil,
		"completion ":                 {"bash", "zsh", "fish", "powershell"},
		"inject --min-version ":       {"1.2", "1.3"},
		"inject --image-pull-policy=": {"Always", "IfNotPresent", "Never"},
		"explain cert_exp":            {"cert_expired"},
		"explain PGORIGIN_ADMIN":      {"PGORIGIN_ADMIN_ADDR"},
		"env ":                        nil,
		"nonsense ":                   nil,
	} {
		got := runWith(t, nil, append([]string{"__complete"}, strings.Split(typed, " ")...)...)
		var words []string
		for line := range strings.Lines(got.stdout) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			if word != "" && !strings.HasPrefix(word, ":") {
				words = append(words, word)
			}
		}
		slices.Sort(words)
		slices.Sort(want)
		if got.code != cli.ExitOK || !slices.Equal(words, want) {
			t.Errorf("%q is completed to %q, want %q", typed, words, want)
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		got := runWith(t, nil, "completion", shell)
		if got.code != cli.ExitOK || got.stderr != "" || !strings.Contains(got.stdout, "pgorigin") {
			t.Errorf("%s: %+v", shell, got)
		}
	}
	for _, args := range [][]string{{"completion"}, {"completion", "csh"}, {"completion", "bash", "zsh"}} {
		if got := runWith(t, nil, args...); got.code != cli.ExitUsage || !strings.Contains(got.stderr, "for which shell?") {
			t.Errorf("%v: %+v", args, got)
		}
	}
}
