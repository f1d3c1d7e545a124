package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// foreignFileError is about something in the way that pgorigin did not make. It stays as it is.
type foreignFileError struct{ path, is string }

func (e *foreignFileError) Error() string {
	return fmt.Sprintf("%s %s; it is left alone: use another folder or file name, or remove it if nobody needs it", e.path, e.is)
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
