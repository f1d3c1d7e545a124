package pgwire

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	wakeSlot      = -1 // in place of a slot: the loop's own eventfd
	upstreamEvent = 1  // in Pad: the event is the upstream's
	eventsAtOnce  = 128
	briefWait     = time.Millisecond
	idleLife      = time.Second // that a loop without sessions waits for the next one
)

// loop relays many sessions on one goroutine, with edge-triggered epoll: each
// descriptor is registered once, and a read that did not fill its buffer needs
// no second one to learn that there is no more (epoll(7), question 9). Urgent data
// are the exception: a read stops in front of them. EPOLLPRI announces them.
type loop struct {
	epoll, wake int
	parking     *parking
	brief       bool // there is more than one processor
	sessions    atomic.Int64
	buf         []byte
	events      []unix.EpollEvent // here and not on a stack, which may move during a system call
	timeout     unix.Timespec     // likewise
	ready       []*conduit        // to be pumped
	bulk        []*conduit        // in which a direction waits for a lot
	precise     bool              // the kernel can wait for less than a millisecond

	mu       sync.Mutex
	conduits []*conduit // by slot
	free     []int32
	ended    []*conduit // posted
	closed   bool
}

func newLoop(brief bool) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("event loop: create epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("event loop: create eventfd: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wakeSlot}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &event); err != nil {
		_ = unix.Close(epoll)
		_ = unix.Close(wake)
		return nil, fmt.Errorf("event loop: watch eventfd: %w", err)
	}
	l := &loop{
		epoll: epoll, wake: wake, brief: brief,
		buf: make([]byte, max(relayRead+relaySlack, relayWrite)), events: make([]unix.EpollEvent, eventsAtOnce),
	}
	l.parking, err = newParking(epoll, func() int { return l.waitFor(0, syscall.RawSyscall6) })
	if err != nil {
		_ = unix.Close(epoll)
		_ = unix.Close(wake)
		return nil, err
	}
	// Linux 5.11, and a sandbox that lets it pass.
	_, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(l.events))), 1, uintptr(unsafe.Pointer(&l.timeout)), 0, 0)
	l.precise = errno == 0
	return l, nil
}

// add watches both sockets of c and makes it theirs. Their first event is that
// they can be written to, so the loop looks at c without being woken.
func (l *loop) add(c *conduit) error {
	l.mu.Lock() // until c is complete: the loop takes the lock before it looks
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		c.slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		c.slot = int32(len(l.conduits))
		l.conduits = append(l.conduits, nil)
	}
	if err := l.watch(c.client, c.slot, 0); err != nil {
		l.free = append(l.free, c.slot)
		return err
	}
	if err := l.watch(c.carrier, c.slot, upstreamEvent); err != nil {
		l.unwatch(c.client)
		l.free = append(l.free, c.slot)
		return err
	}
	c.loop = l
	l.conduits[c.slot] = c
	l.sessions.Add(1)
	c.adopt()
	return nil
}

func (l *loop) watch(s *socket, slot, side int32) error {
	event := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     slot, Pad: side,
	}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, s.fd, &event); err != nil {
		return fmt.Errorf("event loop: watch connection: %w", err)
	}
	return nil
}

// unwatch must come before the socket is closed: what epoll watches is the
// connection, of which there may be other descriptors.
func (l *loop) unwatch(s *socket) { _ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, s.fd, nil) }

// post makes the loop take leave of a session that was ended.
func (l *loop) post(c *conduit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return // the descriptor may be somebody else's by now
	}
	l.ended = append(l.ended, c)
	_, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// afterEnd makes the loop take leave of c when its session is ended from outside.
func afterEnd(s *session, c *conduit) (detach func() bool) {
	return context.AfterFunc(s.ctx, func() { c.loop.post(c) })
}

// run is the loop.
func (l *loop) run() {
	for {
		pause := l.overdue()
		n := l.poll(pause)
		if n == 0 && len(l.ready) == 0 && pause < 0 {
			if n = l.wait(); n < 0 {
				return
			}
		}
		l.note(l.events[:n])
		l.turn()
	}
}

// poll returns the events that are there or come soon, at most after a pause
// that is not negative. The scheduler is not told of a wait: it would give the
// processor away and have to find another one for each event, which costs as much
// as the relay itself. It gets it by its signals, which end the wait; and while
// there are logins to work on it is told.
func (l *loop) poll(pause time.Duration) int {
	busy := !l.brief || loops.logins.Load() > 0
	switch {
	case len(l.ready) > 0:
		pause = 0
	case pause >= 0 && busy:
		return l.waitFor(pause, syscall.Syscall6)
	case busy:
		pause = 0
	case pause < 0:
		pause = briefWait
	}
	return l.waitFor(pause, syscall.RawSyscall6)
}

// waitFor waits by epoll_pwait2, or by epoll_pwait where there is none. None but
// whole milliseconds are asked for then.
func (l *loop) waitFor(d time.Duration, call func(trap, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, uintptr, syscall.Errno)) int {
	epoll, first, count := uintptr(l.epoll), uintptr(unsafe.Pointer(unsafe.SliceData(l.events))), uintptr(len(l.events))
	var n uintptr
	var errno syscall.Errno
	if l.precise {
		l.timeout = unix.NsecToTimespec(int64(d))
		n, _, errno = call(unix.SYS_EPOLL_PWAIT2, epoll, first, count, uintptr(unsafe.Pointer(&l.timeout)), 0, 0)
	} else {
		n, _, errno = call(unix.SYS_EPOLL_PWAIT, epoll, first, count, uintptr(d.Milliseconds()), 0, 0)
	}
	if errno != 0 {
		return 0 // a signal; nothing else happens to a valid descriptor
	}
	return int(n)
}

// wait returns how many events there are, or -1 when the loop has come to its end.
func (l *loop) wait() int {
	for {
		var limit time.Duration
		if l.sessions.Load() == 0 {
			limit = idleLife
		}
		n, err := l.parking.await(limit)
		if err != nil { // nothing that happens to a valid descriptor, but not to be repeated without a pause
			n = l.waitFor(idleLife, syscall.Syscall6)
		}
		switch {
		case n > 0:
			return n
		case loops.retire(l):
			return -1
		}
	}
}

func (l *loop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	_ = l.parking.gate.Close()
	_, _ = unix.Close(l.epoll), unix.Close(l.wake)
}

// note takes the events down.
func (l *loop) note(events []unix.EpollEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range events {
		e := &events[i]
		if e.Fd == wakeSlot {
			var count [8]byte
			_, _ = unix.Read(l.wake, count[:])
			for _, c := range l.ended {
				if l.conduits[c.slot] == c {
					l.enqueue(c)
				}
			}
			l.ended = l.ended[:0]
			continue
		}
		c := l.conduits[e.Fd]
		if c == nil {
			continue // it could not be added after all
		}
		from := &c.fromClient
		if e.Pad == upstreamEvent {
			from = &c.fromUpstream
		}
		from.readable = from.readable || e.Events&(unix.EPOLLIN|unix.EPOLLPRI) != 0
		if e.Events&unix.EPOLLPRI != 0 {
			from.urgent = 2 // reads: one up to the urgent data, one past them
		}
		if e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			from.readable, from.hungUp = true, true
		}
		l.enqueue(c)
	}
}

func (l *loop) enqueue(c *conduit) {
	if !c.queued {
		c.queued = true
		l.ready = append(l.ready, c)
	}
}

// turn pumps each session that is ready once, so that none waits for another's bulk.
func (l *loop) turn() {
	left := l.ready[:0]
	for _, c := range l.ready {
		if c.queued = !c.over() && c.pump(l.buf); c.queued {
			left = append(left, c)
		} else if c.over() {
			l.leave(c)
		} else if c.fromUpstream.done {
			c.awaitDelivery()
		}
	}
	clear(l.ready[len(left):])
	l.ready = left
}

// leave takes c out of the loop and lets its session end.
func (l *loop) leave(c *conduit) {
	c.gone = true
	l.unwatch(c.client)
	l.unwatch(c.carrier)
	l.sessions.Add(-1)
	l.mu.Lock()
	l.conduits[c.slot] = nil
	l.free = append(l.free, c.slot)
	l.mu.Unlock()
	go c.finish()
}
