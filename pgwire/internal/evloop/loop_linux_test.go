package evloop

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A socket that was watched for a moment, and then not, may have left an event.
func TestEventWithoutSession(t *testing.T) {
	l, err := newLoop(new(Group), false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.pairs = []*Pair{nil}
	l.note([]unix.EpollEvent{{Events: unix.EPOLLIN, Fd: 0}})
	if len(l.ready) > 0 {
		t.Errorf("%d relays are ready", len(l.ready))
	}
}
