package tlsorigin

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Everything that is remembered, at its limit: random operations beside a simple model.

// A bar that lasts for as long as a trust outlives any number of sessions; a session that is found is the
// latest set.
func TestSessionsModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const life = time.Minute
		random := rand.New(rand.NewPCG(3, 11))
		all := newSessions(life, nil)
		latest, barred := map[sessionKey]*tls.ClientSessionState{}, map[sessionKey]bool{}
		bars := 0
		for step := range 20_000 {
			key := sessionKey{strconv.Itoa(random.IntN(maxSessions + 20)), testName}
			switch random.IntN(40) {
			case 0:
				if bars < maxSessions/2 { // a few servers complain
					bars++
					barred[key] = true
					all.set(key, resumable{})
				}
			case 1:
				all.drop(key)
				delete(latest, key)
			case 2:
				time.Sleep(time.Duration(random.IntN(20)) * time.Second)
			default:
				s := resumable{new(tls.ClientSessionState), time.Now().Add(life)}
				all.set(key, s)
				latest[key] = s.state
			}
			got := all.find(key)
			if got.state != nil && (barred[key] || got.state != latest[key]) {
				t.Fatalf("step %d: found a session of %v, barred %t", step, key, barred[key])
			}
			if len(all.known) > maxSessions {
				t.Fatalf("step %d: %d are known", step, len(all.known))
			}
		}
		for key := range barred {
			all.set(key, resumable{new(tls.ClientSessionState), time.Now().Add(life)})
			if all.find(key).state != nil {
				t.Errorf("the bar of %v was forgotten", key)
			}
		}
	})
}

// Nothing but bars: what is new is not kept, and no bar is forgotten for it.
func TestSessionsFullOfBars(t *testing.T) {
	all := newSessions(time.Minute, nil)
	for i := range maxSessions + 1 {
		all.set(sessionKey{strconv.Itoa(i), testName}, resumable{})
	}
	for i := range maxSessions + 1 {
		key := sessionKey{strconv.Itoa(i), testName}
		all.set(key, resumable{new(tls.ClientSessionState), time.Now().Add(time.Minute)})
		if all.find(key).state != nil {
			t.Errorf("resumes a session of server %d, which is barred", i)
		}
	}
	if len(all.known) > maxSessions {
		t.Errorf("%d are known", len(all.known))
	}
}

// The address that was used least recently makes room, and what is known about the others stays.
func TestPathsModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(4, 11))
		known, forgotten := map[string]KeyExchangeState{}, 0
		p := hosts{exchange: &keyExchange{hybrid: true}, known: map[string]*hostState{}, changed: func(c KeyExchangeChange) {
			if c.After == "" {
				forgotten++
				delete(known, c.Resolved)
			} else {
				known[c.Resolved] = c.After
			}
		}}
		var recent []string // the most recently used last
		states := KeyExchangeStates()
		for step := range 20_000 {
			time.Sleep(time.Nanosecond) // no two uses at one time
			addr := &net.TCPAddr{IP: net.IPv4(192, 0, 2, byte(random.IntN(2))), Port: 1 + random.IntN(maxHosts/2+20)}
			key := addr.String()
			i := slices.Index(recent, key)
			if p.known[key] != nil != (i >= 0) {
				t.Fatalf("step %d: %s is known: %t", step, key, i < 0)
			}
			r := route{host: "db.test:5432"}.to(addr)
			if random.IntN(2) == 0 {
				p.variant(func(route, net.Addr) {}, r, addr)
				if i < 0 {
					continue
				}
			} else {
				p.update(r, addr, func(e *hostState) { e.state = states[random.IntN(len(states))] })
			}
			if i >= 0 {
				recent = slices.Delete(recent, i, i+1)
			}
			recent = append(recent, key)
			recent = recent[max(0, len(recent)-maxHosts):]
		}
		for key, e := range p.known {
			if known[key] != e.state {
				t.Errorf("%s is %q, and was reported as %q", key, e.state, known[key])
			}
		}
		if len(p.known) != maxHosts || len(known) != maxHosts || forgotten == 0 {
			t.Errorf("%d are known, %d by the hook, %d were forgotten", len(p.known), len(known), forgotten)
		}
	})
}

// Handshakes that take turns, compute, wait, give up and leave: never more than maxHandshakes, and none is
// lost.
func TestTurnsModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := make(semaphore, maxHandshakes)
		var mu sync.Mutex
		var held, most, failed int
		var all sync.WaitGroup
		for i := range 8 * maxHandshakes {
			all.Go(func() {
				random := rand.New(rand.NewPCG(5, uint64(i)))
				for range 30 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(100))*time.Millisecond)
					own := newPermit(ctx, shared, time.Now().Add(time.Duration(random.IntN(100))*time.Millisecond))
					for range random.IntN(4) {
						if own.acquire() != nil {
							mu.Lock()
							failed++
							mu.Unlock()
							break
						}
						_ = own.acquire() // held already
						mu.Lock()
						held++
						most = max(most, held)
						mu.Unlock()
						time.Sleep(time.Duration(random.IntN(5)) * time.Millisecond)
						mu.Lock()
						held--
						mu.Unlock()
						own.release()
						time.Sleep(time.Duration(random.IntN(5)) * time.Millisecond)
					}
					own.release()
					cancel()
				}
			})
		}
		all.Wait()
		if most != maxHandshakes || failed == 0 || len(shared) != 0 {
			t.Errorf("%d at one time, %d without a turn, %d turns left taken", most, failed, len(shared))
		}
	})
}
