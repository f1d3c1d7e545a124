package advice

import (
	"context"
	"errors"
	"net"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/pgwire"
)

// FindLogin returns what an error of a pgclient.Client says. Its connection was verified.
func (c Cures) FindLogin(err error) Finding {
	if found, ok := c.Find(err); ok {
		return found
	}
	var timedOut net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timedOut) && timedOut.Timeout() {
		return c.Plain(string(pgwire.ReasonLoginTimeout), "the server did not answer the login in time")
	}
	return c.Plain(string(pgwire.ReasonUpstreamGone),
		"the server ended the connection before the login was over: "+safetext.Printable(err.Error()))
}
