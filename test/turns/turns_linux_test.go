package turns

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

const workers = 4

// Random sequences, each stopped at a random point.
func TestRandomSequences(t *testing.T) {
	var idle, busy int
	var mu sync.Mutex
	t.Run("trials", func(t *testing.T) {
		for worker := range workers {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				for i := worker; i < *trials && !t.Failed(); i += workers {
					was := trial(t, *seed+uint64(i), randomSteps)
					mu.Lock()
					if was {
						idle++
					} else {
						busy++
					}
					mu.Unlock()
				}
			})
		}
	})
	t.Logf("%d were idle, %d were not", idle, busy)
	if min(idle, busy) < *trials/10 {
		t.Errorf("%d were idle and %d were not: that compares little", idle, busy)
	}
}

// What drivers send, whole and stopped at random points.
func TestDrivers(t *testing.T) {
	for _, d := range drivers() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			for i := range uint64(max(4, *trials/50)) {
				trial(t, *seed+i, func(random *rand.Rand) []step { return d.steps[:1+random.IntN(len(d.steps))] })
			}
			if !trial(t, 0, func(*rand.Rand) []step { return d.steps }) {
				t.Error("not idle at its end")
			}
		})
	}
}

// trial plays steps, perhaps not to their end, and checks what they lead to.
func trial(t *testing.T, seed uint64, steps func(*rand.Rand) []step) (idle bool) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("the trial takes too long"))
	defer cancel()
	random := rand.New(rand.NewPCG(seed, 38))
	if !t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
		s := newSession(ctx, t, random)
		for _, step := range steps(random) {
			if s.play(step) {
				break
			}
		}
		idle = s.check()
	}) {
		t.Fail()
	}
	return idle
}

// step is what a client says without waiting for an answer, and what it does before.
type step struct {
	kind   byte
	body   string
	rest   bool // it waits for the answers to all that it said
	await  bool // it waits for the answer to its COPY
	copies bool // the COPY begins, so that nothing but copy messages may follow
	ends   bool // the COPY is over, as far as the client is concerned
}

// play says a step in random pieces. It returns true if the client stops here.
func (s *session) play(st step) (stop bool) {
	if st.rest {
		s.rest()
	}
	for st.await {
		switch s.next() {
		case 'G', 'E':
			st.await = false
		case '.', '!', 0:
			s.t.Fatalf("sent away: %s", s.log.String())
		}
	}
	fmt.Fprintf(&s.log, " c:%c(%.30q)", st.kind, st.body)
	s.copying = (s.copying || st.copies) && !st.ends
	rest := message(st.kind, st.body)
	for len(rest) > 0 {
		n := len(rest)
		if s.random.IntN(4) == 0 {
			n = 1 + s.random.IntN(n)
		}
		s.whole = n == len(rest)
		s.say(rest[:n])
		rest = rest[n:]
		if s.random.IntN(40) == 0 {
			return true
		}
	}
	return false
}
