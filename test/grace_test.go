package test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// graceReserve is for the cut, and for a machine that is slow.
const graceReserve = 10 * time.Second

// Whatever tells a supervisor how long to wait before SIGKILL says the same everywhere: more than a drain takes.
func TestSupervisorsWaitForTheDrain(t *testing.T) {
	want := graceReserve
	settings := readText(t, "../docs/reference/configuration.md")
	for _, name := range []string{"DELAY", "TIMEOUT"} {
		row := regexp.MustCompile("PGORIGIN_SHUTDOWN_" + name + "` \\| `([0-9a-z]+)`").FindStringSubmatch(settings)
		if row == nil {
			t.Fatalf("the page of settings has no default of SHUTDOWN_%s", name)
		}
		value, err := time.ParseDuration(row[1])
		if err != nil {
			t.Fatal(err)
		}
		want += value
	}
	numbers := 0
	for _, path := range filesWithGrace(t) {
		for _, match := range graceNumber.FindAllStringSubmatch(readText(t, path), -1) {
			numbers++
			if got, err := time.ParseDuration(match[1] + "s"); err != nil || got != want {
				t.Errorf("%s says %q, not %s", path, match[0], want)
			}
		}
	}
	if numbers < 5 {
		t.Errorf("only %d numbers were found", numbers)
	}
}

var graceNumber = regexp.MustCompile(
	`(?:stop_grace_period: |TimeoutStopSec=|(?:--stop-timeout|stop -t|stop --time)[ =]|terminationGracePeriodSeconds: )(\d+)`)

// filesWithGrace are the pages and everything that users copy or install.
func filesWithGrace(t *testing.T) []string {
	t.Helper()
	files := markdownFiles(t)
	for _, pattern := range []string{"../compose*.yaml", "../charts/*/*.yaml", "../charts/*/templates/*", "../charts/kustomize/*/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				files = append(files, path)
			}
		}
	}
	return files
}
