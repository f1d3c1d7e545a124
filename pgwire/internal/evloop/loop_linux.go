package evloop

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	wakeSlot     = -1 // in place of a slot: the event is that of the loop's own eventfd
	eventsAtOnce = 128
	briefWait    = time.Millisecond
	idleLife     = time.Second // how long a loop without relays waits for the next one
)

// Pair is two sockets and their relay, as a loop has them. The zero value is for Group.Add.
type Pair struct {
	relay   Relay
	loop    *loop
	sockets [2]*Socket
	slot    int32
	queued  bool // in loop.ready
}

// Wake has the loop call Turn soon. It may be called from any goroutine after Adopt; it does nothing after
// Done.
func (p *Pair) Wake() { p.loop.wakeUp(p) }

// loop runs many relays on one goroutine, with edge-triggered epoll. Each descriptor is registered once. A
// read that did not fill its buffer has read everything, so it needs no second one (epoll(7), question 9).
// Urgent data are the exception: a read stops before them. EPOLLPRI announces them.
type loop struct {
	group       *Group
	epoll, wake int
	parking     *parking
	brief       bool // there is more than one processor
	relays      atomic.Int64
	buf         []byte
	events      []unix.EpollEvent // here and not on a stack, which may move during a system call
	timeout     unix.Timespec     // likewise
	precise     bool              // the kernel can wait for less than a millisecond
	ready       []*Pair           // whose Turn is due
	batches     []waiting

	mu     sync.Mutex
	pairs  []*Pair // by slot
	free   []int32 // slots
	woken  []*Pair // by Wake
	closed bool
}

func newLoop(group *Group, brief bool) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("event loop: create epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("event loop: create eventfd: %w", err)
	}
	l := &loop{
		group: group, epoll: epoll, wake: wake, brief: brief,
		buf: make([]byte, BufferSize), events: make([]unix.EpollEvent, eventsAtOnce),
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wakeSlot}
	if err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &event); err != nil {
		err = fmt.Errorf("event loop: watch eventfd: %w", err)
	} else {
		l.parking, err = newParking(epoll, func() int { return l.waitFor(0, syscall.RawSyscall6) })
	}
	if err != nil {
		_ = unix.Close(epoll)
		_ = unix.Close(wake)
		return nil, err
	}
	// Linux 5.11, and a sandbox that allows it.
	_, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(l.events))), 1, uintptr(unsafe.Pointer(&l.timeout)), 0, 0)
	l.precise = errno == 0
	return l, nil
}

// add watches both sockets of p and has its relay adopt them. The first event of a socket is that it can be
// written to, so the loop looks at p without being woken.
func (l *loop) add(p *Pair) error {
	l.mu.Lock() // until p is complete: the loop takes the lock before it looks
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		p.slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		p.slot = int32(len(l.pairs))
		l.pairs = append(l.pairs, nil)
	}
	for i, s := range p.sockets {
		if err := l.watch(s, p.slot, int32(i)); err != nil {
			for _, watched := range p.sockets[:i] {
				l.unwatch(watched)
			}
			l.free = append(l.free, p.slot)
			return err
		}
	}
	p.loop = l
	l.pairs[p.slot] = p
	l.relays.Add(1)
	p.relay.Adopt()
	return nil
}

// watch registers a socket. Its events carry the slot of the pair, and in Pad which of the two sockets it is.
func (l *loop) watch(s *Socket, slot, which int32) error {
	event := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     slot, Pad: which,
	}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, s.fd, &event); err != nil {
		return fmt.Errorf("event loop: watch connection: %w", err)
	}
	return nil
}

// unwatch must come before the socket is closed: epoll watches the connection, and there may be other
// descriptors of it.
func (l *loop) unwatch(s *Socket) { _ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, s.fd, nil) }

func (l *loop) wakeUp(p *Pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return // the descriptor may have been given to another file by now
	}
	l.woken = append(l.woken, p)
	_, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
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

// poll returns how many events there are, or come within briefWait or, if it is not negative, within pause.
// The scheduler is not told of that wait: it would give the processor away and have to find another one for
// each event. It ends the wait by its signals if it needs the processor. While goroutines have work to do,
// there is no wait that the scheduler does not know of.
func (l *loop) poll(pause time.Duration) int {
	busy := !l.brief || l.group.busy.Load() > 0
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

// systemCall is syscall.Syscall6 or syscall.RawSyscall6, which does not tell the scheduler.
type systemCall func(trap, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, uintptr, syscall.Errno)

// waitFor waits for events, for d at most, and returns how many there are. Unless l.precise, d is in whole
// milliseconds.
func (l *loop) waitFor(d time.Duration, call systemCall) int {
	epoll, count := uintptr(l.epoll), uintptr(len(l.events))
	events := unsafe.Pointer(unsafe.SliceData(l.events))
	var n uintptr
	var errno syscall.Errno
	if l.precise {
		l.timeout = unix.NsecToTimespec(int64(d))
		n, _, errno = call(unix.SYS_EPOLL_PWAIT2, epoll, uintptr(events), count,
			uintptr(unsafe.Pointer(&l.timeout)), 0, 0)
	} else {
		n, _, errno = call(unix.SYS_EPOLL_PWAIT, epoll, uintptr(events), count, uintptr(d.Milliseconds()), 0, 0)
	}
	if errno != 0 {
		return 0 // a signal; nothing else happens to a valid descriptor
	}
	return int(n)
}

// wait returns how many events there are, or -1 when the loop has closed because it has no relays.
func (l *loop) wait() int {
	for {
		var limit time.Duration
		if l.relays.Load() == 0 {
			limit = idleLife
		}
		n, err := l.parking.await(limit)
		if err != nil { // nothing that happens to a valid descriptor, but not to be repeated without a pause
			n = l.waitFor(idleLife, syscall.Syscall6)
		}
		switch {
		case n > 0:
			return n
		case l.group.closeIdle(l):
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

// note marks the sockets that have events, and makes the relays of these ready.
func (l *loop) note(events []unix.EpollEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range events {
		e := &events[i]
		if e.Fd == wakeSlot {
			var count [8]byte
			_, _ = unix.Read(l.wake, count[:])
			for _, p := range l.woken {
				if l.pairs[p.slot] == p {
					l.enqueue(p)
				}
			}
			l.woken = l.woken[:0]
			continue
		}
		if p := l.pairs[e.Fd]; p != nil { // nil: it could not be added after all
			p.sockets[e.Pad].noteEvents(e.Events)
			l.enqueue(p)
		}
	}
}

func (l *loop) enqueue(p *Pair) {
	if !p.queued {
		p.queued = true
		l.ready = append(l.ready, p)
	}
}

// turn gives each ready relay one Turn, so that none waits for another one's bulk.
func (l *loop) turn() {
	left := l.ready[:0]
	for _, p := range l.ready {
		next := p.relay.Turn(l.buf)
		if p.queued = next == Again; p.queued {
			left = append(left, p)
		}
		if next == Done {
			l.remove(p)
		}
	}
	clear(l.ready[len(left):])
	l.ready = left
}

// remove takes p out of the loop and lets its relay end.
func (l *loop) remove(p *Pair) {
	for _, s := range p.sockets {
		l.unwatch(s)
		s.batch.on = false
	}
	l.relays.Add(-1)
	l.mu.Lock()
	l.pairs[p.slot] = nil
	l.free = append(l.free, p.slot)
	l.mu.Unlock()
	go p.relay.End()
}
