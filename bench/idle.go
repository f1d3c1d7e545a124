package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// settle is how long sessions idle before memory is read: longer than the two minutes after which Go's runtime collects
// garbage in an idle process, and returns what is free.
const settle = 150 * time.Second

// idleResults are the queries that each session runs once, by how much they answer.
func idleResults() [][2]string {
	return [][2]string{
		{"300 B result", "SELECT repeat('x', 300)"},
		{"200 KB result", "SELECT repeat('x', 200000)"},
	}
}

// idleCounts are the two numbers of sessions and, for the tables, why the second is not the 10,000 that it should be.
func (s *stage) idleCounts() (few, many int, why string) {
	if s.quick {
		return 10, 20, ""
	}
	few, many = 2000, 10_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return few, few, "limit of descriptors unknown"
	}
	// A session takes two descriptors; stunnel keeps its number of clients below 125/256 of the limit.
	if most := int(limit.Max)*125/256 - 60; most < many {
		return few, most, fmt.Sprintf("not 10,000: no more than %d descriptors here", limit.Max)
	}
	return few, many, ""
}

// idlePerSession is the metric that has a budget.
const idlePerSession = "resident per session"

// idleCase names a table; hasResult finds those of one result.
func idleCase(count int, result, why string) string {
	name := fmt.Sprintf("%d sessions, %s", count, result)
	if why != "" {
		name += " (" + why + ")"
	}
	return name
}

func hasResult(name, result string) bool { return strings.Contains(name, ", "+result) }

// idler is one row with its sessions, and an upstream for itself.
type idler struct {
	row     string
	tunnel  *tunnel
	before  memory
	holder  *holder
	bouncer *servers.PgBouncer
	err     error
}

// idleSessions opens sessions through all rows and lets them idle at the same time.
func idleSessions(ctx context.Context, s *stage, out *report, f figure) error {
	few, many, why := s.idleCounts()
	for _, pair := range idleResults() {
		result, query := pair[0], pair[1]
		var idlers []*idler
		for _, r := range s.shuffled() {
			if !r.connectOnly && r.name != rowDirect {
				idlers = append(idlers, s.newIdler(ctx, r))
			}
		}
		s.idle(ctx, out, f, idlers, idleCase(few, result, ""), query, few)
		s.idle(ctx, out, f, idlers, idleCase(many, result, why), query, many)
		for _, i := range idlers {
			i.Close()
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// idle brings every row to count sessions, waits and reads what they cost.
func (s *stage) idle(ctx context.Context, out *report, f figure, idlers []*idler, name, query string, count int) {
	for _, i := range idlers {
		if i.err == nil {
			i.err = i.holder.open(count, query)
		}
	}
	rest := settle
	if s.quick {
		rest = s.span()
	}
	cpu := map[*idler]time.Duration{}
	for _, i := range idlers {
		cpu[i] = i.cpu()
	}
	if err := pause(ctx, rest); err != nil {
		return
	}
	for _, i := range idlers {
		used := i.cpu() - cpu[i]
		values, err := i.perSession(count)
		c := cell{figure: f.name, situation: name, row: i.row}
		if err != nil {
			out.fail(fmt.Errorf("hold %d sessions through %s: %w", count, i.row, err))
			out.miss(c, f.metrics, failed)
			continue
		}
		out.add(c, f.metrics, append(values, micros(used)/1000/rest.Seconds()))
	}
}

// newIdler starts a row behind a pgbouncer of its own, so that no pair of addresses runs out of ports. Tens of thousands of
// logins by SCRAM would take a machine an hour and leave nothing behind that a login by MD5 does not.
func (s *stage) newIdler(ctx context.Context, r row) *idler {
	i := &idler{row: r.name}
	start, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if i.bouncer, i.err = s.upstreamBouncer(start); i.err != nil {
		return i
	}
	if i.tunnel, i.err = r.open(start, i.bouncer.Addr); i.err != nil {
		return i
	}
	if i.before, i.err = memoryOf(i.tunnel.process.PID()); i.err == nil {
		i.holder, i.err = s.newHolder(ctx, i.tunnel.as(md5User).dsn())
	}
	return i
}

// Close ends the sessions and stops what served them.
func (i *idler) Close() {
	if i.holder != nil {
		i.holder.Close()
	}
	if i.tunnel != nil {
		i.tunnel.Close()
	}
	if i.bouncer != nil {
		i.bouncer.Stop()
	}
}

// cpu is what the tunnel has used; an error stays in i.
func (i *idler) cpu() (used time.Duration) {
	if i.err == nil {
		used, i.err = cpuTime(i.tunnel.process.PID())
	}
	return used
}

// perSession is resident memory and PSS of one session in KiB.
func (i *idler) perSession(count int) ([]float64, error) {
	if i.err != nil {
		return nil, i.err
	}
	now, err := memoryOf(i.tunnel.process.PID())
	sessions := 1024 * float64(count)
	return []float64{(now.rss - i.before.rss) / sessions, (now.pss - i.before.pss) / sessions}, err
}
