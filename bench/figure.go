package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// figure is a group of measurements that -only knows by name.
type figure struct {
	name, title string
	// how says in the documentation how it is measured.
	how     string
	metrics []metric
	// situations are measured one after the other through the same tunnel, in every round.
	situations []situation
	// connects figures show the rows that only differ in how they connect, too.
	connects bool
	// run takes the place of situations where a tunnel alone is not enough.
	run func(context.Context, *stage, *report, figure) error
	// most is how many rounds are enough for a figure that hardly varies; 0 means all.
	most int
}

// metric is a column of a figure's tables.
type metric struct {
	name, unit string
	// charted metrics are drawn, too.
	charted bool
}

// situation is one table of a figure. measure returns a value for each metric; NaN stands where there is no tunnel to have
// one.
type situation struct {
	name, upstream string
	scram          bool // clients log in by SCRAM-SHA-256
	measure        func(context.Context, *stage, *tunnel) ([]float64, error)
}

// refuses returns why r cannot be measured; empty if it can.
func (at situation) refuses(r row) string {
	switch {
	case at.scram && r.blind && at.upstream == viaPostgres:
		return noPlus
	case r.plain && at.upstream != viaPostgres:
		return onlyTLS
	}
	return ""
}

// round measures every row once.
func (f figure) round(ctx context.Context, s *stage, out *report) error {
	if f.run != nil {
		return f.run(ctx, s, out, f)
	}
	for _, upstream := range unique(collect(f.situations, func(at situation) string { return at.upstream })) {
		for _, r := range s.shuffled() {
			if r.connectOnly && !f.connects {
				continue
			}
			if err := f.row(ctx, s, out, r, upstream); err != nil {
				return err
			}
		}
	}
	return nil
}

// row measures one row in front of one upstream. What fails is noted in the report; only the end of ctx is an error.
func (f figure) row(ctx context.Context, s *stage, out *report, r row, upstream string) error {
	why := r.missing
	if why == "" {
		err := f.measure(ctx, s, out, r, upstream)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errNotHere):
			why = err.Error()
		case err != nil:
			why = failed
			out.fail(fmt.Errorf("measure %s of %s in front of %s: %w", f.name, r.name, upstream, err))
		}
	}
	if why != "" {
		for _, at := range f.at(upstream) {
			out.miss(cell{f.name, at.name, r.name}, f.metrics, why)
		}
	}
	return nil
}

// measure goes through the situations of one upstream on a fresh tunnel.
func (f figure) measure(ctx context.Context, s *stage, out *report, r row, upstream string) error {
	t, err := s.open(ctx, r, upstream)
	if err != nil {
		return err
	}
	defer t.Close()
	for _, at := range f.at(upstream) {
		if why := at.refuses(r); why != "" {
			out.miss(cell{f.name, at.name, r.name}, f.metrics, why)
			continue
		}
		values, err := at.measure(ctx, s, t)
		if err != nil {
			return err
		}
		out.add(cell{f.name, at.name, r.name}, f.metrics, values)
	}
	return nil
}

// at are the situations of one upstream.
func (f figure) at(upstream string) (some []situation) {
	for _, at := range f.situations {
		if at.upstream == upstream {
			some = append(some, at)
		}
	}
	return some
}

// errNotHere is the cause of values that a machine does not let anybody have.
var errNotHere = errors.New("not available")

// Why there is no value, besides what a row has to say for itself.
const (
	failed   = "failed"
	noTunnel = "no tunnel" // direct connections have no CPU time of one
	onlyTLS  = "pgbouncer takes nothing but TLS"
	noPlus   = "libpq refuses: SCRAM-SHA-256-PLUS in plaintext" // through a tunnel that does not know the protocol
)

// open starts a row in front of an upstream, and takes the time. Whether a program is ready is looked at every millisecond.
func (s *stage) open(ctx context.Context, r row, upstream string) (*tunnel, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	begin := time.Now()
	t, err := r.open(ctx, s.upstreams[upstream])
	if err != nil {
		return nil, err
	}
	t.took = time.Since(begin)
	return t, nil
}

// shuffled are the rows in another order each time.
func (s *stage) shuffled() []row {
	rows := append([]row(nil), s.rows...)
	rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}

// ofTunnel is value, or NaN if t is no tunnel.
func (t *tunnel) ofTunnel(value float64) float64 {
	if t.process == nil {
		return math.NaN()
	}
	return value
}

// collect is one property of each.
func collect[T any](all []T, key func(T) string) (keys []string) {
	for _, each := range all {
		keys = append(keys, key(each))
	}
	return keys
}
