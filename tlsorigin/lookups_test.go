package tlsorigin

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

var errServfail = &net.DNSError{Err: "server misbehaving", Name: "db.test", IsTemporary: true}

// TestLookups: DNS that is slow, fails, or says no; with and without an earlier answer.
func TestLookups(t *testing.T) {
	const none = "dns_no_address"
	notFound := &net.DNSError{Err: "no such host", Name: "db.test", IsNotFound: true}
	for _, row := range []struct {
		name  string
		age   time.Duration // of the earlier answer; zero: there is none
		delay time.Duration
		err   error
		ips   []string
		wins  string
		took  time.Duration
	}{
		{"new answer", time.Minute, 0, nil, []string{"10.0.0.2"}, "10.0.0.2", 0},
		{"no earlier answer, slow", 0, 3 * time.Second, nil, []string{"10.0.0.2"}, "10.0.0.2", 3 * time.Second},
		{"slow", time.Minute, 3 * time.Second, nil, []string{"10.0.0.2"}, "10.0.0.1", stagger},
		{"not quite slow", time.Minute, 200 * time.Millisecond, nil, []string{"10.0.0.2"}, "10.0.0.2", 200 * time.Millisecond},
		{"slow, the earlier answer is too old", staleFor + time.Second, 3 * time.Second, nil, []string{"10.0.0.2"}, "10.0.0.2", 3 * time.Second},
		{"silent", time.Minute, 0, errSlow, nil, "10.0.0.1", stagger},
		{"silent, no earlier answer", 0, 0, errSlow, nil, "upstream_dns", 10 * time.Second},
		{"silent, the earlier answer is too old", staleFor + time.Second, 0, errSlow, nil, "upstream_dns", 10 * time.Second},
		{"fails", time.Minute, 0, errServfail, nil, "10.0.0.1", 0},
		{"fails, almost too old", staleFor, 0, errServfail, nil, "10.0.0.1", 0},
		{"fails, too old", staleFor + time.Second, 0, errServfail, nil, "upstream_dns", 0},
		{"fails, no earlier answer", 0, 0, errServfail, nil, "upstream_dns", 0},
		{"no such name is an answer", time.Minute, 0, notFound, nil, "upstream_dns", 0},
		{"no address is an answer", time.Minute, 0, nil, nil, none, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t)
				w.put("10.0.0.1", peertest.PipeTo(w.good))
				w.put("10.0.0.2", peertest.PipeTo(w.good))
				if row.age > 0 {
					w.is("db.test", "10.0.0.1")
					w.expect("10.0.0.1", 0)
					time.Sleep(row.age)
				}
				w.answers("db.test", row.delay, row.err, row.ips...)
				w.expect(row.wins, row.took)
				w.checkClosed()
			})
		})
	}
}

// TestUnansweredIPv6: a DNS server that never answers a question for IPv6 delays the first dial a little.
func TestUnansweredIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, "a.test:6432", "b.test:6432")
		w.onlyIPv4 = true
		w.is("a.test", "10.0.0.1")
		w.is("b.test", "10.0.0.2")
		w.put("10.0.0.1", peertest.PipeTo(w.good))
		w.put("10.0.0.2", peertest.PipeTo(w.good))
		for range 3 {
			w.expect("10.0.0.1", stagger)
		}
		w.is("a.test", "10.0.0.2")
		w.dial() // by either answer: both come after stagger
		time.Sleep(time.Second)
		w.expect("10.0.0.2", stagger)
		w.checkClosed()
	})
}

// TestSlowAnswerServesTheNextDial: a lookup goes on when the dial has gone another way.
func TestSlowAnswerServesTheNextDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		w.is("db.test", "10.0.0.1")
		w.expect("10.0.0.1", 0)
		w.answers("db.test", 300*time.Millisecond, nil, "10.0.0.2")
		w.expect("10.0.0.1", stagger)
		time.Sleep(time.Second)
		w.expect("10.0.0.2", stagger)
	})
}

// TestLookupsAreShared: dials of one moment ask once, and a lookup that hangs holds up no later one for long.
func TestLookupsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		w.answers("db.test", 0, errSlow)
		done := make(chan string)
		for range 50 {
			go func() {
				got, _ := w.dial()
				done <- got
			}()
		}
		synctest.Wait()
		if w.asked != 1 {
			t.Errorf("asked %d times", w.asked)
		}
		time.Sleep(2 * stagger)
		w.is("db.test", "10.0.0.2")
		w.expect("10.0.0.2", 0)
		for range 50 {
			if got := <-done; got != "upstream_dns" {
				t.Errorf("got %s", got)
			}
		}
	})
}

// TestNamesOfAList are looked up side by side. A slow one keeps its turn for a moment.
func TestNamesOfAList(t *testing.T) {
	for _, row := range []struct {
		name  string
		delay time.Duration
		err   error
		wins  string
		took  time.Duration
	}{
		{"both at once", 0, nil, "10.0.0.1", 0},
		{"first is late", 200 * time.Millisecond, nil, "10.0.0.1", 200 * time.Millisecond},
		{"first is slow", 2 * time.Second, nil, "10.0.0.2", entryStagger},
		{"first is silent", 0, errSlow, "10.0.0.2", entryStagger},
		{"first fails", 0, errServfail, "10.0.0.2", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t, "a.test:6432", "b.test:6432")
				w.is("b.test", "10.0.0.2")
				w.answers("a.test", row.delay, row.err, "10.0.0.1")
				w.put("10.0.0.1", peertest.PipeTo(w.good))
				w.put("10.0.0.2", peertest.PipeTo(w.good))
				w.expect(row.wins, row.took)
				time.Sleep(time.Minute)
				targets, failure := w.Targets(t.Context())
				want := "[10.0.0.1:6432 10.0.0.2:6432]"
				if row.err != nil {
					want = "[10.0.0.2:6432]"
				}
				if got := fmt.Sprint(targets); got != want || failure != nil {
					t.Errorf("targets %s (%v), want %s", got, failure, want)
				}
				w.checkClosed()
			})
		})
	}
}

// TestSilentNameOfAList costs the first dial its patience, and the next ones nothing. An answer gives the name its
// place back. Bad addresses do not go before it.
func TestSilentNameOfAList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, "a.test:6432", "b.test:6432")
		w.answers("a.test", 0, errSlow)
		w.is("b.test", "10.0.0.2")
		w.put("10.0.0.1", peertest.PipeTo(w.good))
		w.put("10.0.0.2", peertest.PipeTo(w.good))
		w.expect("10.0.0.2", entryStagger)
		for range 20 {
			w.expect("10.0.0.2", 0)
			time.Sleep(time.Second)
		}
		time.Sleep(9 * time.Minute)
		w.expect("10.0.0.2", 0)

		w.put("10.0.0.2", refuses)
		w.expect("upstream_dns", 10*time.Second) // 10.0.0.2 is good until then, and the name is given all the time
		w.answers("a.test", time.Second, nil, "10.0.0.1")
		w.expect("10.0.0.1", time.Second) // 10.0.0.2 is bad, and does not go first
		w.put("10.0.0.2", peertest.PipeTo(w.good))
		w.expect("10.0.0.1", stagger) // by the earlier answer
		time.Sleep(time.Minute)

		w.answers("a.test", 0, errSlow)
		w.expect("10.0.0.1", stagger)
		time.Sleep(time.Minute)
		w.expect("10.0.0.1", stagger) // the earlier answer keeps its place
		w.checkClosed()
	})
}

// TestSilentNameAnswersAgain: the dial that asks does not wait for the answer, and the next one has it.
func TestSilentNameAnswersAgain(t *testing.T) {
	for _, row := range []struct {
		name  string
		pause time.Duration
		first string
		took  time.Duration
	}{
		{"soon", time.Minute, "10.0.0.2", time.Millisecond},
		{"silence that nobody has asked about for long is forgotten", stateLife + time.Second, "10.0.0.1", 500 * time.Millisecond},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t, "a.test:6432", "b.test:6432")
				w.answers("a.test", 0, errSlow)
				w.answers("b.test", time.Millisecond, nil, "10.0.0.2") // so the lookup of a.test has begun by then
				w.put("10.0.0.1", peertest.PipeTo(w.good))
				w.put("10.0.0.2", peertest.PipeTo(w.good))
				w.expect("10.0.0.2", entryStagger)
				time.Sleep(row.pause)
				w.answers("a.test", 500*time.Millisecond, nil, "10.0.0.1")
				w.expect(row.first, row.took)
				time.Sleep(time.Second)
				w.is("a.test", "10.0.0.1")
				w.expect("10.0.0.1", 0)
				w.checkClosed()
			})
		})
	}
}

// TestLookupInterrupted: the caller's context ends the wait for DNS, and the Dialer's end does not end Dial.
func TestLookupInterrupted(t *testing.T) {
	for _, names := range [][]string{{"a.test:1"}, {"a.test:1", "b.test:1"}} {
		synctest.Test(t, func(t *testing.T) {
			w := newTown(t, names...)
			w.answers("a.test", 0, errSlow)
			w.answers("b.test", 0, errSlow)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			_, err := w.Dial(ctx, nil)
			if took := time.Since(began); err == nil || took != time.Second {
				t.Errorf("%v after %v", err, took)
			}
			began = time.Now()
			targets, failure := w.Targets(ctx)
			if targets != nil || failure != nil || time.Since(began) != 0 {
				t.Errorf("targets %v, %v", targets, failure)
			}
			w.Close()
			w.is("a.test", "10.0.0.1")
			w.put("10.0.0.1", peertest.PipeTo(w.good))
			if conn, err := w.Dial(t.Context(), nil); err != nil {
				t.Errorf("after Close: %v", err)
			} else {
				conn.Close()
			}
			time.Sleep(time.Minute)
		})
	}
}

// TestTargets: all addresses, each once, the bad ones last; those that only Config.NetDial resolves, too.
func TestTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, "db.test:6432", "10.0.0.1:6432", "10.0.0.9:5432")
		w.is("db.test", "10.0.0.1", "10.0.0.2", "fd00::1")
		w.put("fd00::1", refuses)
		w.put("10.0.0.1", peertest.PipeTo(w.good))
		w.expect("10.0.0.1", 0)
		targets, failure := w.Targets(t.Context())
		if got := fmt.Sprint(targets); got != "[10.0.0.1:6432 10.0.0.2:6432 10.0.0.9:5432 [fd00::1]:6432]" || failure != nil {
			t.Errorf("targets %s, %v", got, failure)
		}
		var listed []netip.AddrPort
		for _, a := range w.Addresses() {
			listed = append(listed, netip.MustParseAddrPort(a.Resolved))
		}
		if fmt.Sprint(listed) != fmt.Sprint(targets) {
			t.Errorf("addresses %v", listed)
		}
		conn, err := w.Dial(t.Context(), targets[0])
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()

		d := newTestDialer(t, tlstest.NewCA("Other Root", tlstest.P256), func(c *Config) { c.NetDial = peertest.PipeTo(w.good) }, "db.test:6432")
		targets, failure = d.Targets(t.Context())
		if failure != nil || len(targets) != 1 || targets[0].String() != "db.test:6432" {
			t.Fatalf("targets %v, %v", targets, failure)
		}
		if _, err := d.Dial(t.Context(), targets[0]); err == nil {
			t.Error("another authority was accepted")
		}
		if a := d.Addresses(); len(a) != 1 || a[0].State != AddressFailing || a[0].Resolved != "db.test:6432" {
			t.Errorf("%+v", a)
		}

		empty := newTown(t)
		if targets, failure := empty.Targets(t.Context()); targets != nil || failure == nil || failure.Kind != ReasonUpstreamDNS {
			t.Errorf("targets %v, %v", targets, failure)
		}
	})
}
