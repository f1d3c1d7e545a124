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

// unixSocket is a listening Unix socket with the lock file that keeps it ours.
type unixSocket struct {
	*net.UnixListener
	path  string
	bound os.FileInfo // of the socket file
	lock  *os.File
}

// ListenUnix makes a socket at path with mode. It replaces a dead socket that another pgorigin left behind,
// and nothing else.
//
// A lock file beside the socket has the name that PostgreSQL gives to its own, so that neither program takes
// the other's place. Ours is recognised by its content, and in use for as long as the kernel has a lock on
// it. PostgreSQL decides by process IDs, which mean nothing across containers that share a volume.
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

// lockMark is the second line of a lock file of pgorigin; the first is a process ID, for people and for
// PostgreSQL.
const lockMark = "pgorigin"

// lockTries bounds how often a lock file that is removed at the same moment is made again.
const lockTries = 100

// socketLock is a lock file that is locked for as long as it is open.
type socketLock struct {
	*os.File
	found bool // a pgorigin that has ended left it
}

// lockSocket takes the lock. A process that had it before may be about to remove the file, so the lock counts
// only if the file is still there afterwards.
func lockSocket(path string) (socketLock, error) {
	for range lockTries {
		switch info, err := os.Lstat(path); {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return socketLock{}, fmt.Errorf("look at lock file: %w", err)
		case !info.Mode().IsRegular():
			return socketLock{}, &ForeignFileError{path, "is no regular file"}
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

// takeLock locks an open lock file and puts our content there, unless it is somebody else's.
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
	content := make([]byte, 1<<10)
	n, err := file.ReadAt(content, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return socketLock{}, fmt.Errorf("read lock file: %w", err)
	}
	lines := strings.Split(string(content[:n]), "\n")
	ours := n > 0 && len(lines) == 3 && lines[1] == lockMark
	switch stat, ok := held.Sys().(*syscall.Stat_t); {
	case n > 0 && !ours:
		return socketLock{},
			&ForeignFileError{path, "is the lock file of another program, such as PostgreSQL"}
	case ok && stat.Nlink > 1:
		return socketLock{}, &ForeignFileError{path, "has another name elsewhere (a hard link)"}
	}
	_ = file.Truncate(0)
	_, _ = fmt.Fprintf(io.NewOffsetWriter(file, 0), "%d\n%s\n", os.Getpid(), lockMark)
	return socketLock{file, ours}, nil
}

// bindSocket listens at path, where nothing is.
func bindSocket(path string, mode os.FileMode) (*net.UnixListener, error) {
	// The mode must hold from the first moment on, so it cannot be set afterwards. Nothing else makes files
	// meanwhile.
	before := syscall.Umask(int(^mode & 0o777))
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	syscall.Umask(before)
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // Close does that, while it still has the lock
	return ln, nil
}

// removeDeadSocket removes a socket that a pgorigin left behind. Ours says that the lock file was left there,
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
	ctx, cancel := context.WithTimeout(ctx, time.Second)
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

// Close stops listening and removes the socket and its lock file, if they are still those that listenUnix
// made.
func (s *unixSocket) Close() error {
	// The kernel gives the inode to no other file before the socket is closed.
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

// unlock removes the lock file, if it is still there, and gives up the lock.
func (s *unixSocket) unlock() {
	held, err := s.lock.Stat()
	if there, err2 := os.Lstat(s.lock.Name()); err == nil && err2 == nil && os.SameFile(held, there) {
		_ = os.Remove(s.lock.Name())
	}
	_ = s.lock.Close()
}
