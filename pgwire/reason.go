package pgwire

import (
	"errors"
	"fmt"
	"io"
)

// Reason is one word of the closed vocabulary that logs, metrics and documentation share.
type Reason string

// The reasons that a session of this package may end with. An error of
// [Server.Dial] or of the upstream connection brings its own.
const (
	ReasonOK                 Reason = "ok"                   // the client said goodbye
	ReasonClientProtocol     Reason = "client_protocol"      // not a startup packet, or a login that breaks the rules
	ReasonClientGone         Reason = "client_gone"          // the client left without a Terminate message
	ReasonClientTimeout      Reason = "client_timeout"       // no startup packet within LoginTimeout
	ReasonClientDenied       Reason = "client_denied"        // Server.Allow said no
	ReasonTooManySessions    Reason = "too_many_sessions"    // MaxSessions reached
	ReasonDraining           Reason = "draining"             // refused or ended by Shutdown or Close
	ReasonUpstreamGone       Reason = "upstream_gone"        // the upstream ended the connection
	ReasonUpstreamProtocol   Reason = "upstream_protocol"    // the upstream broke the rules of a login, or began another one behind it
	ReasonUpstreamUnreached  Reason = "upstream_unreachable" // Dial failed and gave no reason of its own
	ReasonAuthRejected       Reason = "auth_rejected"        // the upstream refused the login, or asked for what is not allowed
	ReasonAuthChannelBinding Reason = "auth_channel_binding" // the login cannot be bound, or must not be unbound
	ReasonLoginTimeout       Reason = "login_timeout"        // no ReadyForQuery within LoginTimeout
)

// SQLSTATEs that this package answers with; PostgreSQL manual, appendix "Error Codes".
const (
	stateCannotConnect      = "08001" // sqlclient_unable_to_establish_sqlconnection
	stateConnectionFailure  = "08006" // connection_failure
	stateProtocolViolation  = "08P01" // protocol_violation
	stateInvalidAuth        = "28000" // invalid_authorization_specification
	stateInvalidPassword    = "28P01" // invalid_password
	stateTooManyConnections = "53300" // too_many_connections
	stateQueryCanceled      = "57014" // query_canceled, as PostgreSQL's own authentication timeout
	stateAdminShutdown      = "57P01" // admin_shutdown
	stateCannotConnectNow   = "57P03" // cannot_connect_now
)

// Error is why a session ended or was refused. Its text is one sentence that a
// client may be shown.
type Error struct {
	Kind  Reason
	State string // SQLSTATE; empty when the client gets no answer
	Text  string
	Err   error // the cause, for the log; nil if Text has it, or if there is none
}

// Error returns the sentence without the cause, which Unwrap returns.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Reason returns the word for logs and metrics.
func (e *Error) Reason() string { return string(e.Kind) }

// SQLState returns the five characters that the client is told, or "" for a silent close.
func (e *Error) SQLState() string { return e.State }

// described is what this package wants to know of an error, whoever made it.
type described interface {
	error
	Reason() string
	SQLState() string
}

// asDescribed finds the description in err's chain.
func asDescribed(err error) (described, bool) {
	var d described
	ok := errors.As(err, &d)
	return d, ok
}

// dialError makes a described error of what Dial returned. The text of an
// error that does not describe itself is not shown: nobody vouches for it.
func dialError(err error) error {
	if _, ok := asDescribed(err); ok {
		return err
	}
	return &Error{
		Kind: ReasonUpstreamUnreached, State: stateCannotConnect,
		Text: "cannot establish a verified connection to the upstream", Err: err,
	}
}

// upstreamLost describes an error of reading from or writing to the upstream.
func upstreamLost(phase Phase, err error) error {
	if _, ok := asDescribed(err); ok {
		return err
	}
	what := "the upstream closed the connection"
	if !errors.Is(err, io.EOF) {
		what = "the connection to the upstream broke"
	}
	return &Error{
		Kind: ReasonUpstreamGone, State: stateConnectionFailure,
		Text: fmt.Sprintf("%s during the %s phase", what, phase), Err: err,
	}
}

// clientGone describes a client that ended or broke its connection.
func clientGone(err error) error {
	return &Error{Kind: ReasonClientGone, Text: "the client closed the connection", Err: err}
}

// clientProtocol describes bytes that are no startup packet: closed without an
// answer, as PostgreSQL does, because whoever sent them does not speak Postgres.
func clientProtocol(format string, args ...any) error {
	return &Error{Kind: ReasonClientProtocol, Text: fmt.Sprintf(format, args...)}
}

// badStartup describes a whole startup packet that is wrong.
func badStartup(format string, args ...any) error {
	return &Error{Kind: ReasonClientProtocol, State: stateProtocolViolation, Text: fmt.Sprintf(format, args...)}
}

// upstreamProtocol describes an upstream that breaks the protocol inside its TLS connection.
func upstreamProtocol(format string, args ...any) error {
	return &Error{Kind: ReasonUpstreamProtocol, State: stateProtocolViolation, Text: fmt.Sprintf(format, args...)}
}

// Closer is who ended a session.
type Closer string

// The closers.
const (
	ClosedByClient   Closer = "client"   // it said goodbye, or was gone
	ClosedByUpstream Closer = "upstream" // it closed the connection, or rejected the login
	ClosedByPgorigin Closer = "pgorigin" // everything else: refused, timed out, drained, no upstream to be had
)

// ClosedBy says who ended the session. The reason tells: it is that of what happened first.
func (r SessionResult) ClosedBy() Closer {
	switch r.Reason {
	case ReasonOK, ReasonClientGone:
		return ClosedByClient
	case ReasonUpstreamGone, ReasonAuthRejected:
		return ClosedByUpstream
	case ReasonClientProtocol, ReasonClientTimeout, ReasonClientDenied, ReasonTooManySessions, ReasonDraining,
		ReasonUpstreamProtocol, ReasonUpstreamUnreached, ReasonAuthChannelBinding, ReasonLoginTimeout:
		return ClosedByPgorigin
	}
	// A word of the connection to the upstream: it was lost, or there was none.
	if r.Phase == PhaseAuth || r.Phase == PhaseRelay {
		return ClosedByUpstream
	}
	return ClosedByPgorigin
}
