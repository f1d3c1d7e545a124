package sidecar

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
)

// TestSocketsOfClients: keep-alive belongs where a client's machine can go away in silence.
func TestSocketsOfClients(t *testing.T) {
	for configured, keepAlive := range map[string]int{
		"127.0.0.1:6432": 0,
		"localhost:6432": 0,
		"10.0.0.7:6432":  1,
		"0.0.0.0:6432":   1,
		":9632":          1,
	} {
		lc, addr := host.TCPListenConfig(config.IsLoopback(configured)), cmdtest.FreeAddr(t)
		if lc.MultipathTCP() { // which a kernel may not have, so that the socket alone would prove nothing
			t.Errorf("%s: listens with Multipath TCP", configured)
		}
		ln, err := lc.Listen(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		client, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		conn, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for option, want := range map[[2]int]int{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE}: keepAlive,
			{unix.SOL_SOCKET, unix.SO_PROTOCOL}:  unix.IPPROTO_TCP,
			{unix.IPPROTO_TCP, unix.TCP_NODELAY}: 1,
		} {
			if got := socketOption(t, conn.(*net.TCPConn), option[0], option[1]); got != want {
				t.Errorf("%s: socket option %v is %d, want %d", configured, option, got, want)
			}
		}
	}
}

func socketOption(t *testing.T, conn *net.TCPConn, level, option int) (value int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var optionErr error
	err = raw.Control(func(fd uintptr) { value, optionErr = unix.GetsockoptInt(int(fd), level, option) })
	if err != nil || optionErr != nil {
		t.Fatal(err, optionErr)
	}
	return value
}
