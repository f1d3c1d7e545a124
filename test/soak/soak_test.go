package soak

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// suite is what all tests share.
type suite struct {
	lab      *servers.Lab
	binary   string
	postgres *servers.Postgres
	bouncer  *servers.PgBouncer
}

var shared suite

func TestMain(m *testing.M) {
	os.Exit(servers.RunSuite(m, func(ctx context.Context, lab *servers.Lab) (err error) {
		shared.lab = lab
		if shared.binary, err = lab.Build(ctx); err != nil {
			return err
		}
		// Hours of load would fill the logs, which are kept in memory.
		quiet := []string{"log_connections = off", "log_min_messages = log"}
		if shared.postgres, err = lab.Postgres(ctx, servers.PostgresOptions{Settings: quiet}); err != nil {
			return err
		}
		shared.bouncer, err = lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{
			Settings: []string{"verbose = 0", "log_connections = 0", "log_disconnections = 0", "log_pooler_errors = 0", "log_stats = 0"},
		})
		return err
	}))
}

// plan says how long a soak takes.
type plan struct {
	rounds, warm int           // warm is how many of them are the warm-up
	load         time.Duration // of one round
	every        time.Duration // between two samples under load
}

// TestSoakBriefly finds a goroutine or a descriptor that some kind of session leaves behind. For what grows slowly there is
// "make soak".
func TestSoakBriefly(t *testing.T) {
	soak(t, plan{rounds: 3, warm: 1, load: time.Second, every: 200 * time.Millisecond})
}

// rig is a pgorigin under load.
type rig struct {
	lab    *servers.Lab
	origin *servers.Origin
	meter  *meter
	addrs  []string // its listeners: for PostgreSQL, for pgbouncer
	caFile string

	mu       sync.Mutex
	reloads  int
	done     map[string]int           // by kind of load
	longest  map[string]time.Duration // likewise
	failures []string
}

// maxFailures bounds how many of them are kept.
const maxFailures = 20

func newRig(ctx context.Context, t *testing.T) *rig {
	t.Helper()
	var ports [2]string
	for i := range ports {
		var err error
		if ports[i], err = shared.lab.Port(); err != nil {
			t.Fatal(err)
		}
	}
	r := &rig{lab: shared.lab, caFile: filepath.Join(t.TempDir(), "ca.crt"), done: map[string]int{}, longest: map[string]time.Duration{}}
	if err := os.WriteFile(r.caFile, shared.lab.CA.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	admin, pool := "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	origin, err := shared.lab.Origin(ctx, shared.binary, shared.postgres.Addr,
		"PGORIGIN_TLS_CA_FILE="+r.caFile, "PGORIGIN_ADMIN_ADDR="+admin, "PGORIGIN_LOG_LEVEL=error",
		"PGORIGIN_DIAL_TIMEOUT=50s", "PGORIGIN_LOGIN_TIMEOUT=50s", // a machine that is busy is no failure
		"PGORIGIN_ORIGINS=pool", "PGORIGIN_POOL_UPSTREAM_ADDR="+shared.bouncer.Addr, "PGORIGIN_POOL_LISTEN_ADDR="+pool)
	if err != nil {
		t.Fatal(err)
	}
	r.origin, r.meter, r.addrs = origin, newMeter(origin, admin), []string{origin.Addr, pool}
	t.Cleanup(func() {
		origin.Stop()
		if t.Failed() {
			t.Logf("pgorigin's log ends with:\n%s", origin.Log.Tail(30))
		}
	})
	return r
}

// soak runs rounds of load and fails for what has grown.
func soak(t *testing.T, p plan) {
	t.Helper()
	ctx := t.Context()
	r := newRig(ctx, t)
	began := time.Now()
	var rounds []round
	t.Log(head)
	for range p.rounds {
		var floor *sample
		if len(rounds) >= p.warm {
			floor = &rounds[p.warm-1].rest
		}
		got, err := r.round(ctx, p, floor)
		if err != nil {
			t.Errorf("round %d: %v", len(rounds)+1, err)
			_ = r.origin.Signal(syscall.SIGQUIT) // Go's runtime prints all stacks and ends
			<-r.origin.Ended()
			t.Fatal(r.origin.Log)
		}
		got.ended = time.Since(began)
		rounds = append(rounds, got)
		t.Log(got.row(len(rounds)))
	}
	for _, problem := range judge(rounds, p.warm) {
		t.Error(problem)
	}
	if t.Failed() {
		t.Log(r.meter.goroutines(ctx))
	}
	for _, failure := range r.failures {
		t.Error(failure)
	}
	var counts []string
	for _, l := range r.loads() {
		counts = append(counts, fmt.Sprintf("%d %s (at most %.1fs)", r.done[l.name], l.name, r.longest[l.name].Seconds()))
		if r.done[l.name] == 0 {
			t.Errorf("there were no %s", l.name)
		}
	}
	t.Log(strings.Join(counts, ", "))
}

const head = "round     after   under load: sessions goroutines descriptors resident      heap   at rest: goroutines descriptors resident      heap"

func (r round) row(number int) string {
	most := r.highest()
	return fmt.Sprintf("%5d %9s %22d %10d %11d %8s %9s %20d %11d %8s %9s", number, r.ended.Round(time.Second),
		most.sessions, most.goroutines, most.descriptors, short(most.resident), short(most.heap),
		r.rest.goroutines, r.rest.descriptors, short(r.rest.resident), short(r.rest.heap))
}

func short(n float64) string { return fmt.Sprintf("%.2fM", n/(1<<20)) }

// round loads pgorigin for a while and waits until it is at rest, where floor is what it came to before.
func (r *rig) round(ctx context.Context, p plan, floor *sample) (round, error) {
	var got round
	var workers sync.WaitGroup
	loading, stop := context.WithTimeout(ctx, p.load)
	defer stop()
	for _, l := range r.loads() {
		for _, addr := range r.addrs {
			workers.Go(func() { r.work(ctx, loading, l, addr) })
		}
	}
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for loading.Err() == nil {
		select {
		case <-tick.C:
			// A machine that is busy enough answers late or not at all; what counts is that it does at rest.
			if s, err := r.meter.sample(ctx); err == nil {
				got.busy = append(got.busy, s)
			}
		case <-loading.Done():
		}
	}
	workers.Wait()
	var err error
	got.rest, err = r.rest(ctx, floor)
	return got, err
}

// work repeats one kind of load until loading ends. What has begun then is finished: ctx outlives it.
func (r *rig) work(ctx, loading context.Context, l load, addr string) {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for loading.Err() == nil {
		one, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New(l.name+" take too long"))
		began := time.Now()
		err := l.once(one, addr)
		cancel()
		r.note(l.name, addr, time.Since(began), err)
		select {
		case <-tick.C:
		case <-loading.Done():
		}
	}
}

func (r *rig) note(name, addr string, took time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done[name]++
	r.longest[name] = max(r.longest[name], took)
	if err != nil && len(r.failures) < maxFailures {
		upstream := "PostgreSQL"
		if addr != r.addrs[0] {
			upstream = "pgbouncer"
		}
		r.failures = append(r.failures, fmt.Sprintf("%s: %s to %s: %v", time.Now().Format(time.TimeOnly), name, upstream, err))
	}
}

// What pgorigin gets to come to rest: time for its sessions to end, then samples to see what is left, and more time if that
// is more than after the warm-up.
const (
	ending   = 2 * time.Minute
	leftover = 15 * time.Second
	looks    = 30
)

// rest waits until no session is left, collects the garbage and takes the lowest counts of several samples: what comes and
// goes, such as the end of the connection on which the last sample was asked for, is no leak. floor has the counts after
// the warm-up; nil before.
func (r *rig) rest(ctx context.Context, floor *sample) (sample, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, ending+leftover, errors.New("sessions do not end"))
	defer cancel()
	err := servers.Poll(ctx, func() error {
		now, err := r.meter.sample(ctx)
		if err == nil && now.sessions > 0 {
			err = fmt.Errorf("%d sessions are open", now.sessions)
		}
		return err
	})
	if err != nil {
		return sample{}, err
	}
	heap, err := r.meter.collect(ctx)
	if err != nil {
		return sample{}, err
	}
	lowest, err := r.meter.sample(ctx)
	if err != nil {
		return sample{}, err
	}
	lowest.heap = heap
	leftBy := time.Now().Add(leftover)
	seen := 1
	err = servers.Poll(ctx, func() error {
		now, err := r.meter.sample(ctx)
		if err != nil {
			return err
		}
		seen++
		lowest.goroutines, lowest.descriptors = min(lowest.goroutines, now.goroutines), min(lowest.descriptors, now.descriptors)
		more := floor != nil && (lowest.goroutines > floor.goroutines || lowest.descriptors > floor.descriptors)
		if seen < looks || more && time.Now().Before(leftBy) {
			return errors.New("more samples are wanted")
		}
		return nil
	})
	return lowest, err
}
