package sidecar

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
)

// stuckAfter is how long clients may wait to be accepted while nothing happens. It is long for a machine that
// is merely busy: who fails /livez loses all its sessions.
const stuckAfter = 10 * time.Second

// acceptWatch is a listener that can tell whether the loop that accepts from it is stuck: clients have
// connected, and for stuckAfter nobody has fetched one. The kernel is asked, within a request and for nothing
// but a poll of the descriptor, so nothing is dialled, no timer runs, and a loop without clients is never
// suspected. The errors of a loop that tries again, because there are too many open files, count as progress:
// a restart would not cure that.
type acceptWatch struct {
	net.Listener
	returned atomic.Uint64 // calls of Accept that have

	mu    sync.Mutex
	seen  uint64    // returned, when clients were first found waiting
	since time.Time // that moment; zero: none wait
}

// Accept waits for a client.
func (w *acceptWatch) Accept() (net.Conn, error) {
	conn, err := w.Listener.Accept()
	w.returned.Add(1)
	return conn, err
}

// acceptWatches are those of one origin.
type acceptWatches []*acceptWatch

// check is a health.Check.
func (all acceptWatches) check() (detail string, err error) {
	for _, w := range all {
		if err := w.check(); err != nil {
			return "", err
		}
	}
	return "", nil
}

// check returns an error if the loop is stuck.
func (w *acceptWatch) check() error {
	waiting, returned, now := clientsWait(w.Listener), w.returned.Load(), time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !waiting:
		w.since = time.Time{}
	case w.since.IsZero() || returned != w.seen:
		w.seen, w.since = returned, now
	case now.Sub(w.since) >= stuckAfter:
		return fmt.Errorf("clients wait at %s, and none was accepted for %v", w.Addr(),
			now.Sub(w.since).Round(time.Second))
	}
	return nil
}

// clientsWait reports whether the kernel holds connections that were not accepted yet. It knows nothing about
// a listener without descriptor, or a closed one, and says false.
func clientsWait(ln net.Listener) bool {
	sc, ok := ln.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	waiting := false
	_ = raw.Control(func(fd uintptr) { waiting = host.Readable(fd) })
	return waiting
}
