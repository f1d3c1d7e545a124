package host

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

func TestBindable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	for _, taken := range []string{addr, ":" + port, "localhost:" + port} {
		_, listening := net.Listen("tcp", taken)
		if err := Bindable(taken); !errors.Is(err, syscall.EADDRINUSE) || listening == nil || err.Error() != listening.Error() {
			t.Errorf("%s: %v, a listener gets %v", taken, err, listening)
		}
	}
	ln.Close()
	if err := Bindable(addr); err != nil {
		t.Errorf("free again: %v", err)
	}
	if err := Bindable("203.0.113.7:1"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("of another machine: %v", err)
	}
	if err := Bindable("nowhere.invalid:1"); !errors.As(err, new(*net.DNSError)) {
		t.Errorf("a name that does not exist: %v", err)
	}
}
