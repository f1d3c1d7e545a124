package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	// unixScheme begins a listen address that is a Unix socket.
	unixScheme = "unix:"
	// socketName is the file name that libpq makes of a directory and the default port.
	socketName = ".s.PGSQL.6432"
	// maxSocketPath is what fits into sockaddr_un on Linux.
	maxSocketPath = 107
)

// errSocketInUse is about a socket whose owner is alive. It is never taken away from it.
var errSocketInUse = errors.New("is in use by another process")

// unixSocket is a listening Unix socket with the lock file that keeps it ours.
type unixSocket struct {
	*net.UnixListener
	path string
	lock *os.File
}

// socketPath returns the file that a listen address such as unix:/dir or unix:/dir/file stands for.
func socketPath(addr string) (string, error) {
	path := addr[len(unixScheme):]
	if !filepath.IsAbs(path) {
		return "", errors.New("is no absolute path")
	}
	path = filepath.Clean(path)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, socketName)
	}
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("is longer than the %d bytes that a socket path may have", maxSocketPath)
	}
	return path, nil
}

// listenUnix makes a socket at path with mode. A socket that its owner left behind is replaced, one that somebody
// listens on is not. Whose it is, a lock file beside it tells, as PostgreSQL has one; but a lock of the kernel on that
// file, not a process ID in it, which says nothing across containers that share a volume.
func listenUnix(ctx context.Context, path string, mode os.FileMode) (*unixSocket, error) {
	lock, err := lockSocket(path + ".lock")
	if err != nil {
		return nil, err
	}
	ln, err := bindSocket(ctx, path, mode)
	if err != nil {
		_ = os.Remove(lock.Name())
		_ = lock.Close()
		return nil, err
	}
	return &unixSocket{UnixListener: ln, path: path, lock: lock}, nil
}

// lockSocket takes the lock for as long as the file stays open. Whoever had it before may be about to remove the file,
// so the lock counts only if the file is still there afterwards.
func lockSocket(path string) (*os.File, error) {
	for {
		lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("make lock file: %w", err)
		}
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			_ = lock.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, errSocketInUse
			}
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		held, err := lock.Stat()
		if err == nil {
			if there, err := os.Stat(path); err == nil && os.SameFile(held, there) {
				_ = lock.Truncate(0)
				_, _ = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0) // for people
				return lock, nil
			}
		}
		_ = lock.Close()
	}
}

// bindSocket removes a dead socket and listens in its place.
func bindSocket(ctx context.Context, path string, mode os.FileMode) (*net.UnixListener, error) {
	if err := removeDeadSocket(ctx, path); err != nil {
		return nil, err
	}
	// The mode must hold from the first moment on, so it cannot be set afterwards. Nothing else makes files meanwhile.
	before := syscall.Umask(int(^mode & 0o777))
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	syscall.Umask(before)
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // Close does that, while it still has the lock
	return ln, nil
}

// removeDeadSocket removes a socket on which nobody listens, and nothing else.
func removeDeadSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return errors.New("exists and is no socket")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
		return errSocketInUse
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("ask who listens there: %w", err)
	}
	return os.Remove(path)
}

// Close stops listening and removes the socket and its lock file.
func (s *unixSocket) Close() error {
	err := s.UnixListener.Close()
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	_ = os.Remove(s.path)
	_ = os.Remove(s.lock.Name())
	_ = s.lock.Close()
	return err
}
