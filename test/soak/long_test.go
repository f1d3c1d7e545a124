//go:build soak

package soak

import (
	"flag"
	"testing"
	"time"
)

var duration = flag.Duration("duration", 30*time.Minute, "how long to soak, in rounds of a minute")

// TestSoak is the long one. Resting takes a few seconds of each minute.
func TestSoak(t *testing.T) {
	const warm = 2
	rounds := max(int(*duration/time.Minute), warm+2)
	load := *duration / time.Duration(rounds) * 9 / 10
	soak(t, plan{rounds: rounds, warm: warm, load: load, every: min(10*time.Second, load/5)})
}
