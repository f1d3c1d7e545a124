package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCompletionScriptsAreRead: each shell parses its completion script. Debian has no PowerShell.
func TestCompletionScriptsAreRead(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script := completionScript(t, shell)
		out, err := exec.CommandContext(testContext(t), shell, "-n", script).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
}

// TestCompletionInShells asks shells that need no terminal for it.
func TestCompletionInShells(t *testing.T) {
	const bash = `source /usr/share/bash-completion/bash_completion; source "$0"
compopt() { :; } # works only while somebody presses TAB
COMP_LINE=$1; COMP_POINT=${#COMP_LINE}; read -ra COMP_WORDS <<<"$COMP_LINE"
[[ $COMP_LINE == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); __start_pgorigin; printf '%s\n' "${COMPREPLY[@]}"`
	ask := map[string][]string{
		"bash": {"bash", "--norc", "-c", bash, completionScript(t, "bash")},
		"fish": {"fish", "--no-config", "-c", `source $argv[1]; complete --do-complete $argv[2]`, completionScript(t, "fish")},
	}
	for shell, args := range ask {
		for typed, want := range map[string][]string{
			"pgorigin wa":                    {"wait"},
			"pgorigin wait --ti":             {"--timeout"},
			"pgorigin inject --min-version ": {"1.2", "1.3"},
		} {
			cmd := exec.CommandContext(testContext(t), args[0], append(args[1:], typed)...)
			cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + filepath.Dir(shared.binary) + ":/usr/bin:/bin"}
			out, err := cmd.Output()
			var words []string
			for line := range strings.Lines(string(out)) {
				words = append(words, strings.Fields(line)[0])
			}
			if err != nil || !slices.Equal(words, want) {
				t.Errorf("%s completes %q to %q, %v, want %q", shell, typed, out, err, want)
			}
		}
	}
}

// completionScript writes the script of a shell to a file and returns its name.
func completionScript(t *testing.T, shell string) string {
	t.Helper()
	text, err := exec.CommandContext(testContext(t), shared.binary, "completion", shell).Output()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), shell)
	if err := os.WriteFile(script, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return script
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
