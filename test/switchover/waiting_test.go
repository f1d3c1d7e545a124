//go:build switchover

package switchover

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgorigin/pgorigin/test/servers"
)

const (
	waiting = 2000
	// queuing is how long after the one the next client comes, so that there is an order.
	queuing = 2 * time.Millisecond
	// observed is how long waiting clients are looked at.
	observed = 5 * time.Second
	// overtaken is by how many places a client may be served too early or too late. Many log in at once.
	overtaken = 300
	// perWaiting is how much memory a waiting client may take, and waitingShare is a processor's for all.
	perWaiting   = 40 << 10
	waitingShare = 0.15
	// ending is how long a pgorigin whose clients only wait may take to end.
	ending = 5 * time.Second
)

// queue is many clients that wait.
type queue struct {
	all  sync.WaitGroup
	turn atomic.Int64

	mu   sync.Mutex
	told map[string]int // served, failed, or a SQLSTATE
	far  int            // the most places by which a client was served too early or too late
	err  error
}

// join lets clients come, one after the other. It returns when the last one has come.
func (q *queue) join(ctx context.Context, addr string) {
	q.told = map[string]int{}
	for place := range waiting {
		q.all.Go(func() { q.wait(ctx, addr, place) })
		pause(ctx, queuing)
	}
}

func (q *queue) wait(ctx context.Context, addr string, place int) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := pgconn.Connect(ctx, through(addr)+" connect_timeout=0")
	turn := int(q.turn.Add(1)) - 1
	if err == nil {
		defer func() { _ = conn.Conn().Close() }()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var answer *pgconn.PgError
	switch {
	case err == nil:
		q.told[string(served)]++
		q.far = max(q.far, turn-place, place-turn)
		return
	case errors.As(err, &answer):
		q.told[answer.Code]++
	default:
		q.told[string(failed)]++
	}
	q.err = err
}

// tally says what clients were told.
func (q *queue) tally() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var words []string
	for _, what := range slices.Sorted(maps.Keys(q.told)) {
		words = append(words, fmt.Sprintf("%d %s", q.told[what], what))
	}
	if q.err != nil {
		words = append(words, "for instance: "+q.err.Error())
	}
	return strings.Join(words, ", ")
}

// usage is what a process uses.
type usage struct {
	memory, files int
	processor     time.Duration
	at            time.Time
}

func use(t *testing.T, p *servers.Process) usage {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	must(t, err)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	must(t, err)
	processor, err := p.ProcessorTime()
	must(t, err)
	u := usage{files: len(files), processor: processor, at: time.Now()}
	for line := range strings.Lines(string(status)) {
		if words := strings.Fields(line); words[0] == "RssAnon:" {
			kilobytes, err := strconv.Atoi(words[1])
			must(t, err)
			u.memory = kilobytes << 10
		}
	}
	return u
}

// await starts a pgorigin in front of upstream, which is away, and lets many clients wait for it.
func await(t *testing.T, upstream string, env ...string) (*servers.Origin, *queue, usage) {
	t.Helper()
	o, err := startOrigin(t, upstream, env...)
	must(t, err)
	before, q := use(t, o.Process), &queue{}
	q.join(t.Context(), o.Addr)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err = servers.Poll(ctx, func() error {
		if n := use(t, o.Process).files - before.files; n < waiting {
			return fmt.Errorf("%d clients are there, want %d; they were told: %s", n, waiting, q.tally())
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v; the log ends with:\n%s", err, o.Log.Tail(1))
	}
	return o, q, before
}

// TestWaiting has many clients wait, and then the upstream comes back.
func TestWaiting(t *testing.T) {
	here, real := ip(netWaiting, virtual), ip(netWaiting, 1)
	bouncer, err := startBouncer(t.Context(), real)
	must(t, err)
	t.Cleanup(bouncer.Stop)
	must(t, shared.dials.count(here))
	shared.dials.watch(t)
	for _, mode := range []string{"strip", "bridge"} {
		t.Run(mode, func(t *testing.T) {
			o, q, before := await(t, here+":"+bouncerPort, "PGORIGIN_AUTH_CHANNEL_BINDING="+mode)
			first := use(t, o.Process)
			pause(t.Context(), observed)
			last := use(t, o.Process)
			_, dialled := shared.dials.between(here, first.at, last.at)
			share := (last.processor - first.processor).Seconds() / last.at.Sub(first.at).Seconds()
			each := (last.memory - before.memory) / waiting

			must(t, lead(here, bouncerPort, real+":"+bouncerPort))
			back := time.Now()
			q.all.Wait()
			took := time.Since(back)
			must(t, unlead(here, bouncerPort, real+":"+bouncerPort))
			tab := newTable("waiting clients", "memory each", "descriptors each", "processor", "dials/s, peak", "all served after",
				"overtaken by", "told")
			tab.row(fmt.Sprint(waiting), fmt.Sprintf("%.1f KiB", float64(each)/1024),
				fmt.Sprintf("%.2f", float64(last.files-before.files)/waiting), fmt.Sprintf("%.1f%%", 100*share),
				fmt.Sprintf("%.0f", dialled), seconds(took)+" s", fmt.Sprint(q.far), q.tally())
			t.Log(tab)
			switch {
			case q.told[string(served)] != waiting:
				t.Errorf("of %d waiting clients: %s", waiting, q.tally())
			case q.far > overtaken:
				t.Errorf("a client was served %d places too early or too late, want at most %d", q.far, overtaken)
			}
			if each > perWaiting || share > waitingShare || dialled > dialsBound || last.files-before.files > waiting+32 {
				t.Errorf("waiting clients take too much: %s", tab)
			}
			o.Stop()
		})
	}
}

// TestEnd ends a pgorigin whose clients wait.
func TestEnd(t *testing.T) {
	o, q, _ := await(t, ip(netWaiting, virtual-1)+":"+bouncerPort)
	began := time.Now()
	must(t, o.Signal(syscall.SIGTERM))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	code, err := o.ExitCode(ctx)
	must(t, err)
	took := time.Since(began)
	q.all.Wait()
	tab := newTable("SIGTERM, clients", "told", "ended after", "exit code")
	tab.row(fmt.Sprint(waiting), q.tally(), seconds(took)+" s", fmt.Sprint(code))
	t.Log(tab)
	const cannotConnectNow = "57P03"
	if q.told[cannotConnectNow] != waiting || took > ending || code != 0 {
		t.Errorf("want SQLSTATE %s for all, and exit code 0 within %v: %s", cannotConnectNow, ending, tab)
	}
}
