package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"
)

// startCase is the one table of its figure.
const startCase = "before the first client"

// atStart measures how a tunnel has started, and what it is before the first client.
func atStart(ctx context.Context, s *stage, t *tunnel) ([]float64, error) {
	if t.process == nil {
		return []float64{math.NaN(), math.NaN(), math.NaN()}, nil
	}
	if err := pause(ctx, s.span()); err != nil {
		return nil, err
	}
	rest, err := memoryOf(t.process.PID())
	if err != nil {
		return nil, err
	}
	program, err := os.Stat(fmt.Sprintf("/proc/%d/exe", t.process.PID()))
	if err != nil {
		return nil, fmt.Errorf("find program: %w", err)
	}
	return []float64{float64(t.took) / float64(time.Millisecond), rest.rss / 1e6, float64(program.Size()) / 1e6}, nil
}
