package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// MemoryGroup is a control group with a memory limit, of either version. Making one takes root.
type MemoryGroup struct{ dir string }

// NewMemoryGroup makes a group whose processes have so many bytes together.
func NewMemoryGroup(limit int) (MemoryGroup, error) {
	parent, file := "/sys/fs/cgroup", "memory.max"
	if _, err := os.Stat("/sys/fs/cgroup/memory"); err == nil {
		parent, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
	}
	dir, err := os.MkdirTemp(parent, "pgorigin-test-")
	if err != nil {
		return MemoryGroup{}, fmt.Errorf("make a control group, which takes root: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, file), []byte(strconv.Itoa(limit)), 0o644); err != nil {
		return MemoryGroup{}, fmt.Errorf("limit a control group: %w", err)
	}
	return MemoryGroup{dir}, nil
}

// Remove removes the group after its processes have ended.
func (g MemoryGroup) Remove() error { return os.Remove(g.dir) }

// Confine writes a script that runs a program within the group, and returns its path.
func (g MemoryGroup) Confine(folder, program string) (string, error) {
	script := filepath.Join(folder, filepath.Base(g.dir))
	// A shell puts itself into the group, and becomes the program.
	text := "#!/bin/sh\necho $$ > " + filepath.Join(g.dir, "cgroup.procs") + " && exec " + program + ` "$@"` + "\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		return "", fmt.Errorf("write a script: %w", err)
	}
	return script, nil
}

// Anonymous returns the anonymous memory now, 0 if the kernel does not say.
func (g MemoryGroup) Anonymous() int {
	text, _ := os.ReadFile(filepath.Join(g.dir, "memory.stat")) // none is 0
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == "rss" || name == "anon" {
			n, _ := strconv.Atoi(value)
			return n
		}
	}
	return 0
}

// Peak returns the most of all kinds of memory so far, 0 if the kernel does not say.
func (g MemoryGroup) Peak() int {
	for _, name := range []string{"memory.peak", "memory.max_usage_in_bytes"} {
		if text, err := os.ReadFile(filepath.Join(g.dir, name)); err == nil {
			n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
			return n
		}
	}
	return 0
}
