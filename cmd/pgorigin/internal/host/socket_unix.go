//go:build unix

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// HasUnixSockets reports whether ListenUnix can work.
const HasUnixSockets = true

// unixSocket is a listening Unix socket with the lock file that keeps it ours.
type unixSocket struct {
	*net.UnixListener
	path  string
	bound os.FileInfo // of the socket file
	lock  *os.File
}

// ListenUnix listens on a socket at path with mode. It replaces a dead socket of another pgorigin, and no
// other file. Close removes the socket and its lock file.
//
// The lock file has the name that PostgreSQL would use, so that neither program replaces the socket of the
// other. Its content marks it as ours. It is in use while a process holds a kernel lock on it. PostgreSQL
// compares process IDs instead, which mean nothing between containers that share a volume.
func ListenUnix(ctx context.Context, path string, mode os.FileMode) (*unixSocket, error) {
	lock, err := lockSocket(path + ".lock")
	if err != nil {
		return nil, err
	}
	s := &unixSocket{path: path, lock: lock.File}
	if err = removeDeadSocket(ctx, path, lock.found); err == nil {
		s.UnixListener, err = bindSocket(path, mode)
	}
	if err == nil {
		s.bound, err = os.Lstat(path)
	}
	if err != nil {
		if s.UnixListener != nil {
			_ = s.UnixListener.Close()
		}
		s.unlock()
		return nil, err
	}
	return s, nil
}

const (
	// lockMark is the second line of a lock file of pgorigin. The first is a process ID, for people and for
	// PostgreSQL.
	lockMark = "pgorigin"
	// maxLockFile is how many bytes of a lock file are read. One of pgorigin has fewer than 32.
	maxLockFile = 1 << 10
	// lockTries is how often a lock file is made again that another process has removed meanwhile.
	lockTries = 100
	// dialTimeout bounds the test whether a process listens on a socket.
	dialTimeout = time.Second
)

// socketLock is a lock file that is locked for as long as it is open.
type socketLock struct {
	*os.File
	found bool // a pgorigin that has ended left the file
}

// lockSocket takes the lock. Its last owner may be about to remove the file, so the lock is valid only if
// the file is still there afterwards.
func lockSocket(path string) (socketLock, error) {
	for range lockTries {
		switch info, err := os.Lstat(path); {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return socketLock{}, fmt.Errorf("look at lock file: %w", err)
		case !info.Mode().IsRegular():
			return socketLock{}, &ForeignFileError{path, "is not a regular file"}
		}
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
		if err != nil {
			return socketLock{}, fmt.Errorf("make lock file: %w", err)
		}
		lock, err := takeLock(file, path)
		if err == nil {
			return lock, nil
		}
		_ = file.Close()
		if !errors.Is(err, errLockReplaced) {
			return socketLock{}, err
		}
	}
	return socketLock{}, ErrSocketInUse
}

var errLockReplaced = errors.New("the lock file was replaced")

// takeLock locks an open lock file and writes our content, unless the file belongs to another program.
func takeLock(file *os.File, path string) (socketLock, error) {
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return socketLock{}, ErrSocketInUse
		}
		return socketLock{}, fmt.Errorf("lock %s: %w", path, err)
	}
	held, err := file.Stat()
	if err != nil {
		return socketLock{}, fmt.Errorf("look at lock file: %w", err)
	}
	if there, err := os.Lstat(path); err != nil || !os.SameFile(held, there) {
		return socketLock{}, errLockReplaced
	}
	content := make([]byte, maxLockFile)
	n, err := file.ReadAt(content, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return socketLock{}, fmt.Errorf("read lock file: %w", err)
	}
	lines := strings.Split(string(content[:n]), "\n")
	ours := n > 0 && len(lines) == 3 && lines[1] == lockMark
	switch stat, ok := held.Sys().(*syscall.Stat_t); {
	case n > 0 && !ours:
		const is = "is the lock file of another program, such as PostgreSQL"
		return socketLock{}, &ForeignFileError{path, is}
	case ok && stat.Nlink > 1:
		return socketLock{}, &ForeignFileError{path, "has another name elsewhere (a hard link)"}
	}
	_ = file.Truncate(0)
	_, _ = fmt.Fprintf(io.NewOffsetWriter(file, 0), "%d\n%s\n", os.Getpid(), lockMark)
	return socketLock{file, ours}, nil
}

// bindSocket listens at path, where no file is.
func bindSocket(path string, mode os.FileMode) (*net.UnixListener, error) {
	// A mode that is set afterwards would leave the socket open to others for a moment. Nothing else makes
	// files meanwhile.
	before := syscall.Umask(int(^mode & 0o777))
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	syscall.Umask(before)
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // Close removes it while it holds the lock
	return ln, nil
}

// removeDeadSocket removes a socket that a pgorigin left behind, which is ours if its lock file is there,
// too.
func removeDeadSocket(ctx context.Context, path string, ours bool) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return &ForeignFileError{path, "is no socket"}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = conn.Close()
		return ErrSocketInUse
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("ask who listens there: %w", err)
	case !ours:
		return &ForeignFileError{path, "is a socket on which nobody listens, left behind by another program"}
	}
	return os.Remove(path)
}

// Close stops listening. It removes the socket and its lock file if they are still the ones that ListenUnix
// made.
func (s *unixSocket) Close() error {
	// Before the socket is closed, no other file can have its inode.
	there, err := os.Lstat(s.path)
	ours := err == nil && os.SameFile(s.bound, there)
	if err := s.UnixListener.Close(); err != nil {
		return err
	}
	if ours {
		_ = os.Remove(s.path)
	}
	s.unlock()
	return nil
}

// unlock removes the lock file, if it is still ours, and releases the lock.
func (s *unixSocket) unlock() {
	held, err := s.lock.Stat()
	if there, err2 := os.Lstat(s.lock.Name()); err == nil && err2 == nil && os.SameFile(held, there) {
		_ = os.Remove(s.lock.Name())
	}
	_ = s.lock.Close()
}
