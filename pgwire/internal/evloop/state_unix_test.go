//go:build unix

package evloop

import (
	"net"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

func TestAwaitInput(t *testing.T) {
	near, far := pgtest.TCPPair(t)
	calls, found := make(chan int, 100), make(chan bool)
	head := make([]byte, 10)
	await := func() {
		found <- AwaitInput(near, func() bool {
			n, ended := Peek(near, head)
			calls <- n
			return ended || n == 2
		})
	}
	expect := func(want int) {
		t.Helper()
		for n := range calls { // it may look more than once
			if n == want {
				return
			}
		}
	}
	go await()
	expect(0)
	if _, err := far.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	expect(1)
	if _, err := far.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	expect(2)
	if !<-found {
		t.Error("what was found is not reported")
	}
	if n, err := near.Read(head); n != 2 || err != nil {
		t.Errorf("read %d bytes (%v): something was taken", n, err)
	}

	go await()
	expect(0)
	_ = near.SetReadDeadline(time.Unix(1, 0))
	if <-found {
		t.Error("the deadline does not end it")
	}
	_ = near.SetReadDeadline(time.Time{})
	go await()
	_ = far.Close()
	if !<-found {
		t.Error("the end is not found")
	}
	pipe, _ := net.Pipe()
	if AwaitInput(pipe, func() bool { return true }) {
		t.Error("something is known about a pipe")
	}
}
