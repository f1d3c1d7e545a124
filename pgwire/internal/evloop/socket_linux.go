package evloop

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

// Socket is a connection that the runtime's poller does not know: its events wake an event loop and nothing
// else. Nothing waits: Read and Write return EAGAIN instead, and deadlines do nothing. One goroutine at a
// time may use it.
type Socket struct {
	net.Conn     // closed; it still knows its addresses
	fd       int // -1 once closed or given back

	// Readable means that there may be something to read. A new Socket is readable, because data may have
	// come before it was watched.
	Readable bool
	// HungUp means that the stream has ended, or will end after what can be read. No later event repeats
	// that.
	HungUp bool
	urgent int8 // so many reads may end early, at urgent data
	batch  batch
}

// What carries TLS over a Socket finds these methods by type assertion. Without one of them it would do less,
// and nobody would notice.
var _ interface {
	syscall.Conn
	CloseWrite() error
	WriteMore(p []byte) (int, error)
} = (*Socket)(nil)

// NewSocket returns a socket for conn's connection, with a descriptor of its own: the runtime's poller
// watches a descriptor until that very one is closed. The caller closes both, conn first.
func NewSocket(conn net.Conn) (*Socket, error) {
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
	return &Socket{Conn: conn, fd: fd, Readable: true}, nil
}

// GiveBack returns a connection with deadlines. It takes the place of the socket, and the caller closes it.
func (s *Socket) GiveBack() (net.Conn, error) {
	f := os.NewFile(uintptr(s.fd), "socket")
	s.fd = -1
	defer func() { _ = f.Close() }()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("give descriptor back: %w", err)
	}
	return conn, nil
}

func (s *Socket) noteEvents(events uint32) {
	s.Readable = s.Readable || events&(unix.EPOLLIN|unix.EPOLLPRI) != 0
	if events&unix.EPOLLPRI != 0 {
		s.urgent = 2 // reads: one up to the urgent data, one past them
	}
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.Readable, s.HungUp = true, true
	}
}

// WasRead sets Readable after a read: full says whether that filled its buffer, err is its error.
func (s *Socket) WasRead(full bool, err error) {
	s.Readable = (full || s.HungUp) && !errors.Is(err, syscall.EAGAIN)
	if s.urgent > 0 {
		s.urgent--
		s.Readable = true
	}
}

// Read implements net.Conn. The scheduler is not told of the system call, because it cannot wait.
func (s *Socket) Read(p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(s.fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
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
func (s *Socket) Write(p []byte) (int, error) { return s.send(p, unix.MSG_NOSIGNAL) }

// WriteMore is Write, but the kernel may hold p back to send it in one piece with the next Write.
func (s *Socket) WriteMore(p []byte) (int, error) { return s.send(p, unix.MSG_NOSIGNAL|unix.MSG_MORE) }

func (s *Socket) send(p []byte, flags uintptr) (int, error) {
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

// HasRoom reports whether a write would be taken, or fail at once. If not, an event tells when that changes.
func (s *Socket) HasRoom() bool {
	question := unix.PollFd{Fd: int32(s.fd), Events: unix.POLLOUT}
	var now unix.Timespec
	n, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&question)), 1,
		uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return errno != 0 || n > 0
}

// SyscallConn implements syscall.Conn. Control, Read and Write of the result do not wait.
func (s *Socket) SyscallConn() (syscall.RawConn, error) { return rawConn{s}, nil }

// rawConn lets a function use the descriptor of a socket. Nobody closes it meanwhile.
type rawConn struct{ socket *Socket }

// Control implements syscall.RawConn.
func (c rawConn) Control(f func(fd uintptr)) error {
	if c.socket.fd < 0 {
		return net.ErrClosed
	}
	f(uintptr(c.socket.fd))
	return nil
}

// Read implements syscall.RawConn.
func (c rawConn) Read(f func(fd uintptr) bool) error { return c.Control(func(fd uintptr) { f(fd) }) }

// Write implements syscall.RawConn.
func (c rawConn) Write(f func(fd uintptr) bool) error { return c.Read(f) }

// failure makes a net.OpError of errno. EAGAIN stays as it is: it is an answer, not a failure.
func (s *Socket) failure(operation string, errno syscall.Errno) error {
	if errno == syscall.EAGAIN {
		return syscall.EAGAIN
	}
	return &net.OpError{
		Op: operation, Net: s.RemoteAddr().Network(), Source: s.LocalAddr(), Addr: s.RemoteAddr(),
		Err: os.NewSyscallError(operation, errno),
	}
}

// CloseWrite ends the stream in one direction.
func (s *Socket) CloseWrite() error { return unix.Shutdown(s.fd, unix.SHUT_WR) }

// Close implements net.Conn.
func (s *Socket) Close() error {
	if s.fd < 0 {
		return net.ErrClosed
	}
	fd := s.fd
	s.fd = -1
	return unix.Close(fd)
}

// SetDeadline implements net.Conn and does nothing: nothing waits.
func (s *Socket) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn and does nothing.
func (s *Socket) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn and does nothing.
func (s *Socket) SetWriteDeadline(time.Time) error { return nil }
