package evloop

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// parking is where a loop waits for long, as a goroutine waits: on no thread. A thread that waits in a system
// call costs more than the relay when there is little to do. Each return from the call starts the runtime's
// monitor, which then looks fifty times within a millisecond for the next one.
//
// The runtime's poller watches an epoll, the gate, whose only member is the epoll of the loop. The gate is
// armed only while the loop is parked. Otherwise each event would wake a thread.
type parking struct {
	gate    *os.File // an epoll
	fd      int      // of gate
	watched int      // the epoll of the loop
	conn    syscall.RawConn
	armed   bool
	event   unix.EpollEvent // of arm; here, so that arm allocates nothing
	poll    func() int      // returns how many events the loop has
	found   int             // by poll
}

// newParking returns a parking for the loop whose epoll is watched. poll looks for its events without
// waiting.
func newParking(watched int, poll func() int) (*parking, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("event loop: create epoll to park at: %w", err)
	}
	p := &parking{fd: fd, watched: watched, poll: poll}
	if err = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, watched, new(unix.EpollEvent)); err == nil {
		err = unix.SetNonblock(fd, true) // else the runtime's poller does not take it
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("event loop: watch epoll: %w", err)
	}
	p.gate = os.NewFile(uintptr(fd), "epoll")
	err = p.gate.SetReadDeadline(time.Time{}) // which only works if the runtime's poller has taken it
	if err == nil {
		p.conn, err = p.gate.SyscallConn()
	}
	if err != nil {
		_ = p.gate.Close()
		return nil, fmt.Errorf("event loop: park: %w", err)
	}
	return p, nil
}

// await returns how many events poll has found, as soon as it finds some. It returns 0 after limit; if limit
// is 0, it waits for as long as it takes.
func (p *parking) await(limit time.Duration) (int, error) {
	if limit > 0 {
		_ = p.gate.SetReadDeadline(time.Now().Add(limit))
		defer func() { _ = p.gate.SetReadDeadline(time.Time{}) }()
	}
	p.found = 0
	if err := p.conn.Read(p.look); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, fmt.Errorf("event loop: park: %w", err)
	}
	return p.found, nil
}

// look reports whether there are events, and arms the gate if not. It then polls again, for an event that
// came before the gate was armed. A later event wakes the runtime's poller, which calls look again.
func (p *parking) look(uintptr) bool {
	if p.armed {
		p.arm(0)
		if p.found = p.poll(); p.found > 0 {
			return true
		}
	}
	p.arm(unix.EPOLLIN)
	if p.found = p.poll(); p.found > 0 {
		p.arm(0)
	}
	return p.found > 0
}

func (p *parking) arm(events uint32) {
	p.armed = events != 0
	p.event.Events = events
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, p.watched, &p.event)
}
