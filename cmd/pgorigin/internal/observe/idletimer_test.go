package observe

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// idleAfter is what the watches of these tests have.
const idleAfter = 30 * time.Second

// wantIdle checks what the watch says at this very moment.
func wantIdle(t *testing.T, w *IdleTimer, want bool) {
	t.Helper()
	synctest.Wait()
	select {
	case <-w.Expired():
		if !want {
			t.Fatal("it is called idle")
		}
	default:
		if want {
			t.Fatal("it is not called idle")
		}
	}
}

func TestIdleAfterTheLastSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewIdleTimer(idleAfter)
		time.Sleep(time.Hour)
		wantIdle(t, w, false) // nobody has come yet
		for range 2 {
			w.SessionBegan()
			w.LoggedIn()
		}
		w.SessionEnded()
		time.Sleep(time.Hour)
		wantIdle(t, w, false) // one is left
		w.SessionEnded()
		time.Sleep(idleAfter - time.Nanosecond)
		wantIdle(t, w, false)
		time.Sleep(time.Nanosecond)
		wantIdle(t, w, true)
		time.Sleep(time.Hour)
		wantIdle(t, w, false) // said once
	})
}

func TestANewSessionBeginsTheIdleTimeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewIdleTimer(idleAfter)
		for range 3 {
			w.SessionBegan()
			w.LoggedIn()
			w.SessionEnded()
			time.Sleep(idleAfter - time.Nanosecond)
			wantIdle(t, w, false)
		}
		w.SessionBegan() // whoever tries counts, even if the login fails
		time.Sleep(time.Hour)
		wantIdle(t, w, false)
		w.SessionEnded()
		time.Sleep(idleAfter)
		wantIdle(t, w, true)
	})
}

func TestFailedLoginsAreNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewIdleTimer(idleAfter)
		w.SessionBegan()
		w.SessionEnded()
		time.Sleep(time.Hour)
		wantIdle(t, w, false)
	})
}

// TestWaitingClientsAreNotIdle: an outage must not end the process under clients that wait for its end.
func TestWaitingClientsAreNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewIdleTimer(idleAfter)
		var waiting atomic.Bool
		waiting.Store(true)
		w.Busy = waiting.Load
		w.SessionBegan()
		w.LoggedIn()
		w.SessionEnded()
		time.Sleep(time.Hour)
		wantIdle(t, w, false)
		waiting.Store(false)
		time.Sleep(idleAfter)
		wantIdle(t, w, true)
	})
}

func TestNeverIdle(t *testing.T) {
	w := NewIdleTimer(0)
	w.SessionBegan()
	w.LoggedIn()
	w.SessionEnded()
	if w.Expired() != nil {
		t.Error("zero is not never")
	}
}
