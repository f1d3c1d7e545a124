package tlsorigin

import (
	"context"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
)

// maxSegment returns the segment size of a connection.
func maxSegment(t *testing.T, conn net.Conn) (size int) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		if size, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG); err != nil {
			t.Error(err)
		}
	})
	return size
}

// TestSegmentsShrink: when a retry says so, or when it is remembered and nothing else is said.
func TestSegmentsShrink(t *testing.T) {
	ln := peertest.Listen(t, "localhost")
	defer ln.Close()
	addr := ln.Addr().String()
	d := &Dialer{hosts: hosts{known: map[string]*hostState{}}}
	dialer := newNetDialer()
	dialer.ControlContext = d.controlSocket
	remembered := map[string]*hostState{addr: {fallback: FallbackSmallSegments}}
	for _, row := range []struct {
		name  string
		ctx   context.Context
		known map[string]*hostState
		small bool
	}{
		{"usual", t.Context(), nil, false},
		{"remembered", t.Context(), remembered, true},
		{"retry", withSegments(t.Context(), true), nil, true},
		{"probe", withSegments(t.Context(), false), remembered, false},
	} {
		d.hosts.known = row.known
		conn, err := dialer.DialContext(row.ctx, "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if size := maxSegment(t, conn); (size <= smallSegment) != row.small {
			t.Errorf("%s: segments of %d bytes", row.name, size)
		}
		if packetsLost(conn) {
			t.Errorf("%s: packets of a fresh connection are lost", row.name)
		}
		conn.Close()
	}
}

// TestDeliveredPacketsAreNotLost: what was acknowledged and not answered is no case for smaller segments.
func TestDeliveredPacketsAreNotLost(t *testing.T) {
	p := peertest.Start(t, func(net.Conn) {})
	conn, err := newNetDialer().DialContext(t.Context(), "tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(make([]byte, 1<<14)); err != nil {
		t.Fatal(err)
	}
	if packetsLost(conn) {
		t.Error("they count as lost")
	}
	conn.Close()
	p.Received(t)
	if ours, theirs := net.Pipe(); packetsLost(ours) || theirs == nil {
		t.Error("a pipe loses packets")
	}
}
