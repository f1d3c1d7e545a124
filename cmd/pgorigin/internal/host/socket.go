package host

import (
	"errors"
	"fmt"
)

// ErrSocketInUse is about a socket whose owner is alive. It is never taken away from it.
var ErrSocketInUse = errors.New("is in use by another process")

// ForeignFileError is about something in the way that pgorigin did not make. It stays as it is.
type ForeignFileError struct{ path, is string }

func (e *ForeignFileError) Error() string {
	return fmt.Sprintf(
		"%s %s; it is left alone: use another folder or file name, or remove it if nobody needs it",
		e.path, e.is)
}
