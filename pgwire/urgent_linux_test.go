package pgwire

import (
	"bytes"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// Urgent data make reads short although more has come. Nothing waits for an event
// that does not come, and nothing in band is lost.
func TestUrgentData(t *testing.T) {
	for name, fromClient := range map[string]bool{"client": true, "upstream": false} {
		t.Run(name, func(t *testing.T) {
			eachRelay(t, func(t *testing.T, r *rig) {
				from, to := r.login("pid4key4")
				if !fromClient {
					from, to = to, from
				}
				first, second := bytes.Repeat([]byte("a"), 100), bytes.Repeat([]byte("b"), 100)
				_ = to.SetReadDeadline(time.Now().Add(30 * time.Second))
				for range 200 {
					from.Send(first)
					sendUrgent(t, from)
					from.Send(second)
					to.Expect(first, second)
				}
			})
		})
	}
}

func sendUrgent(t *testing.T, p *pgtest.Peer) {
	t.Helper()
	raw, err := p.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { err = unix.Send(int(fd), []byte("!"), unix.MSG_OOB) })
	if err != nil {
		t.Fatal(err)
	}
}
