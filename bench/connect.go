package main

import (
	"context"
	"fmt"
	"time"
)

// connectPause lies between two connections of the client whose connecting is timed, so that spares can be replaced.
const connectPause = 15 * time.Millisecond

// connectP50 is the metric that has a budget.
const connectP50 = "connect to first answer, p50"

// connecting measures first one client that pauses, then eight that do not.
func connecting(upstream string) situation {
	measure := func(ctx context.Context, s *stage, t *tunnel) ([]float64, error) {
		paced, err := s.script(fmt.Sprintf("SELECT 1;\n\\sleep %d ms\n", connectPause.Milliseconds()))
		if err != nil {
			return nil, err
		}
		one, err := s.churn(ctx, t, 1, "-f", paced, s.connections(80))
		if err != nil {
			return nil, err
		}
		rushed, err := s.script("SELECT 1;\n")
		if err != nil {
			return nil, err
		}
		const clients = 8
		many, err := s.churn(ctx, t, clients, "-f", rushed, s.connections(40))
		if err != nil {
			return nil, err
		}
		millis := func(q float64) float64 { return micros(quantile(one.gaps, q)-connectPause) / 1000 }
		// pgbench connects once more, at first, to look around.
		connections := float64(len(many.latencies) + 1)
		return []float64{
			millis(0.5), millis(0.95), clients / mean(many.gaps).Seconds(), t.ofTunnel(micros(many.cpu) / connections),
		}, nil
	}
	return situation{name: "in front of " + upstream, upstream: upstream, measure: measure}
}

// connections tells pgbench how often each client connects. It is a number and not a time, of which a busy machine could
// make too few.
func (s *stage) connections(count int) string {
	if s.quick {
		count = 2
	}
	return fmt.Sprintf("--transactions=%d", count)
}

func mean(all []time.Duration) (m time.Duration) {
	for _, each := range all {
		m += each
	}
	return m / time.Duration(max(1, len(all)))
}
