package main

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// machine is what a run ran on, and the programs that it ran.
type machine struct {
	Date     string // of the run, UTC
	CPU      string
	Cores    int
	Memory   string
	Kernel   string
	Versions []string
}

func (s *stage) describeMachine(ctx context.Context) (machine, error) {
	m := machine{Date: time.Now().UTC().Format("2006-01-02 15:04 UTC"), CPU: cpuModel(), Cores: runtime.NumCPU()}
	var err error
	if m.Kernel, m.Memory, err = kernel(); err != nil {
		return m, err
	}
	for _, o := range s.origins {
		m.Versions = append(m.Versions, o.label+": "+says(ctx, "pgorigin", o.path, "version"))
	}
	m.Versions = append(m.Versions,
		says(ctx, "", "psql", "--version")+", server and clients",
		says(ctx, "PgBouncer", "pgbouncer", "--version")+", "+says(ctx, "tls: ", "pgbouncer", "--version"),
		says(ctx, "stunnel", "stunnel", "-version")+", "+says(ctx, "Running ", "stunnel", "-version"),
		"naive relay: "+runtime.Version(),
	)
	return m, nil
}

// cpuModel is the processor's name for itself.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// says is the first line that begins with prefix of what a program says about itself, to either output.
func says(ctx context.Context, prefix, name string, args ...string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		path = "/usr/sbin/" + name // Debian's place, often missing from the PATH
	}
	out, _ := exec.CommandContext(ctx, path, args...).CombinedOutput() // stunnel ends with 1 here
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, prefix) {
			return strings.Join(strings.Fields(line), " ")
		}
	}
	return name + ": version unknown"
}
