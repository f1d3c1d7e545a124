package main

import (
	"fmt"
	"math"
)

// budget is one promise of the design: what is measured, and the most that it may be.
type budget struct {
	text  string
	limit float64
	unit  string // empty for a ratio
	// measure returns what was seen of a pgorigin, by its label; false if it was not measured.
	measure func(r *report, label string) (spread, bool)
}

// peers are what budgets call the best peer: the lowest median counts.
func peers() []string { return []string{rowStunnel, rowSidecar, rowNaive} }

// budgets are the table of the design, line by line.
func budgets() []budget {
	all := []budget{
		{
			text: "CPU per small transaction, 8 clients, of pgbouncer's", limit: 1,
			measure: against("tps", "8 clients", "CPU per transaction", "", rowSidecar),
		},
		{
			text: "CPU per small transaction with bridge, 8 clients, of pgbouncer's", limit: 1,
			measure: against("tps", "8 clients", "CPU per transaction", withBridge, rowSidecar),
		},
		{text: "latency added to direct TLS, 1 client (p50), of what pgbouncer adds", limit: 1, measure: addedLatency},
	}
	for _, upstream := range []string{viaPgBouncer, viaPostgres} {
		all = append(all,
			budget{
				text: "CPU per GB, COPY out of " + upstream + ", of the best peer's", limit: 0.7,
				measure: against("copy", string(copyOut)+", "+upstream, "CPU per GB", "", peers()...),
			},
			budget{
				text: "CPU per GB, COPY into " + upstream + ", of the best peer's", limit: 1,
				measure: against("copy", string(copyIn)+", "+upstream, "CPU per GB", "", peers()...),
			})
	}
	for _, upstream := range []string{viaPgBouncer, viaPostgres} {
		for _, kind := range []struct {
			with, row string
			limit     float64
		}{{"", "", 1}, {" with a warm spare", withSpare, 0.6}, {" with bridge and spare", withBridgeAndSpare, 0.25}} {
			all = append(all, budget{
				text: "new connection to " + upstream + kind.with + ", of direct TLS", limit: kind.limit,
				measure: against("connect", scramConnects(upstream), connectP50, kind.row, rowDirect),
			})
			if kind.row != withBridgeAndSpare { // a bridge has nothing to do without SCRAM
				all = append(all, budget{
					text: "new connection to " + upstream + kind.with + ", MD5 account, of direct TLS", limit: kind.limit,
					measure: against("connect", md5Connects(upstream), connectP50, kind.row, rowDirect),
				})
			}
		}
	}
	return append(all,
		budget{text: "memory per idle session, 300 B result", limit: 20, unit: "KiB", measure: idleMemory("300 B result")},
		budget{text: "memory per idle session, 200 KB result", limit: 20, unit: "KiB", measure: idleMemory("200 KB result")},
		budget{text: "binary", limit: 16, unit: "MB", measure: atRest("binary")},
		budget{text: "resident at rest", limit: 16, unit: "MB", measure: atRest("resident at rest")},
		budget{text: "start to ready", limit: 50, unit: "ms", measure: atRest("start to ready")},
	)
}

// against compares a row of pgorigin, its label and what the name adds to it, with the best of others.
func against(figure, situation, metric, addition string, others ...string) func(*report, string) (spread, bool) {
	return func(r *report, label string) (spread, bool) {
		return ratioOf(r.find(figure, situation, label+addition, metric), r.best(figure, situation, metric, others))
	}
}

// best is the series with the lowest median; nil if nobody has one.
func (r *report) best(figure, situation, metric string, rows []string) (best *series) {
	lowest := math.Inf(1)
	for _, row := range rows {
		s := r.find(figure, situation, row, metric)
		if s == nil || len(s.Samples) == 0 {
			continue
		}
		if median := spreadOf(s.Samples).median; median < lowest {
			best, lowest = s, median
		}
	}
	return best
}

// addedLatency is what pgorigin adds to a direct connection, in terms of what pgbouncer adds, both in the same round.
func addedLatency(r *report, label string) (spread, bool) {
	var rows [3][]float64
	for i, name := range []string{label, rowSidecar, rowDirect} {
		s := r.find("latency", "SELECT 1", name, "p50")
		if s == nil || len(s.Samples) == 0 {
			return spread{}, false
		}
		rows[i] = s.Samples
	}
	mine, peer, direct := rows[0], rows[1], rows[2]
	var ratios []float64
	for i := range min(len(mine), len(peer), len(direct)) {
		if added := peer[i] - direct[i]; added > 0 { // else the machine did something else meanwhile
			ratios = append(ratios, (mine[i]-direct[i])/added)
		}
	}
	if len(ratios) == 0 {
		return spread{}, false
	}
	return spreadOf(ratios), true
}

// idleMemory is the greater of the figures for few and for many sessions.
func idleMemory(result string) func(*report, string) (spread, bool) {
	return func(r *report, label string) (worst spread, found bool) {
		for _, s := range r.Series {
			if s.Figure != "idle" || s.Row != label || s.Metric != idlePerSession || len(s.Samples) == 0 || !hasResult(s.Case, result) {
				continue
			}
			if seen := spreadOf(s.Samples); !found || seen.median > worst.median {
				worst, found = seen, true
			}
		}
		return worst, found
	}
}

func atRest(metric string) func(*report, string) (spread, bool) {
	return func(r *report, label string) (spread, bool) {
		s := r.find("start", startCase, label, metric)
		if s == nil || len(s.Samples) == 0 {
			return spread{}, false
		}
		return spreadOf(s.Samples), true
	}
}

// verdict says whether a budget is met, and by how much.
func (b budget) verdict(seen spread) string {
	if seen.median <= b.limit {
		return fmt.Sprintf("met, %.0f %% below", 100*(b.limit-seen.median)/b.limit)
	}
	return fmt.Sprintf("**not met**, %.0f %% above", 100*(seen.median-b.limit)/b.limit)
}
