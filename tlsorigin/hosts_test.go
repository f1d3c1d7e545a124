package tlsorigin

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
)

// TestProbeRestores: when its time has come, the next connection starts a probe and still goes the safe way
// itself.
func TestProbeRestores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		l.box = above(swallow)
		l.dialled(t)
		_, changes := l.take()
		if until := time.Until(changes[0].Until); until != 10*time.Minute {
			t.Errorf("remembered for %v", until)
		}
		l.locked(func() { l.box = nil })
		time.Sleep(10*time.Minute - time.Second)
		if state, _ := l.dialled(t); state.CurveID != tls.X25519 {
			t.Errorf("before the time by %v", state.CurveID)
		}
		synctest.Wait()
		if got := describeReports(l.take()); got != "ok" {
			t.Errorf("before the time %s was reported", got)
		}
		time.Sleep(time.Second)
		if state, took := l.dialled(t); state.CurveID != tls.X25519 || took != 0 {
			t.Errorf("the connection that starts the probe went by %v after %v", state.CurveID, took)
		}
		synctest.Wait()
		if got, want := describeReports(l.take()), `ok; ok in a probe; "path_blocked" to "negotiated"`; got != want {
			t.Errorf("reported %s, want %s", got, want)
		}
		if state, _ := l.dialled(t); state.CurveID != tls.X25519MLKEM768 {
			t.Errorf("after the probe by %v", state.CurveID)
		}
	})
}

// TestProbeConfirms: the time to the next probe doubles up to a day, there is one probe for any number of
// connections, and nothing is reported that has not changed.
func TestProbeConfirms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		l.box = above(swallow)
		l.dialled(t)
		l.take()
		for _, hold := range []time.Duration{
			10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute, 160 * time.Minute, 320 * time.Minute,
			640 * time.Minute, 1280 * time.Minute, 24 * time.Hour, 24 * time.Hour,
		} {
			time.Sleep(hold - time.Second)
			l.dialled(t)
			time.Sleep(time.Second)
			for range 5 {
				if _, took := l.dialled(t); took != 0 {
					t.Errorf("a connection waited %v for the probe", took)
				}
			}
			time.Sleep(maxPatience)
			synctest.Wait()
			if got, want := describeReports(l.take()), "ok; ok; ok; ok; ok; ok; tls_timeout in a probe"; got != want {
				t.Errorf("after %v %s was reported, want %s", hold, got, want)
			}
		}
	})
}

// TestProbeOfAServerThatIsDown decides nothing.
func TestProbeOfAServerThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		l.box = above(swallow)
		l.dialled(t)
		for range 3 {
			l.take()
			time.Sleep(10 * time.Minute)
			l.locked(func() { l.box = above(func(conn net.Conn) { conn.Write([]byte("\x15\x03\x03\x00\x02\x02\x50")) }) })
			l.dialled(t)
			synctest.Wait()
			if got := describeReports(l.take()); got != "ok; tls_alert in a probe" {
				t.Errorf("reported %s", got)
			}
		}
	})
}

// TestCloseEndsProbes: a probe under way is interrupted, reported to nobody, and none starts afterwards; the
// bubble would not end with a goroutine left over.
func TestCloseEndsProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		l.box = above(swallow)
		l.dialled(t)
		time.Sleep(10 * time.Minute)
		l.dialled(t)
		l.take()
		synctest.Wait() // the probe waits for an answer by now
		began := time.Now()
		l.Close()
		if took := time.Since(began); took != 0 {
			t.Errorf("Close took %v", took)
		}
		time.Sleep(time.Hour)
		if state, took := l.dialled(t); state.CurveID != tls.X25519 || took != 0 {
			t.Errorf("after Close by %v after %v", state.CurveID, took)
		}
		synctest.Wait()
		if got := describeReports(l.take()); got != "ok" {
			t.Errorf("reported %s", got)
		}
		l.Close()
	})
}

// TestPathsAreBounded: a name may have other addresses each time.
func TestPathsAreBounded(t *testing.T) {
	left := map[KeyExchangeState]int{}
	p := hosts{exchange: &keyExchange{hybrid: true}, known: map[string]*hostState{}, changed: func(c KeyExchangeChange) {
		if c.Before != "" {
			left[c.Before]--
		}
		if c.After != "" {
			left[c.After]++
		}
	}}
	for i := range 2 * maxHosts {
		a := new(Dialer).newAttempt(route{host: "db.test:1"}, &tlsState{policy: new(verify.Policy)}, 0, options{})
		a.report.Resolved = &net.TCPAddr{IP: net.IPv4(10, 0, byte(i>>8), byte(i)), Port: 1}
		a.report.State = tls.ConnectionState{CurveID: tls.X25519}
		p.verified(a)
	}
	if len(p.known) != maxHosts || left[KeyExchangeServerLacks] != maxHosts {
		t.Errorf("%d addresses are remembered, %v reported", len(p.known), left)
	}
	if states := KeyExchangeStates(); len(states) != 4 || !slices.Contains(states, KeyExchangeBlocked) {
		t.Error(fmt.Sprint(states))
	}
}
