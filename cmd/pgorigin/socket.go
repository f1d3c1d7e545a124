package main

import (
	"errors"
	"fmt"
)

// errSocketInUse is about a socket whose owner is alive. It is never taken away from it.
var errSocketInUse = errors.New("is in use by another process")

// foreignFileError is about something in the way that pgorigin did not make. It stays as it is.
type foreignFileError struct{ path, is string }

func (e *foreignFileError) Error() string {
	return fmt.Sprintf("%s %s; it is left alone: use another folder or file name, or remove it if nobody needs it", e.path, e.is)
}
