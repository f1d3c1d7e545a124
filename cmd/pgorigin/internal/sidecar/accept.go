package sidecar

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
	"github.com/pgorigin/pgorigin/health"
)

// stuckAfter is how long clients may wait to be accepted while nothing happens. It is long, because a machine
// may just be busy, and a failed /livez costs all sessions of the process.
const stuckAfter = 10 * time.Second

// accept serves every listener. The channel receives the error of each listener that ends.
func (s *Sidecar) accept() <-chan error {
	count := 2
	for _, o := range s.origins {
		count += len(o.listeners)
	}
	failed := make(chan error, count)
	for _, o := range s.origins {
		var watches acceptWatches
		for _, ln := range o.listeners {
			watch := &acceptWatch{Listener: ln}
			watches = append(watches, watch)
			s.tasks.Go(func() {
				failed <- fmt.Errorf("listener of origin %s: %w", o.settings.Name(), o.server.Serve(watch))
			})
			s.log.Info("listening", zap.String("origin", o.settings.Name()),
				zap.String("address", ln.Addr().String()), zap.String("for", "clients"))
		}
		s.status.AddLiveness(o.settings.NoteName("accept"), watches.check)
	}
	serveHTTP := func(purpose string, server *http.Server, ln net.Listener) {
		if ln == nil {
			return
		}
		s.tasks.Go(func() { failed <- fmt.Errorf("listener for %s: %w", purpose, health.Serve(server, ln)) })
		s.log.Info("listening", zap.String("address", ln.Addr().String()), zap.String("for", purpose))
	}
	serveHTTP("health", s.healthServer, s.healthListener)
	serveHTTP("admin", s.adminServer, s.adminListener)
	return failed
}

// acceptWatch is a listener that notices a stuck accept loop: clients have connected, and for stuckAfter the
// loop has accepted none. The check polls the listening descriptor. It dials nothing and needs no timer. A
// loop that retries because there are too many open files is not stuck: a restart would not help.
type acceptWatch struct {
	net.Listener
	returned atomic.Uint64 // calls of Accept that have returned

	mu    sync.Mutex
	seen  uint64    // returned, at since
	since time.Time // when clients were first found waiting; zero: none wait
}

// Accept waits for a client.
func (w *acceptWatch) Accept() (net.Conn, error) {
	conn, err := w.Listener.Accept()
	w.returned.Add(1)
	return conn, err
}

// acceptWatches are the listeners of one origin.
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
		return fmt.Errorf("clients wait at %s, and none was accepted for %v",
			w.Addr(), now.Sub(w.since).Round(time.Second))
	}
	return nil
}

// clientsWait reports whether the kernel holds connections that were not accepted yet. It returns false for a
// closed listener and for one without a descriptor.
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
