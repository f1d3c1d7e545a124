package host

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// Bindable returns the error that a listener on addr, which is host:port, would get. It only binds. So it is
// in nobody's way, not even for a moment: Linux lets others bind and listen until a socket listens.
func Bindable(addr string) error {
	resolved, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return err //nolint:wrapcheck // as a listener says it
	}
	ip, port := resolved.AddrPort().Addr().Unmap(), resolved.Port
	switch {
	case resolved.Zone != "":
		return nil // not tried
	case !ip.IsValid(): // no host means every address, of both families if there are two
		err = bind(netip.IPv6Unspecified(), port)
		if errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) {
			err = bind(netip.IPv4Unspecified(), port)
		}
	default:
		err = bind(ip, port)
	}
	if err != nil {
		return &net.OpError{Op: "listen", Net: "tcp", Addr: resolved, Err: err}
	}
	return nil
}

func bind(ip netip.Addr, port int) error {
	family, place := syscall.AF_INET6, syscall.Sockaddr(&syscall.SockaddrInet6{Port: port, Addr: ip.As16()})
	if ip.Is4() {
		family, place = syscall.AF_INET, &syscall.SockaddrInet4{Port: port, Addr: ip.As4()}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() { _ = syscall.Close(fd) }()
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	return os.NewSyscallError("bind", syscall.Bind(fd, place))
}
