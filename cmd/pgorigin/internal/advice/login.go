package advice

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/pgwire/pgclient"
)

// FindLogin returns what an error of a pgclient.Client says. Its connection was verified.
func (c Cures) FindLogin(err error) Finding {
	if found, ok := c.Find(err); ok {
		return found
	}
	var refused *pgclient.ServerError
	var timedOut net.Error
	switch {
	case errors.As(err, &refused):
		return c.Plain(string(pgwire.ReasonAuthRejected), ServerSays(refused))
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timedOut) && timedOut.Timeout():
		return c.Plain(string(pgwire.ReasonLoginTimeout), "the server did not answer the login in time")
	}
	return c.Plain(string(pgwire.ReasonUpstreamGone),
		"the server ended the connection before the login was over: "+safetext.Printable(err.Error()))
}

// ServerSays repeats the words of a verified server.
func ServerSays(e *pgclient.ServerError) string {
	return fmt.Sprintf("the server says %s (%s): %s",
		safetext.Printable(e.Severity), safetext.Printable(e.Code), safetext.Quote(e.Message))
}
