package pgwire

import (
	"net"
	"time"
)

// Trace is a set of hooks run at the milestones of a session. Any may be nil;
// none may block, for they run on the session's goroutine.
type Trace struct {
	// Accepted runs before anything is read from the client.
	Accepted func(SessionInfo)
	// Started runs once the startup packet or CancelRequest is known.
	Started func(SessionInfo)
	// UpstreamReady runs when Dial has returned a connection, with how long that took,
	// and again if it was a spare that had to be replaced.
	UpstreamReady func(info SessionInfo, upstream net.Conn, took time.Duration)
	// Authenticated runs when the first ReadyForQuery has gone to the client.
	Authenticated func(SessionInfo)
	// Ended runs exactly once for each Accepted, last.
	Ended func(SessionInfo, SessionResult)
	// CancelSettled runs when it is known what a delivered cancel request did to the session
	// with the number target, up to some seconds after the end of the request, which info is about.
	CancelSettled func(info SessionInfo, target uint64, effect CancelEffect)
	// AcceptFailed runs when Accept returned an error; the next try is after retryIn.
	AcceptFailed func(err error, retryIn time.Duration)
}

// SessionInfo identifies one session; its fields fill in as the session progresses.
type SessionInfo struct {
	ID       uint64    // unique within the process, also told to the client in an error's detail
	Client   net.Addr  // the client's address
	Accepted time.Time // when the client connected

	// User, Database and ApplicationName come from the startup packet: at most
	// 64 bytes each, control characters and invalid UTF-8 replaced.
	User, Database, ApplicationName string

	// RefusedEncryption tells that the client asked for TLS or GSSAPI and was
	// answered 'N'. If it then left, it probably insists (sslmode=require).
	RefusedEncryption bool

	// Method is how the client was let in, one of LoginMethods; "" before ReadyForQuery.
	Method string

	Cancel      bool // the client sent a CancelRequest
	CancelKnown bool // and its key belongs to a session of this server
}

// SessionResult says how a session ended.
type SessionResult struct {
	Phase    Phase
	Reason   Reason // ReasonOK, or the word of Err
	SQLState string // what the client was told by us or, in a rejected login, by the upstream; "": nothing
	Duration time.Duration
	// ToUpstream and ToClient count the bytes relayed, the startup packet included.
	ToUpstream, ToClient int64
	Err                  error // nil when Reason is ReasonOK
}

// Phase is the step that a session has reached.
type Phase int

// The phases, in their order.
const (
	PhaseStartup Phase = iota // reading the startup packet
	PhaseDial                 // opening the upstream leg
	PhaseAuth                 // from forwarding the startup packet to ReadyForQuery
	PhaseRelay                // copying both ways
)

// String returns the phase in one lower-case word.
func (p Phase) String() string {
	switch p {
	case PhaseStartup:
		return "startup"
	case PhaseDial:
		return "dial"
	case PhaseAuth:
		return "auth"
	case PhaseRelay:
		return "relay"
	}
	return "unknown"
}

func (t *Trace) accepted(i SessionInfo) {
	if t != nil && t.Accepted != nil {
		t.Accepted(i)
	}
}

func (t *Trace) started(i SessionInfo) {
	if t != nil && t.Started != nil {
		t.Started(i)
	}
}

func (t *Trace) upstreamReady(i SessionInfo, upstream net.Conn, took time.Duration) {
	if t != nil && t.UpstreamReady != nil {
		t.UpstreamReady(i, upstream, took)
	}
}

func (t *Trace) authenticated(i SessionInfo) {
	if t != nil && t.Authenticated != nil {
		t.Authenticated(i)
	}
}

func (t *Trace) ended(i SessionInfo, r SessionResult) {
	if t != nil && t.Ended != nil {
		t.Ended(i, r)
	}
}

func (t *Trace) observesCancels() bool { return t != nil && t.CancelSettled != nil }

func (t *Trace) cancelSettled(i SessionInfo, target uint64, effect CancelEffect) {
	if t.observesCancels() {
		t.CancelSettled(i, target, effect)
	}
}

func (t *Trace) acceptFailed(err error, retryIn time.Duration) {
	if t != nil && t.AcceptFailed != nil {
		t.AcceptFailed(err, retryIn)
	}
}
