//go:build unix

package tlsorigin

import (
	"errors"
	"io"
	"syscall"
)

// readDescriptor reads from a descriptor that does not block; EAGAIN means that there is nothing.
func readDescriptor(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}
