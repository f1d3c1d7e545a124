//go:build switchover

package switchover

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	poolSize = 20
	warmUp   = 3 * time.Second
	// settled is how long after the promotion new connections are begun.
	settled = 4 * time.Second
	// stopping is how long a server may take to stop. Logins that begin later cannot be severed by that.
	stopping = time.Second
)

// shape is how clients find the new primary.
type shape struct {
	name string
	// hosts are the addresses of the upstream that clients of one way use.
	hosts func(network int) []string
	// lead makes primary, 0 or 1, the one that clients reach. fence ends that, and is called before the
	// server stops. nil means that there is nothing to do.
	lead, fence func(network, primary int) error
}

func name(network int) string { return fmt.Sprintf("way%d.pgorigin.test", network) }

func shapes() []shape {
	addrs := func(network int) []string { return []string{ip(network, 1), ip(network, 2)} }
	moving := func(network int) []string { return []string{ip(network, virtual)} }
	primaryOf := func(network, primary int) string { return ip(network, primary+1) + ":" + postgresPort }
	return []shape{
		{
			name:  "name that changes its address",
			hosts: func(network int) []string { return []string{name(network)} },
			lead: func(network, primary int) error {
				shared.names.set(name(network), ip(network, primary+1))
				return nil
			},
		},
		{name: "list of both hosts; the standby takes no logins", hosts: addrs},
		{
			name: "address that moves, unreachable meanwhile", hosts: moving,
			lead: func(network, primary int) error {
				_ = mend(unreachable, ip(network, virtual)) // the first time, it is not cut off
				for i := range 2 {                          // and leads nowhere
					_ = unlead(ip(network, virtual), postgresPort, primaryOf(network, i))
				}
				return lead(ip(network, virtual), postgresPort, primaryOf(network, primary))
			},
			fence: func(network, primary int) error {
				if err := unlead(ip(network, virtual), postgresPort, primaryOf(network, primary)); err != nil {
					return err
				}
				return cut(unreachable, ip(network, virtual))
			},
		},
		{
			name: "list of both hosts; the machine of the old primary vanishes", hosts: addrs,
			fence: func(network, primary int) error { return cut(silence, ip(network, primary+1)) },
		},
	}
}

// traffic is the load of one way.
type traffic struct {
	way     way
	network int
	load    load
	pool    *pool
}

// promotion is what one round has shown.
type promotion struct {
	stop, end, over time.Time
	// stopped is how long the old primary took to stop.
	stopped time.Duration
	traffic []*traffic
}

// TestPromotions stops the primary, leaves everybody without an upstream, and promotes the standby. The peers
// have the same load afterwards, one at a time, so that nobody waits for a processor.
func TestPromotions(t *testing.T) {
	shared.dials.watch(t)
	c := &cluster{}
	for network := range netWays + len(ways()) {
		must(t, shared.dials.count(ip(network, 1), ip(network, 2), ip(network, virtual)))
	}
	whole := t // what a round starts lives on
	list, started := shapes(), map[string]string{}
	for round := range *rounds {
		s := list[round%len(list)]
		t.Run(fmt.Sprintf("%d %s", round+1, s.name), func(t *testing.T) {
			must(t, c.renew(t.Context()))
			var all []*traffic
			for i, w := range ways() {
				if w.promised {
					all = append(all, begin(t, whole, c, s, w, netWays+i, started)) // every way has its own addresses
				}
			}
			p := promote(t, c, s, all)
			t.Log(p.table(s))
			p.judge(t, s)
		})
	}
	for _, s := range list[:min(*peers, len(list))] {
		for i, w := range ways() {
			if w.promised {
				continue
			}
			t.Run(w.name+" "+s.name, func(t *testing.T) {
				must(t, c.renew(t.Context()))
				t.Log(promote(t, c, s, []*traffic{begin(t, whole, c, s, w, netWays+i, started)}).table(s))
			})
		}
	}
}

// begin starts one way to the primary, unless it has been started for this shape before. started has connection
// strings, by shape and way. What begin starts ends with the test all.
func begin(t, all *testing.T, c *cluster, s shape, w way, network int, started map[string]string) *traffic {
	t.Helper()
	for i := range 2 {
		_ = mend(silence, ip(network, i+1)) // it may have vanished before
	}
	if s.lead != nil {
		must(t, s.lead(network, c.primary))
	}
	key := s.name + w.name
	if started[key] == "" {
		var err error
		started[key], err = w.start(all, s.hosts(network))
		must(t, err)
	}
	connect := byPgx
	if w.connect != nil {
		connect = w.connect
	}
	return &traffic{
		way: w, network: network, load: load{connect: connect(started[key])}, pool: &pool{dsn: started[key]},
	}
}

// promote is one promotion under load.
func promote(t *testing.T, c *cluster, s shape, all []*traffic) *promotion {
	t.Helper()
	p := &promotion{traffic: all}
	until := make(chan struct{})
	var running sync.WaitGroup
	for _, tr := range all {
		running.Go(func() { tr.load.run(t.Context(), *rate, until) })
		if tr.way.connect == nil {
			running.Go(func() { tr.pool.run(t.Context(), poolSize, until) })
		}
	}
	pause(t.Context(), warmUp)
	p.stop = time.Now()
	if s.fence != nil {
		for _, tr := range all {
			must(t, s.fence(tr.network, c.primary))
		}
	}
	c.servers[c.primary].Stop()
	p.stopped = time.Since(p.stop)
	pause(t.Context(), *away-p.stopped)
	err := c.promote(t.Context())
	if s.lead != nil && err == nil {
		for _, tr := range all {
			must(t, s.lead(tr.network, c.primary))
		}
	}
	p.end = time.Now()
	pause(t.Context(), settled)
	close(until)
	p.over = time.Now()
	running.Wait()
	must(t, errors.Join(err, c.verify(t.Context())))
	return p
}

func (p *promotion) away() time.Duration { return p.end.Sub(p.stop) }

func (p *promotion) table(s shape) string {
	tab := newTable("way", "connects", "failed", "severed", "lost", "before p50/p99/max", "away p50/p99/max", "back p50/p99/max",
		"dials/s by address, mean (peak)", "pooled: lost", "again", "failed", "p50/p99/max")
	for _, tr := range p.traffic {
		all := sum(tr.load.results, begun(time.Time{}, p.over))
		pooled := sum(tr.pool.results, begun(p.stop, p.over))
		var dialled []string
		for _, addr := range p.addresses(s, tr) {
			mean, peak := shared.dials.between(addr, p.stop, p.end)
			dialled = append(dialled, fmt.Sprintf("%.1f (%.0f)", mean, peak))
		}
		tab.row(tr.way.name, fmt.Sprint(all.n), fmt.Sprint(all.told[failed]), fmt.Sprint(all.told[severed]), fmt.Sprint(all.told[lost]),
			sum(tr.load.results, endedBy(p.stop)).times(), sum(tr.load.results, touching(p.stop, p.end)).times(),
			sum(tr.load.results, begun(p.end, p.over)).times(), strings.Join(dialled, ", "),
			fmt.Sprint(tr.pool.losses), fmt.Sprint(pooled.n), fmt.Sprint(pooled.told[failed]), pooled.times())
	}
	text := fmt.Sprintf("\n%s: away for %s s (the primary stopped within %s), %d connections a second, %d pooled sessions%s",
		s.name, seconds(p.away()), p.stopped.Round(time.Millisecond), *rate, poolSize, tab)
	for _, tr := range p.traffic {
		if f := sum(tr.load.results, begun(time.Time{}, p.over)); f.example != nil {
			text += fmt.Sprintf("%s, for instance: %v\n", tr.way.name, f.example)
		}
	}
	return text
}

// addresses are those that dials of one way may go to.
func (p *promotion) addresses(s shape, tr *traffic) []string {
	hosts := s.hosts(tr.network)
	if hosts[0] == name(tr.network) {
		return []string{ip(tr.network, 1), ip(tr.network, 2)}
	}
	return hosts
}

// judge compares pgorigin with what it promises, by the wider bounds.
func (p *promotion) judge(t *testing.T, s shape) {
	t.Helper()
	for _, tr := range p.traffic {
		if !tr.way.promised {
			continue
		}
		waiting := sum(append(slices.Clone(tr.load.results), tr.pool.results...), touching(p.stop, p.end)).n
		for what, results := range map[string][]result{"new": tr.load.results, "pooled": tr.pool.results} {
			for _, r := range results {
				excused := r.told == lost || r.told == severed && !tr.way.owns
				excused = excused && r.began.Before(p.stop.Add(max(p.stopped, stopping)))
				if r.told != served && !excused {
					t.Errorf("%s: a %s connection, %s s after the primary was stopped, %s after %s s: %v", tr.way.name, what,
						seconds(r.began.Sub(p.stop)), r.told, seconds(r.took), r.err)
					break // one will do
				}
			}
			f := sum(results, touching(p.stop, p.end))
			if limit := limit(p.away(), waiting, *rate); f.p99 > limit {
				t.Errorf("%s: p99 of %s connections is %s s, want at most %s s", tr.way.name, what, seconds(f.p99), seconds(limit))
			}
		}
		for _, addr := range p.addresses(s, tr) {
			if mean, peak := shared.dials.between(addr, p.stop.Add(time.Second), p.end); peak > dialsBound {
				t.Errorf("%s: %.1f dials a second to %s, and %.1f in one second, want %d", tr.way.name, mean, addr, peak, dialsGoal)
			}
		}
	}
}
