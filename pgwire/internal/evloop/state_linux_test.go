package evloop

import (
	"net"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

func TestPollNow(t *testing.T) {
	near, far := pgtest.TCPPair(t)
	if HasInput(near) || HungUp(near) {
		t.Error("a quiet connection has input or has ended")
	}
	if _, err := far.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	await(t, "input", func() bool { return HasInput(near) })
	if HungUp(near) {
		t.Error("a client that has spoken has left")
	}
	_ = far.Close()
	await(t, "the end behind unread input", func() bool { return HungUp(near) })
	pipe, _ := net.Pipe()
	if HasInput(pipe) || HungUp(pipe) {
		t.Error("something is known about a pipe")
	}
}

// await waits for what the kernel tells in a moment.
func await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for range 1000 {
		if happened() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}
