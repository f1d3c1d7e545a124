package pgwire

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// parking is where a loop waits for long: parked as a goroutine is, on no thread.
// A thread that waits in a system call costs more than the relay when there is
// little to do, for the runtime's monitor is started by each return from it and
// looks fifty times within a millisecond whether another one comes.
//
// The runtime's poller watches an epoll whose only member is the loop's. That one
// is armed while the loop is parked, else each event would wake a thread.
type parking struct {
	gate    *os.File // the epoll in between
	fd      int      // of gate
	watched int      // the loop's epoll
	conn    syscall.RawConn
	armed   bool
	event   unix.EpollEvent // of arm; here and not on the heap anew
	poll    func() int      // says how many events there are
	found   int             // by poll
}

// newParking returns a place to wait for events of the epoll that poll looks at.
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

// await returns how many events poll finds, as soon as it finds some; 0 after
// limit, if that is not 0.
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

// look reports whether there are events, and arms the gate if not: what comes
// before it is armed is found behind that; what comes later wakes the runtime's
// poller, which then looks again.
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
