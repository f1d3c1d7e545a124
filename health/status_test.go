package health

import (
	"errors"
	"net/http"
	"sync"
	"testing"
)

func TestZeroStatusIsNotReady(t *testing.T) {
	var s Status
	if err := s.Ready(); err == nil {
		t.Fatal("a process that bound nothing calls itself ready")
	}
}

func TestReadyNamesEveryReason(t *testing.T) {
	var s Status
	s.Drain()
	s.AddReadiness("upstream", func() (string, error) { return "", errors.New("certificate ended 3h ago") })
	want := "listener: not bound yet\n" +
		"draining: told to stop; running sessions may finish\n" +
		"upstream: certificate ended 3h ago"
	if err := s.Ready(); err == nil || err.Error() != want {
		t.Errorf("Ready() = %v, want %s", err, want)
	}
}

func TestCheckMayCallBack(t *testing.T) {
	var s Status
	s.Started()
	s.AddReadiness("curious", func() (string, error) {
		if s.Draining() {
			return "", errors.New("draining")
		}
		return "", nil
	})
	if err := s.Ready(); err != nil {
		t.Errorf("Ready() = %v", err)
	}
}

func TestStatusIsSafeForConcurrentUse(t *testing.T) {
	var s Status
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s.Started()
			s.AddReadiness("a", func() (string, error) { return "", nil })
			_ = s.Snapshot()
			_ = s.Ready()
			s.Drain()
		})
	}
	wg.Wait()
	if s.Ready() == nil {
		t.Error("ready while draining")
	}
}

// A note is for people: it shows in verbose answers, whatever those are, and changes no status code.
func TestNotes(t *testing.T) {
	s, text := new(Status), ""
	s.AddNote("reload", func() string { return text })
	h := Handler(s, http.NotFoundHandler(), http.NotFoundHandler())
	for _, row := range []struct {
		enter         func()
		code          int
		body, verbose string
	}{
		{func() {}, http.StatusServiceUnavailable, "listener: not bound yet\n", "[-]listener failed: not bound yet\nreadyz check failed\n"},
		{s.Started, http.StatusOK, "ok\n", "[+]listener ok\nreadyz check passed\n"},
		{func() { text = "CA file is empty" }, http.StatusOK, "ok\n", "[+]listener ok\n[!]reload: CA file is empty\nreadyz check passed\n"},
	} {
		row.enter()
		if got := ask(t, h, http.MethodGet, "/readyz"); got.code != row.code || got.body != row.body {
			t.Errorf("/readyz = %d %q", got.code, got.body)
		}
		if got := ask(t, h, http.MethodGet, "/readyz?verbose"); got.code != row.code || got.body != row.verbose {
			t.Errorf("/readyz?verbose = %d %q", got.code, got.body)
		}
	}
	if err := s.Ready(); err != nil {
		t.Errorf("Ready() = %v", err)
	}
}
