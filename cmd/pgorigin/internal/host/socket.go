package host

import (
	"errors"
	"fmt"
)

// ErrSocketInUse means that the process that owns the socket is alive.
var ErrSocketInUse = errors.New("is in use by another process")

// ForeignFileError is about a file in the place of the socket or of its lock that pgorigin has not made.
// The file stays as it is.
type ForeignFileError struct{ path, is string }

func (e *ForeignFileError) Error() string {
	return fmt.Sprintf("%s %s; it is left alone: use another folder or file name, "+
		"or remove it if nobody needs it", e.path, e.is)
}
