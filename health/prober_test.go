package health

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// One failure, or two, can be a server that restarts; three are an outage, and one success is its end.
func TestProberNeedsThreeFailuresAndOneSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := new(upstream)
		p, stop := u.run(t, false)
		defer stop()
		pass(0)
		if !isUp(p) || len(u.tried()) != 1 {
			t.Fatalf("the first probe is not made at once: %v", u.tried())
		}
		u.becomes(refused)
		for failures := 0; failures < 3; failures = p.Snapshot().Failures {
			if !isUp(p) {
				t.Fatalf("down after %d failures", failures)
			}
			pass(time.Second)
		}
		if isUp(p) || len(u.tried()) != 4 {
			t.Fatalf("up after three failures, %d tries", len(u.tried()))
		}
		down := time.Now()
		u.becomes(nil)
		for !isUp(p) {
			pass(time.Second)
		}
		if took := time.Since(down); took > 15*time.Second {
			t.Errorf("the recovery took %v", took)
		}
		if strings.Join(u.changes, " ") != "up down up" {
			t.Errorf("changes are %v", u.changes)
		}
	})
}

// Pods that were started together must not probe together, and no pause is longer than the interval.
func TestProberJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{takes: 300 * time.Millisecond}
		_, stop := u.run(t, false)
		defer stop()
		pass(10 * time.Minute)
		pauses := map[time.Duration]bool{}
		for i := range u.tried()[1:] {
			pause := u.tried()[i+1].Sub(u.tried()[i])
			if pause < 12*time.Second || pause > 15*time.Second {
				t.Errorf("pause of %v", pause)
			}
			pauses[pause] = true
		}
		if len(pauses) < len(u.tried())/2 {
			t.Errorf("only %d pauses differ among %d", len(pauses), len(u.tried()))
		}
	})
}

// Before the first success, retries are quick: at the start of a pod the network is often there a moment
// later.
func TestProberRetriesSoonAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{problem: refused}
		p, stop := u.run(t, false)
		defer stop()
		pass(7 * time.Second)
		if len(u.tried()) != 4 { // at 0, and after pauses of at most 1, 2 and 4 seconds
			t.Errorf("tries at %v", u.tried())
		}
		if isUp(p) || p.Snapshot().State != ProbeDown {
			t.Error("up although nothing was ever reached")
		}
		pass(5 * time.Minute)
		last := u.tried()[len(u.tried())-1].Sub(u.tried()[len(u.tried())-2])
		if last < 12*time.Second {
			t.Errorf("still every %v", last)
		}
	})
}

// A slow try is no reason to try without a pause.
func TestProberRestsAfterASlowTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{takes: 40 * time.Second, problem: refused}
		_, stop := u.run(t, false)
		pass(10 * time.Minute)
		stop()
		for i := range u.tried()[1:] {
			if pause := u.tried()[i+1].Sub(u.tried()[i]); pause < 41*time.Second {
				t.Errorf("pause of %v", pause)
			}
		}
	})
}

// What sessions find out is as good as a probe, which is then not made.
func TestSessionsReplaceProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := new(upstream)
		p, stop := u.run(t, false)
		defer stop()
		pass(0)
		for range 100 {
			pass(5 * time.Second)
			p.Observed(nil, time.Millisecond)
		}
		if len(u.tried()) != 1 {
			t.Errorf("%d probes beside sessions that connect all the time", len(u.tried()))
		}
		pass(16 * time.Second)
		if len(u.tried()) != 2 {
			t.Errorf("%d probes after the sessions have stopped", len(u.tried()))
		}
	})
}

// A burst of clients that fail at once, as at a failover, is one failure.
func TestABurstIsOneFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(Prober)
		p.Observed(nil, time.Millisecond)
		burst := func() {
			for range 50 {
				p.Observed(refused, time.Millisecond)
			}
		}
		burst()
		if probe := p.Snapshot(); probe.Failures != 1 || probe.State != ProbeUp {
			t.Fatalf("after a burst: %+v", probe)
		}
		first := time.Now()
		pass(12 * time.Second)
		burst()
		pass(12 * time.Second)
		burst()
		probe := p.Snapshot()
		if probe.Failures != 3 || probe.State != ProbeDown || !probe.Since.Equal(first) {
			t.Errorf("after three of them: %+v", probe)
		}
		p.Observed(nil, time.Millisecond)
		if probe := p.Snapshot(); probe.Failures != 0 || probe.State != ProbeUp || probe.Problem != nil {
			t.Errorf("after a success: %+v", probe)
		}
		p.Observed(refused, time.Millisecond)
		if probe := p.Snapshot(); probe.Failures != 1 {
			t.Errorf("a failure right after a success does not count: %+v", probe)
		}
	})
}

// A client that gets through makes the pod ready at once, not at the next probe.
func TestASessionEndsTheOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{problem: refused}
		p, stop := u.run(t, false)
		defer stop()
		pass(time.Minute)
		if isUp(p) {
			t.Fatal("up")
		}
		p.Observed(nil, time.Millisecond)
		if !isUp(p) {
			t.Error("still down after a session has connected")
		}
	})
}

// For a startup check alone, probing ends with the first success, a session's included; the result stays.
func TestProberOnce(t *testing.T) {
	for name, succeed := range map[string]func(*Prober, *upstream){
		"by a probe":   func(_ *Prober, u *upstream) { u.becomes(nil) },
		"by a session": func(p *Prober, _ *upstream) { p.Observed(nil, time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{problem: refused}
				p, stop := u.run(t, true)
				defer stop()
				pass(3 * time.Second)
				if _, err := p.Verified(); err == nil {
					t.Fatal("verified although everything failed")
				}
				succeed(p, u)
				pass(time.Minute)
				tried := len(u.tried())
				pass(10 * time.Minute)
				if probe := p.Snapshot(); probe.Active || len(u.tried()) != tried {
					t.Errorf("still probing: %+v", probe)
				}
				for range 3 {
					p.Observed(refused, time.Millisecond)
					pass(time.Minute)
				}
				if _, err := p.Verified(); err != nil || isUp(p) {
					t.Errorf("Verified() = %v, up: %v", err, isUp(p))
				}
			})
		})
	}
}

func TestProberStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{takes: time.Hour, problem: refused}
		p, stop := u.run(t, false)
		pass(time.Second)
		stop()
		if probe := p.Snapshot(); probe.State != ProbeUnknown || probe.Active {
			t.Errorf("a probe that was cut short is taken for a result: %+v", probe)
		}
	})
}

func TestProberTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(Prober)
		if _, err := p.Up(); err == nil || err.Error() != "not tried yet" || p.Note() != "" {
			t.Errorf("Up() = %v, Note() = %q", err, p.Note())
		}
		p.Observed(nil, time.Second)
		pass(4 * time.Second)
		if detail, err := p.Up(); err != nil || detail != "verified 4s ago" {
			t.Errorf("Up() = %q, %v", detail, err)
		}
		p.Observed(refused, 0)
		if detail, err := p.Up(); err != nil || detail != "verified 4s ago, failed since: "+refused.Text {
			t.Errorf("Up() = %q, %v", detail, err)
		}
		for range 2 {
			pass(20 * time.Second)
			p.Observed(refused, 0)
		}
		pass(time.Second)
		want := "upstream db:6432: nobody listens there (upstream_refused since 2000-01-01T00:00:04Z, last try 1s ago). start it"
		if _, err := p.Up(); err == nil || err.Error() != want || p.Note() != want {
			t.Errorf("Up() = %v,\nwant %s", err, want)
		}
	})
}
