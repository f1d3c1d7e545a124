package host

import (
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestListenCure: the kernel refuses each address itself, unless the test has rights that a user has not.
func TestListenCure(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	refused := func(addr string) error {
		ln, err := net.Listen("tcp", addr)
		if err == nil {
			_ = ln.Close()
			t.Fatalf("%s can be bound", addr)
		}
		return err
	}
	for _, row := range []struct {
		addr string
		err  error
		want string
	}{
		{addr, refused(addr), "or stop the program that listens there: "},
		{addr, refused(addr), ", process " + strconv.Itoa(os.Getpid())},
		{"192.0.2.1:6432", refused("192.0.2.1:6432"), "set X to an address of this machine, such as 127.0.0.1:6432"},
		{"127.0.0.1:432", &net.OpError{Err: os.NewSyscallError("bind", syscall.EACCES)}, "set X to a port from 1024 on; or allow this one, with the sysctl net.ipv4.ip_unprivileged_port_start=432"},
		{"db.invalid:6432", &net.OpError{Err: &net.DNSError{Err: "no such host"}}, "set X to an IP address"},
		{"unix:/no/folder", os.ErrNotExist, "a folder that exists"},
		{"unix:/run", ErrSocketInUse, "set X to a free address, or stop the program that listens there"},
		{"127.0.0.1:6432", errors.New("odd"), "set X to another address"},
	} {
		if got := ListenCure("X", row.addr, row.err); !strings.Contains(got, row.want) {
			t.Errorf("%s, %v: %q, want %q in it", row.addr, row.err, got, row.want)
		}
	}
}
