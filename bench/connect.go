package main

import (
	"context"
	"fmt"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// connectPause lies between two connections of the client whose connecting is timed, so that spares can be replaced.
const connectPause = 15 * time.Millisecond

// connectP50 is the metric that has a budget.
const connectP50 = "connect to first answer, p50"

// Names of the situations, by upstream and account.
func scramConnects(upstream string) string { return "in front of " + upstream }
func md5Connects(upstream string) string   { return "in front of " + upstream + ", MD5 account" }

// connectingBySCRAM and connectingByMD5 differ in what a login costs: for the one a client hashes a password 4096 times.
func connectingBySCRAM(upstream string) situation {
	return situation{name: scramConnects(upstream), upstream: upstream, scram: true, measure: connecting(servers.User)}
}

func connectingByMD5(upstream string) situation {
	return situation{name: md5Connects(upstream), upstream: upstream, measure: connecting(md5User)}
}

// connecting measures first one client that pauses, then eight that do not. Both are brief: a machine that is shared
// changes its speed within tens of seconds, which rounds that follow each other sooner even out.
func connecting(user string) func(context.Context, *stage, *tunnel) ([]float64, error) {
	return func(ctx context.Context, s *stage, t *tunnel) ([]float64, error) {
		t = t.as(user)
		paced, err := s.script(fmt.Sprintf("SELECT 1;\n\\sleep %d ms\n", connectPause.Milliseconds()))
		if err != nil {
			return nil, err
		}
		one, err := s.churn(ctx, t, 1, "-f", paced, s.connections(30))
		if err != nil {
			return nil, err
		}
		rushed, err := s.script("SELECT 1;\n")
		if err != nil {
			return nil, err
		}
		const clients = 8
		many, err := s.churn(ctx, t, clients, "-f", rushed, s.connections(15))
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
