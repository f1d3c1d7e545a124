package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each shell takes its completion script; what bash makes of it is tested beside the command.
func TestCompletionScriptsAreRead(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		ctx := testContext(t)
		text, err := exec.CommandContext(ctx, shared.binary, "completion", shell).Output()
		if err != nil {
			t.Fatal(err)
		}
		script := filepath.Join(t.TempDir(), shell)
		if err := os.WriteFile(script, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(ctx, shell, "-n", script).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
	// fish completes without a terminal, too.
	const ask = `%s completion fish | source; complete --do-complete "pgorigin wa"; complete --do-complete "pgorigin wait --"`
	fish := exec.CommandContext(testContext(t), "fish", "--no-config", "-c", strings.ReplaceAll(ask, "%s", shared.binary))
	fish.Env = []string{"HOME=" + t.TempDir(), "PATH=/usr/bin:/bin"}
	out, err := fish.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("wait\t")) || !bytes.Contains(out, []byte("--timeout")) {
		t.Errorf("fish completes to %q, %v", out, err)
	}
}

// The unit in the documentation is one that systemd takes without a word.
func TestSystemdUnit(t *testing.T) {
	page, err := os.ReadFile("../../docs/how-to/systemd.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```ini\n(\\[Unit\\].*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("there is no unit")
	}
	unit := filepath.Join(t.TempDir(), "pgorigin.service")
	text := strings.ReplaceAll(string(block[1]), "/usr/local/bin/pgorigin", shared.binary)
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(testContext(t), "systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
