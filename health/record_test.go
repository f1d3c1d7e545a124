package health

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

func described(r *Record) OriginSnapshot {
	var o OriginSnapshot
	r.Describe(&o)
	return o
}

// The chart has a point for each minute, those included in which nothing happened, and nobody was woken to
// draw them.
func TestMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, start := new(Record), time.Now().UTC()
		r.SessionOpened()
		r.SessionOpened()
		r.SessionEnded(nil)
		pass(3 * time.Minute)
		r.SessionOpened()
		r.SessionEnded(refused)
		want := Sessions{Open: 1, Total: 3, Logins: []Logins{}, Minutes: []Minute{
			{Start: start, Open: 2, Opened: 2},
			{Start: start.Add(1 * time.Minute), Open: 1},
			{Start: start.Add(2 * time.Minute), Open: 1},
			{Start: start.Add(3 * time.Minute), Open: 2, Opened: 1, Failed: 1},
		}}
		if got := described(r).Sessions; !reflect.DeepEqual(got, want) {
			t.Errorf("sessions are %+v,\nwant %+v", got, want)
		}
	})
}

func TestMinutesAreAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(Record)
		for range 150 {
			pass(time.Minute)
			r.SessionOpened()
		}
		for _, row := range []struct {
			pause  time.Duration
			opened int // in all that is kept
		}{{0, 60}, {10 * time.Minute, 50}, {time.Hour, 0}, {1000 * time.Hour, 0}} {
			pass(row.pause)
			list := described(r).Sessions.Minutes
			now := time.Now().UTC().Truncate(time.Minute)
			if len(list) != 60 || !list[59].Start.Equal(now) || !list[0].Start.Equal(now.Add(-59*time.Minute)) {
				t.Fatalf("after %v: %d minutes from %v to %v", row.pause, len(list), list[0].Start, list[len(list)-1].Start)
			}
			opened := 0
			for _, m := range list {
				opened += m.Opened
			}
			if opened != row.opened || list[59].Open != 150 {
				t.Errorf("after %v: %d were opened, want %d; %d are open", row.pause, opened, row.opened, list[59].Open)
			}
		}
	})
}

// A clock that is set back must not reach into what is long past, or forget it.
func TestMinutesWhenTheClockIsSetBack(t *testing.T) {
	var m minutes
	now := time.Unix(100*60, 0)
	m.at(now, 0).opened++
	m.at(now.Add(-30*time.Minute), 0).opened++
	if list := m.list(); len(list) != 1 || list[0].Opened != 2 {
		t.Errorf("minutes are %+v", list)
	}
}

func TestFailuresAreKeptByReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(Record)
		again := &Problem{Reason: refused.Reason, Text: "nobody listens at the other one either"}
		expired := &Problem{Reason: "cert_expired", Text: "expired"}
		r.Failed(expired)
		pass(time.Minute)
		r.SessionOpened()
		r.SessionEnded(refused)
		pass(time.Minute)
		r.SessionOpened()
		r.SessionEnded(again)
		want := []Failure{
			{Problem: *again, Count: 2, Last: time.Now().UTC()},
			{Problem: *expired, Count: 1, Last: time.Now().Add(-2 * time.Minute).UTC()},
		}
		if got := described(r).Failures; !reflect.DeepEqual(got, want) {
			t.Errorf("failures are %+v,\nwant %+v", got, want)
		}
	})
}

func TestANotedFailureIsHarmless(t *testing.T) {
	r := new(Record)
	r.SessionOpened()
	r.SessionEnded(nil)
	r.Noted(refused)
	got := described(r)
	if len(got.Failures) != 1 || !got.Failures[0].Harmless || got.Sessions.Minutes[0].Failed != 0 {
		t.Errorf("failures are %+v, minutes %+v", got.Failures, got.Sessions.Minutes)
	}
}

func TestReloadsAreBounded(t *testing.T) {
	r := new(Record)
	for range 5 * keptReloads {
		r.Reloaded(ReloadOK, "CA replaced")
	}
	r.Reloaded(ReloadFailed, "CA file is empty")
	got := described(r).Reloads
	if len(got) != keptReloads || got[0].Result != ReloadFailed || got[1].Text != "CA replaced" {
		t.Errorf("reloads are %+v", got)
	}
}

func TestCancels(t *testing.T) {
	r := new(Record)
	r.Cancelled(true, true)
	r.Cancelled(true, false)
	r.Cancelled(false, true)
	r.Cancelled(false, false)
	if got, want := described(r).Cancels, (Cancels{Forwarded: 1, Failed: 1, UnknownKey: 2}); got != want {
		t.Errorf("cancels are %+v, want %+v", got, want)
	}
}
