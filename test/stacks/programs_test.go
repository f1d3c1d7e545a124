//go:build stacks

package stacks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// stack is a program that judges servers. It reads jobs and prints a verdict on each.
type stack struct {
	name    string
	debian  string   // the Debian in which it runs; empty: this one
	command []string // files are in the folder programs, or in the cache of the installer
	version []string // prints it
	single  bool     // a process judges one server only
	onlyTLS bool     // a tool that does nothing else
	here    bool     // this Debian has it, or its crates, or this Go
}

// verdict is what a program printed of one job.
type verdict struct {
	Connects bool   `json:"connects"`
	Words    string `json:"words,omitempty"`
}

// job is one connection.
type job struct{ id, port, caFile, name string }

// run has a stack judge servers.
func (s stack) run(t *testing.T, enter string, jobs []job) map[string]verdict {
	t.Helper()
	batch := len(jobs)
	if s.single {
		batch = 1
	}
	verdicts := map[string]verdict{}
	for jobs := range slices.Chunk(jobs, batch) {
		s.judge(t, enter, jobs, verdicts)
	}
	return verdicts
}

// judge runs one process.
func (s stack) judge(t *testing.T, enter string, jobs []job, verdicts map[string]verdict) {
	t.Helper()
	var in bytes.Buffer
	for _, j := range jobs {
		fmt.Fprintln(&in, j.id, j.port, j.caFile, j.name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := s.start(ctx, enter, s.command)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = &in, &stderr
	out, err := cmd.Output()
	judged := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		if len(fields) != 3 {
			t.Errorf("%s printed %q", s.name, line)
			continue
		}
		v := verdict{Connects: fields[1] == "connects"}
		if err := json.Unmarshal([]byte(fields[2]), &v.Words); err != nil {
			v.Words = strings.Trim(fields[2], `"`)
		}
		v.Words = plain(v.Words)
		verdicts[fields[0]] = v
		judged++
	}
	if judged != len(jobs) {
		t.Errorf("%s judged %d of %d servers: %v %.2000s", s.name, judged, len(jobs), err, &stderr)
	}
}

func (s stack) start(ctx context.Context, enter string, command []string) *exec.Cmd {
	if s.debian != "" {
		command = append([]string{enter, filepath.Join(cacheFolder(), s.debian), shared.lab.Dir()}, command...)
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin:" + filepath.Dir(goBinary()), "LC_ALL=C",
		"HOME=" + shared.lab.Dir(), "NO_COLOR=1",
	}
	return cmd
}

// versionOf returns the exact version of a stack.
func (s stack) versionOf(t *testing.T, enter string) string {
	t.Helper()
	out, err := s.start(t.Context(), enter, s.version).CombinedOutput()
	if err != nil {
		t.Errorf("%s: version: %v %s", s.name, err, out)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	if _, version, ok := strings.Cut(line, ": go"); ok {
		line = "go" + version
	}
	return strings.TrimSpace(line)
}

func goBinary() string {
	path, _ := exec.LookPath("go")
	return path
}

// cacheFolder is where the installer puts the stacks.
func cacheFolder() string {
	if dir := os.Getenv("PGORIGIN_STACKS"); dir != "" {
		return dir
	}
	return "/var/cache/pgorigin-stacks"
}

// plain makes one short line of a text, without what differs from run to run.
func plain(words string) string {
	words = strings.Join(strings.Fields(words), " ")
	for _, cut := range []struct{ pattern, with string }{
		{`connection to server at '\S+, port \d+ failed: `, ""},          // libpq
		{`\d+\.\d+\.\d+\.\d+:\d+->\d+\.\d+\.\d+\.\d+:\d+`, "connection"}, // Go
		{`^[0-9A-F]{16}:|\b\d{15}:`, ""},                                 // a thread, before an error of OpenSSL
		{` [0-9A-F]{16}:error`, " error"},
		{`\.\./deps/openssl/openssl/`, ""},
		{`^Connecting to 127\.0\.0\.1 ?`, ""},
		{` \(_ssl\.c:\d+\)`, ""},
	} {
		words = regexp.MustCompile(cut.pattern).ReplaceAllString(words, cut.with)
	}
	if len(words) > 240 {
		words = words[:240] + "…"
	}
	return words
}
