package outage

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// Whatever happens in whatever order: clients come and leave, addresses come, go, refuse and hang. Each client ends
// exactly once and in time, nobody waits for an upstream that is fine, those who wait are served in their order, and
// no address is dialled more often than it may be. Each run plays other orders; -count=100 plays more of them. This
// is no fuzz target: most orders run all the same code, so coverage would not guide them.
func TestAnyOrder(t *testing.T) {
	for range 60 {
		seed := rand.Uint64()
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 16))
			events := make([]byte, 160)
			for i := range events {
				events[i] = byte(random.Uint32())
			}
			runModel(t, events)
		})
	}
}

func runModel(t *testing.T, events []byte) {
	inBubble(t, patience, []string{"db", "db2"}, func(t *testing.T, r *rig) {
		m := &model{rig: r, leave: map[int]func(){}}
		r.wide = func(d int) { m.asides += d }
		for len(events) >= 2 {
			m.event(events[0], events[1])
			events = events[2:]
			synctest.Wait()
			m.check()
		}
		m.end()
	})
}

type model struct {
	*rig
	came   int
	leave  map[int]func()
	asides int // clients inside aside; guarded by rig.mu
}

func (m *model) event(what, how byte) {
	of := []string{"db", "db2"}[how%2]
	healths := []health{fine, fine, refused, dropped, hung, distrust, starting, ending, mute, lacking}
	switch what % 8 {
	case 0, 1, 2:
		for range how%40 + 1 {
			ctx, leave := context.WithCancel(m.t.Context())
			m.leave[m.came] = leave
			m.client(ctx, m.came)
			m.came++
		}
	case 3:
		if leave := m.leave[int(how)%max(m.came, 1)]; leave != nil {
			leave()
		}
	case 4:
		m.set(healths[int(how/2)%len(healths)], of)
	case 5:
		m.set(healths[int(how)%len(healths)])
	case 6:
		m.mu.Lock()
		m.dnsGone = how%8 == 0
		m.latency = time.Duration(how) * time.Millisecond
		m.mu.Unlock()
	case 7:
		time.Sleep(time.Duration(how) * time.Duration(how) * 100 * time.Microsecond) // up to 6.5 s
	}
}

// check is what always holds when nothing moves.
func (m *model) check() {
	m.t.Helper()
	m.Line.mu.Lock()
	defer m.Line.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting != m.asides {
		m.t.Errorf("%d wait, and %d are in aside", m.waiting, m.asides)
	}
	if r := m.recovery; r != nil {
		if r.dialling < 0 || r.dialling > lastWindow {
			m.t.Errorf("%d of %d dial", r.dialling, r.window)
		}
		if m.outage == nil && m.queue.Len() > 0 && r.dialling < r.window {
			m.t.Errorf("%d wait, though only %d of %d dial", m.queue.Len(), r.dialling, r.window)
		}
	}
	if (m.prober != nil) != (m.outage != nil && m.queue.Len() > 0) {
		m.t.Errorf("prober %v, outage %v, %d in line", m.prober, m.outage, m.queue.Len())
	}
	for i, p := range m.queue {
		if p.index != i || p.woken == nil && p.pending == nil || p.given != (grant{}) {
			m.t.Errorf("number %d in line is %+v", i, p)
		}
	}
	if m.outage != nil {
		for _, a := range m.outage.addresses {
			if a.dialling < 0 || a.connected < 0 || a.trials < 0 || a.connected > a.dialling || a.dialling > maxProbes {
				m.t.Errorf("address %+v", a)
			}
		}
	}
}

// end lets the upstream be fine, and looks at what came of all.
func (m *model) end() {
	m.t.Helper()
	m.mu.Lock()
	m.dnsGone, m.latency = false, 5*time.Millisecond
	before := len(m.began)
	m.mu.Unlock()
	m.set(fine)
	m.Line.mu.Lock()
	var waited []uint64
	for _, p := range m.queue {
		if p.pending == nil { // others have dialled
			waited = append(waited, p.arrival)
		}
	}
	m.Line.mu.Unlock()
	// A name is asked for once a second, and a probe may be hung. The last dial that is stuck may be the only one.
	m.pass(dialTimeout + askTime + quietTime + time.Second)
	m.check()
	if n := m.Waiting(); n > 0 {
		m.t.Errorf("%d wait for an upstream that is fine", n)
	}
	m.expectOrder(waited, before)
	m.pass(3 * dialTimeout) // dials that are stuck, logins that are mute
	m.expectPace()
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.served) + len(m.failed) + len(m.lost); n != m.came {
		m.t.Errorf("%d clients came, %d ended", m.came, n)
	}
	for id, took := range m.took {
		if took > patience+4*dialTimeout {
			m.t.Errorf("client %d took %v", id, took)
		}
	}
}

// expectOrder fails unless those who waited dialled in the order in which they came, as far as several dial at one
// time.
func (m *model) expectOrder(waited []uint64, before int) {
	m.t.Helper()
	slices.Sort(waited)
	m.mu.Lock()
	defer m.mu.Unlock()
	var order []uint64
	for _, id := range m.began[before:] {
		a := m.arrivals[id]
		if _, found := slices.BinarySearch(waited, a); found && !slices.Contains(order, a) {
			order = append(order, a)
		}
	}
	for i, a := range slices.Sorted(slices.Values(order)) {
		if at := slices.Index(order, a); at-i > lastWindow || i-at > lastWindow {
			m.t.Errorf("number %d in line was number %d to dial", i, at)
		}
	}
}
