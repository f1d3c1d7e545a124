package pgwire

import (
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// TestHungUpOnce: an upstream that has hung up stops the client's reads once, so the client may finish a message.
func TestHungUpOnce(t *testing.T) {
	t.Parallel()
	client, there := pgtest.TCPPair(t)
	upstream, gone := pgtest.TCPPair(t)
	_ = gone.Close()
	defer func() { _, _, _ = client.Close(), there.Close(), upstream.Close() }()
	calls := make(chan struct{}, 10)
	w := new(loginWatch)
	w.start(&leg{Conn: client, socket: client}, func() { t.Error("the client has left") }, func() { calls <- struct{}{} })
	defer w.stop()
	for range 2 {
		w.begin(upstream)
		<-calls
		time.Sleep(5 * watchInterval / 2)
		if n := len(calls); n != 0 {
			t.Errorf("called %d more times", n)
		}
		w.answered()
	}
}
