package pgwire

import (
	"errors"
	"fmt"
	"io"
)

// Reason is one word for the end of a session. Logs, metrics and documentation share the list.
type Reason string

// The reasons of this package. An error of [Server.Dial] or of an [Upstream] has a reason of its own.
const (
	ReasonOK                 Reason = "ok"                   // the client said goodbye
	ReasonClientProtocol     Reason = "client_protocol"      // no startup packet, or a login against the rules
	ReasonClientGone         Reason = "client_gone"          // the client left without a Terminate message
	ReasonClientTimeout      Reason = "client_timeout"       // no startup packet within LoginTimeout
	ReasonClientDenied       Reason = "client_denied"        // Server.Allow said no
	ReasonTooManySessions    Reason = "too_many_sessions"    // MaxSessions reached
	ReasonDraining           Reason = "draining"             // refused or ended by Shutdown or Close
	ReasonUpstreamGone       Reason = "upstream_gone"        // the upstream ended the connection
	ReasonUpstreamShutdown   Reason = "upstream_shutdown"    // the upstream stops, or its administrator ended it
	ReasonUpstreamProtocol   Reason = "upstream_protocol"    // a login against the rules, or a second one
	ReasonUpstreamUnreached  Reason = "upstream_unreachable" // Dial failed without a reason of its own
	ReasonAuthRejected       Reason = "auth_rejected"        // refused, or by a method that is not allowed
	ReasonAuthChannelBinding Reason = "auth_channel_binding" // channel binding is required and cannot be done
	ReasonLoginTimeout       Reason = "login_timeout"        // no ReadyForQuery within LoginTimeout
	ReasonLoginAbandoned     Reason = "login_abandoned"      // the client left when it was asked to authenticate
	ReasonClientCertRequired Reason = "client_cert_required" // the upstream demands one, and gets none
	ReasonClientCertRejected Reason = "client_cert_rejected" // not for this user
	ReasonServerStarting     Reason = "server_starting"      // the server takes no logins yet
	ReasonServerFull         Reason = "server_full"          // a limit of connections is reached
	ReasonPoolTimeout        Reason = "pool_timeout"         // a pooler had no server connection for the client
)

// Case tells apart what one Reason has several cures for. The table of reasons has the cures of each. Users
// never see the word.
type Case string

// CaseWantsTLS is a client that leaves because pgorigin has no TLS for it.
const CaseWantsTLS Case = "wants_tls"

// CaseClientHello is a client that begins with TLS at once, where pgorigin has no TLS for it.
const CaseClientHello Case = "client_hello"

// Cases of a client whose TLS ends here.
const (
	CaseHandshake     Case = "handshake"       // the handshake with the client failed
	CaseDistrusted    Case = "distrusted"      // the client does not trust the certificate of the listener
	CaseBoundToClient Case = "bound_to_client" // the login cannot be bound: each side has a channel of its own
)

// CaseMaxSessions is that Server.MaxSessions is reached, and no other limit.
const CaseMaxSessions Case = "max_sessions"

// CaseHTTPRequest is a client that speaks HTTP, such as a probe.
const CaseHTTPRequest Case = "http_request"

// Cases in which pgorigin itself ends a login, or nobody says why it ends.
const (
	CaseMethodNotAllowed   Case = "method_not_allowed"  // Value is the method that the upstream asks for
	CaseNoMethod           Case = "no_method"           // the upstream asks for none, and that is not allowed
	CasePasswordUnreadable Case = "password_unreadable" // the bridge's own
	CaseClientSilent       Case = "client_silent"       // it had not answered when the login ended
	CasePoolerWaits        Case = "pooler_waits"        // the upstream authenticated the client, and nothing followed
	CaseNothingToBindTo    Case = "nothing_to_bind_to"  // the upstream's certificate gives a bridge nothing
	CaseBridgeNotLocal     Case = "bridge_not_local"    // the bridge asks for passwords on this machine only
	CaseSCRAMUnproven      Case = "scram_unproven"      // the upstream does not know the password, or breaks SCRAM
	CaseUnknownMethod      Case = "unknown_method"      // the upstream asks for something very old or very new
)

// SQLSTATEs that this package answers with; PostgreSQL manual, appendix "Error Codes".
const (
	stateCannotConnect      = "08001" // sqlclient_unable_to_establish_sqlconnection
	stateConnectionFailure  = "08006" // connection_failure
	stateProtocolViolation  = "08P01" // protocol_violation
	stateInvalidAuth        = "28000" // invalid_authorization_specification
	stateTooManyConnections = "53300" // too_many_connections
	stateQueryCanceled      = "57014" // query_canceled, as PostgreSQL's own authentication timeout
	stateAdminShutdown      = "57P01" // admin_shutdown
	stateCannotConnectNow   = "57P03" // cannot_connect_now
)

// Error is why a session ended or was refused.
type Error struct {
	Kind  Reason
	Case  Case   // "" means that Kind says all
	Value string // what a cure names, such as a method; "" for none; safe to show
	State string // SQLSTATE; "" means that the client gets no answer
	Text  string // one sentence that the client may see
	Err   error  // the cause, for the log; nil if Text has it, or if there is none

	Server *ServerError // what the upstream said, which the client got; nil for nothing
}

// Error returns Text.
func (e *Error) Error() string { return e.Text }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Reason returns Kind.
func (e *Error) Reason() string { return string(e.Kind) }

// SQLState returns State.
func (e *Error) SQLState() string { return e.State }

// Failure is an error with a reason and an SQLSTATE, of this package or of the upstream connection. Its text is
// one sentence that is fit for the client.
type Failure interface {
	error
	Reason() string
	SQLState() string
}

// AsFailure returns the first Failure in the chain of err.
func AsFailure(err error) (failure Failure, ok bool) {
	ok = errors.As(err, &failure)
	return failure, ok
}

// dialError makes a Failure of an error of Dial. The client does not see the text of any other error,
// because it may not be fit for it.
func dialError(err error) error {
	if _, ok := AsFailure(err); ok {
		return err
	}
	return &Error{
		Kind: ReasonUpstreamUnreached, State: stateCannotConnect,
		Text: "cannot establish a verified connection to the upstream", Err: err,
	}
}

// upstreamLost describes an error of reading from or writing to the upstream.
func upstreamLost(phase Phase, err error) error {
	if _, ok := AsFailure(err); ok {
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

// clientProtocol describes bytes that are no startup packet. Like PostgreSQL, the server then closes without
// an answer: the client does not speak Postgres.
func clientProtocol(format string, args ...any) error {
	return &Error{Kind: ReasonClientProtocol, Text: fmt.Sprintf(format, args...)}
}

// badStartup describes a startup packet, or another message before ReadyForQuery, that is wrong.
func badStartup(format string, args ...any) error {
	return &Error{
		Kind: ReasonClientProtocol, State: stateProtocolViolation, Text: fmt.Sprintf(format, args...),
	}
}

// upstreamProtocol describes an upstream that breaks the protocol.
func upstreamProtocol(format string, args ...any) *Error {
	return &Error{
		Kind: ReasonUpstreamProtocol, State: stateProtocolViolation, Text: fmt.Sprintf(format, args...),
	}
}

// Closer is the side that ended a session.
type Closer string

// The closers.
const (
	ClosedByClient   Closer = "client"   // it said goodbye, or left
	ClosedByUpstream Closer = "upstream" // it closed the connection, or refused the login
	ClosedByPgorigin Closer = "pgorigin" // it refused, timed out or drained, or reached no upstream
)

// ClosedBy returns which side ended the session.
func (r SessionResult) ClosedBy() Closer {
	if r.Server != nil {
		return ClosedByUpstream
	}
	switch r.Reason {
	case ReasonOK, ReasonClientGone, ReasonLoginAbandoned:
		return ClosedByClient
	case ReasonUpstreamGone, ReasonUpstreamShutdown, ReasonClientCertRequired, ReasonClientCertRejected,
		ReasonServerStarting, ReasonServerFull, ReasonPoolTimeout:
		return ClosedByUpstream
	case ReasonAuthRejected, ReasonClientProtocol, ReasonClientTimeout, ReasonClientDenied, ReasonTooManySessions, ReasonDraining,
		ReasonUpstreamProtocol, ReasonUpstreamUnreached, ReasonAuthChannelBinding, ReasonLoginTimeout:
		return ClosedByPgorigin
	}
	// A reason of the upstream connection: it was lost, or could not be opened.
	if r.Phase == PhaseAuth || r.Phase == PhaseRelay {
		return ClosedByUpstream
	}
	return ClosedByPgorigin
}
