package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
)

// TestMetricsAreDocumented compares the names in docs/reference/metrics.md with those of a process that has
// served a session.
func TestMetricsAreDocumented(t *testing.T) {
	r := startRun(t, cmdtest.StartUpstream(t)...)
	client := r.Login(t)
	_, body := r.Get(t, "/metrics")
	_ = client.Close()
	r.Stop()
	r.WantExit(t, cli.ExitOK)

	page, err := os.ReadFile("../../docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	exported := namesIn(regexp.MustCompile(`(?m)^# TYPE (pgorigin_\w+)`), body)
	documented := slices.DeleteFunc(namesIn(regexp.MustCompile("`(pgorigin_\\w+)`"), string(page)),
		func(name string) bool { return strings.HasPrefix(name, "pgorigin_webhook_") }) // of another command
	if len(exported) == 0 || !slices.Equal(exported, documented) {
		t.Errorf("exported are %v,\ndocumented %v", exported, documented)
	}
}

// namesIn returns what the group of pattern matches, sorted and without repetition.
func namesIn(pattern *regexp.Regexp, text string) []string {
	var names []string
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}
