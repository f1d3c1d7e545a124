package pgwire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is a connection that the runtime's poller does not know, so that it
// wakes nobody but an event loop. Nothing waits: Read and Write return EAGAIN
// instead. It knows no deadlines.
type socket struct {
	net.Conn     // closed; it still knows its addresses
	fd       int // -1 once closed or given back
}

// newSocket returns a socket for conn's connection, with a descriptor of its
// own: the runtime's poller watches a descriptor until that very one is closed.
// Both are to be closed, conn first.
func newSocket(conn net.Conn) (*socket, error) {
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("duplicate descriptor: %T has none", conn)
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("duplicate descriptor: %w", err)
	}
	fd := -1
	var dupErr error
	err = control.Control(func(original uintptr) {
		fd, dupErr = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, dupErr); err != nil {
		return nil, fmt.Errorf("duplicate descriptor: %w", err)
	}
	return &socket{conn, fd}, nil
}

// giveBack returns a connection with deadlines in place of the socket.
func (s *socket) giveBack() (net.Conn, error) {
	f := os.NewFile(uintptr(s.fd), "socket")
	s.fd = -1
	defer func() { _ = f.Close() }()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("give descriptor back: %w", err)
	}
	return conn, nil
}

// Read implements net.Conn. It is a system call that the scheduler is not told
// of, which a read that cannot wait does not need.
func (s *socket) Read(p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch {
		case errno == syscall.EINTR:
		case errno != 0:
			return 0, s.failure("read", errno)
		case n == 0:
			return 0, io.EOF
		default:
			return int(n), nil
		}
	}
}

// Write implements net.Conn. The error of a short write is EAGAIN.
func (s *socket) Write(p []byte) (int, error) { return s.send(p, unix.MSG_NOSIGNAL) }

// WriteMore is Write for what is to be sent in one piece with the next Write.
func (s *socket) WriteMore(p []byte) (int, error) { return s.send(p, unix.MSG_NOSIGNAL|unix.MSG_MORE) }

func (s *socket) send(p []byte, flags uintptr) (int, error) {
	written := 0
	for written < len(p) {
		rest := p[written:]
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(s.fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(len(rest)), flags, 0, 0)
		switch {
		case errno == syscall.EINTR:
		case errno != 0:
			return written, s.failure("write", errno)
		default:
			written += int(n)
		}
	}
	return written, nil
}

// awaitBytes has the kernel call the socket readable for n bytes, the end or an
// error, and reports whether it agreed.
func (s *socket) awaitBytes(n int) bool {
	lowest := int32(n)
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(s.fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT,
		uintptr(unsafe.Pointer(&lowest)), unsafe.Sizeof(lowest), 0)
	return errno == 0
}

// hasRoom reports whether a write would be taken, or fail at once. If not, epoll
// tells when that changes.
func (s *socket) hasRoom() bool {
	question := unix.PollFd{Fd: int32(s.fd), Events: unix.POLLOUT}
	var now unix.Timespec
	n, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&question)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return errno != 0 || n > 0
}

// SyscallConn implements syscall.Conn, for questions about the descriptor.
func (s *socket) SyscallConn() (syscall.RawConn, error) { return asker{s}, nil }

// asker lets a function use a socket's descriptor. Nobody closes it meanwhile.
type asker struct{ socket *socket }

// Control implements syscall.RawConn.
func (a asker) Control(f func(fd uintptr)) error {
	if a.socket.fd < 0 {
		return net.ErrClosed
	}
	f(uintptr(a.socket.fd))
	return nil
}

// Read implements syscall.RawConn. It does not wait.
func (a asker) Read(f func(fd uintptr) bool) error { return a.Control(func(fd uintptr) { f(fd) }) }

// Write implements syscall.RawConn. It does not wait.
func (a asker) Write(f func(fd uintptr) bool) error { return a.Read(f) }

// failure leaves EAGAIN bare, for it is no error but an answer.
func (s *socket) failure(operation string, errno syscall.Errno) error {
	if errno == syscall.EAGAIN {
		return syscall.EAGAIN
	}
	return &net.OpError{
		Op: operation, Net: s.RemoteAddr().Network(), Source: s.LocalAddr(), Addr: s.RemoteAddr(),
		Err: os.NewSyscallError(operation, errno),
	}
}

// CloseWrite ends the stream in one direction.
func (s *socket) CloseWrite() error { return unix.Shutdown(s.fd, unix.SHUT_WR) }

// Close implements net.Conn.
func (s *socket) Close() error {
	if s.fd < 0 {
		return net.ErrClosed
	}
	fd := s.fd
	s.fd = -1
	return unix.Close(fd)
}

// SetDeadline implements net.Conn and does nothing: nothing waits.
func (s *socket) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn and does nothing.
func (s *socket) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn and does nothing.
func (s *socket) SetWriteDeadline(time.Time) error { return nil }
