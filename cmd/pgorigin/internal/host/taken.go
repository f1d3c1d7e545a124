package host

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
)

// ListenCure says what to do if addr, the value of variable, cannot be bound. addr is host:port, or a path
// behind unix:.
func ListenCure(variable, addr string, err error) string {
	_, port, _ := net.SplitHostPort(addr)
	inUse := "set " + variable + " to a free address, or stop the program that listens there"
	switch {
	case errors.Is(err, ErrSocketInUse), errors.As(err, new(*ForeignFileError)):
		return inUse
	case strings.HasPrefix(addr, "unix:"):
		return "set " + variable + " to a folder that exists and that this user may write to"
	case errors.Is(err, syscall.EADDRINUSE):
		if holder := portHolder(port); holder != "" {
			inUse += ": " + holder
		}
		return inUse
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("set %s to a port from 1024 on; or allow this one, with the sysctl "+
			"net.ipv4.ip_unprivileged_port_start=%s or the capability NET_BIND_SERVICE", variable, port)
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		return "set " + variable + " to an address of this machine, such as 127.0.0.1:" + port
	case errors.As(err, new(*net.DNSError)):
		return "set " + variable + " to an IP address, such as 127.0.0.1:" + port
	}
	return "set " + variable + " to another address of this machine"
}
