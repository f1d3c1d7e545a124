package host

import (
	"fmt"
	"net"
	"time"
)

// notifyTimeout bounds the wait for a service manager that does not read what it is told.
const notifyTimeout = time.Second

// Notify is daemon.SdNotify with a deadline: the library's waits for as long as the queue of the socket is
// full.
func Notify(socket, message string) error {
	if socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetWriteDeadline(time.Now().Add(notifyTimeout)) // it fails for closed connections only
	if _, err := conn.Write([]byte(message)); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}
