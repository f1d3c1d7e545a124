//go:build !linux

package host

import (
	"context"
	"net"
)

// Bindable returns the error that a listener on addr, which is host:port, would get.
func Bindable(addr string) error {
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return err //nolint:wrapcheck // as a listener says it
	}
	_ = ln.Close()
	return nil
}
