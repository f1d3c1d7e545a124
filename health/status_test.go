package health

import (
	"errors"
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
		if s.isDraining() {
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
