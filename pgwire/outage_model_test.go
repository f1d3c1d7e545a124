package pgwire

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// Clients come and leave, wait, are refused, cut off and served, in any order, until the server drains. Each
// session ends once, each client that stays is told something, and nothing is held afterwards.
func TestOutagesInAnyOrder(t *testing.T) {
	for seed := range uint64(4) {
		playOutages(t, seed)
	}
}

func playOutages(t *testing.T, seed uint64) {
	t.Helper()
	const sessions = 60
	chance := func(n int) func() int {
		random, mu := rand.New(rand.NewPCG(seed, uint64(n))), new(sync.Mutex)
		return func() int {
			mu.Lock()
			defer mu.Unlock()
			return random.IntN(n)
		}
	}
	tenth, ending, pause := chance(10), chance(len(endings())), chance(20)
	sleep := func() { time.Sleep(time.Duration(pause()) * time.Millisecond) }
	capacity := &Capacity{Logins: 3, Sessions: sessions, SessionsFrom: "the test"}
	var over, served atomic.Int64
	rig := newTCPRig(t, func(s *Server) {
		s.Capacity = capacity
		s.Trace.Ended = func(SessionInfo, SessionResult) { over.Add(1) }
	})
	var peers sync.WaitGroup
	var said [][]byte
	for _, name := range slices.Sorted(maps.Keys(endings())) {
		said = append(said, endings()[name])
	}
	play := func(upstream *pgtest.Peer) {
		defer func() { _ = upstream.Close() }()
		if _, err := upstream.Read(make([]byte, 100)); err != nil {
			return
		}
		if tenth() < 5 {
			_, _ = upstream.Write(said[ending()])
			return
		}
		_, _ = upstream.Write(pgtest.Login("pid4key4"))
		upstream.ExpectClosed()
	}
	var open func(ctx context.Context, aside func(func()), why error) (Opened, error)
	open = func(ctx context.Context, aside func(func()), why error) (Opened, error) {
		for range pause() % 3 {
			aside(func() {
				select {
				case <-time.After(time.Duration(pause()) * time.Millisecond):
				case <-ctx.Done():
				}
			})
		}
		if ctx.Err() != nil {
			return Opened{}, ctx.Err()
		}
		if why != nil && tenth() == 0 {
			return Opened{}, why
		}
		near, far := pgtest.TCPPair(t)
		peers.Go(func() { play(pgtest.NewPeer(t, far)) })
		return Opened{
			Upstream: pgtest.NewUpstream(near),
			Replace:  func(ctx context.Context, why error) (Opened, error) { return open(ctx, aside, why) },
		}, nil
	}
	rig.server.DialSession = func(ctx context.Context, aside func(func())) (Opened, error) { return open(ctx, aside, nil) }
	for range sessions {
		client := rig.connect()
		leaves := tenth() < 3
		peers.Go(func() {
			defer func() { _ = client.Close() }()
			_, _ = client.Write(pgtest.Startup("user", "app"))
			if leaves {
				sleep()
				return
			}
			if kind, _ := client.ReadMessage(); kind == 'R' {
				served.Add(1)
			}
			sleep()
		})
		if tenth() == 0 {
			sleep()
		}
	}
	time.Sleep(time.Duration(30*pause()) * time.Millisecond)
	if err := rig.server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	peers.Wait()
	capacity.logins.mu.Lock()
	defer capacity.logins.mu.Unlock()
	if held, waiting := capacity.logins.held, capacity.logins.waiting.Len(); held != 0 || waiting != 0 {
		t.Errorf("seed %d: %d logins are held, %d wait", seed, held, waiting)
	}
	if n := over.Load(); n != sessions || capacity.InUse() != 0 {
		t.Errorf("seed %d: %d of %d sessions ended, %d are counted", seed, n, sessions, capacity.InUse())
	}
	t.Logf("seed %d: %d were served", seed, served.Load())
}
