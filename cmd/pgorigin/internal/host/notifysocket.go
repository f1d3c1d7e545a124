package host

import (
	"fmt"
	"net"
	"time"
)

// notifyTimeout bounds the wait for a service manager that does not read.
const notifyTimeout = time.Second

// Notify sends message to the service manager at socket. An empty socket means that there is none. Unlike
// daemon.SdNotify, it does not wait for ever while the queue of the socket is full.
func Notify(socket, message string) error {
	if socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetWriteDeadline(time.Now().Add(notifyTimeout)) // fails only on a closed connection
	if _, err := conn.Write([]byte(message)); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}
