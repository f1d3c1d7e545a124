package pgwire

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A connection that was watched for a moment, and then not, may have left an event.
func TestEventWithoutSession(t *testing.T) {
	l, err := newLoop(false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.conduits = []*conduit{nil}
	l.note([]unix.EpollEvent{{Events: unix.EPOLLIN, Fd: 0}})
	if len(l.ready) > 0 {
		t.Errorf("%d sessions are ready", len(l.ready))
	}
}

// The clock ends when a bulk does, though its session may go on.
func TestBulkEndsWithItsDirection(t *testing.T) {
	c := &conduit{inBulk: true}
	c.fromUpstream = direction{bulk: true, done: true}
	l := &loop{bulk: []*conduit{c}}
	if l.overdue(); len(l.ready) > 0 || c.inBulk || l.overdue() >= 0 {
		t.Errorf("%d sessions are looked at, in bulk: %t", len(l.ready), c.inBulk)
	}
}
