package evloop

import (
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bell is an edge-triggered epoll with one member, as a loop has it, and what parks at it.
type bell struct {
	epoll, event int
	parking      *parking
}

func newBell(t *testing.T) *bell {
	t.Helper()
	b := &bell{}
	var err error
	if b.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if b.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	watched := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}
	if err := unix.EpollCtl(b.epoll, unix.EPOLL_CTL_ADD, b.event, &watched); err != nil {
		t.Fatal(err)
	}
	events := make([]unix.EpollEvent, 1)
	b.parking, err = newParking(b.epoll, func() int {
		n, err := unix.EpollWait(b.epoll, events, 0)
		if err != nil {
			return 0
		}
		return n
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = b.parking.gate.Close()
		_, _ = unix.Close(b.epoll), unix.Close(b.event)
	})
	return b
}

func (b *bell) ring(t *testing.T) {
	t.Helper()
	if _, err := unix.Write(b.event, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Error(err)
	}
}

// Whenever an event comes, before the loop parks, while it does or when it has, the loop is woken.
func TestParkingMissesNothing(t *testing.T) {
	b := newBell(t)
	const times = 20_000
	heard := make(chan struct{})
	go func() {
		for range times {
			for range rand.IntN(2000) { // the moment drifts over the other side's steps
				_ = b.event
			}
			b.ring(t)
			<-heard
		}
	}()
	for i := range times {
		n, err := b.parking.await(10 * time.Second)
		if err != nil || n != 1 {
			t.Fatalf("await %d: %d events, %v", i, n, err)
		}
		heard <- struct{}{}
	}
}

// A limit ends a wait, and leaves nothing behind for the next one.
func TestParkingLimit(t *testing.T) {
	b := newBell(t)
	for range 3 {
		if n, err := b.parking.await(time.Millisecond); n != 0 || err != nil {
			t.Fatalf("there are %d events, %v", n, err)
		}
		go b.ring(t)
		if n, err := b.parking.await(0); n != 1 || err != nil {
			t.Fatalf("there are %d events, %v; want one", n, err)
		}
	}
}
