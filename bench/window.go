package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// window is what happened between two moments of a run of pgbench: only transactions that ended in between count, and
// only the CPU time that was used in between.
type window struct {
	length    time.Duration
	cpu       time.Duration   // of the tunnel; zero without one
	latencies []time.Duration // as pgbench has them: of each transaction, its connecting excluded
	gaps      []time.Duration // between the ends of two transactions of the same client
	calls     float64         // system calls of the tunnel, if they were counted
}

// readLogs takes from pgbench's logs, one for each thread, what ended between first and last.
func (w *window) readLogs(folder string, first, last time.Time) error {
	logs, err := filepath.Glob(filepath.Join(folder, "log.*"))
	if err != nil {
		return fmt.Errorf("find logs of pgbench: %w", err)
	}
	previous := map[string]time.Time{} // end of the client's transaction before
	for _, path := range logs {
		file, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("read log of pgbench: %w", err)
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			client, latency, end, err := parseLog(lines.Text())
			if err != nil {
				_ = file.Close()
				return err
			}
			if !end.Before(first) && !end.After(last) {
				w.latencies = append(w.latencies, latency)
				if before, ok := previous[client]; ok {
					w.gaps = append(w.gaps, end.Sub(before))
				}
			}
			previous[client] = end
		}
		if err := file.Close(); err != nil {
			return fmt.Errorf("read log of pgbench: %w", err)
		}
	}
	slices.Sort(w.latencies)
	slices.Sort(w.gaps)
	return nil
}

// parseLog reads "client number latency script seconds microseconds", both times in microseconds.
func parseLog(line string) (client string, latency time.Duration, end time.Time, err error) {
	fields := strings.Fields(line)
	if len(fields) < 6 {
		return "", 0, end, fmt.Errorf("read log of pgbench: line %q", line)
	}
	var numbers [3]int64
	for i, field := range []string{fields[2], fields[4], fields[5]} {
		if numbers[i], err = strconv.ParseInt(field, 10, 64); err != nil {
			return "", 0, end, fmt.Errorf("read log of pgbench: line %q: %w", line, err)
		}
	}
	return fields[0], time.Duration(numbers[0]) * time.Microsecond, time.Unix(numbers[1], numbers[2]*1000), nil
}

// perSecond is how many transactions ended in a second.
func (w *window) perSecond() float64 { return float64(len(w.latencies)) / w.length.Seconds() }

// cpuPer is the tunnel's CPU time for each transaction, in microseconds.
func (w *window) cpuPer() float64 { return micros(w.cpu) / float64(len(w.latencies)) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// quantile of sorted times: 0.5 is the median; zero of none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
