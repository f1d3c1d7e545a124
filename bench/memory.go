package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// memory is what a process occupies, in bytes: pages that are resident, and those with what is shared counted by share.
type memory struct{ rss, pss float64 }

// memoryOf reads the account of a process. It needs to be of the same user, or root.
func memoryOf(pid int) (m memory, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return m, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line) // Rss:  12345 kB
		target := map[string]*float64{"Rss:": &m.rss, "Pss:": &m.pss}[fields[0]]
		if target == nil {
			continue
		}
		if *target, err = strconv.ParseFloat(fields[1], 64); err != nil {
			return m, fmt.Errorf("read memory: line %q: %w", line, err)
		}
		*target *= 1024
	}
	return m, nil
}
