package pgwire

import (
	"net"
	"time"
)

// Trace is a set of hooks that a session calls. Any may be nil. None may block: most run on the goroutine of
// the session.
type Trace struct {
	// Accepted is called before anything is read from the client.
	Accepted func(SessionInfo)
	// Started is called when the startup packet or CancelRequest is known.
	Started func(SessionInfo)
	// UpstreamReady is called when Dial, DialSession or Opened.Replace has returned a connection, after took.
	// That does not include what the session has waited.
	UpstreamReady func(info SessionInfo, upstream net.Conn, took time.Duration)
	// Authenticated is called when the first ReadyForQuery has gone to the client.
	Authenticated func(SessionInfo)
	// Ended is called once for each Accepted, as the last hook.
	Ended func(SessionInfo, SessionResult)
	// CancelEffect is called when the effect of a delivered cancel request is known, up to some seconds after
	// Ended. target is the number of the session that it was for. info is about the request.
	CancelEffect func(info SessionInfo, target uint64, effect CancelEffect)
	// AcceptFailed is called when Accept has returned an error. The next try is after retryIn.
	AcceptFailed func(err error, retryIn time.Duration)
}

// SessionInfo identifies one session. Fields that are not known yet are zero.
type SessionInfo struct {
	ID       uint64    // unique within the server; the client sees it in the detail of an error
	Client   net.Addr  // the client's address
	Accepted time.Time // when the client connected

	// User, Database and ApplicationName come from the startup packet: at most 64 bytes each, with control
	// characters and invalid UTF-8 replaced.
	User, Database, ApplicationName string

	// RefusedEncryption means that the client asked for TLS or GSSAPI and got the answer 'N'. If it then
	// left, it probably insists on encryption (sslmode=require).
	RefusedEncryption bool

	// TLS is the version of TLS that the client has with StartTLS; "" for none.
	TLS string

	// Method is how the client logged in, one of LoginMethods. It is "" before ReadyForQuery, unless the
	// client left when it was asked for the method.
	Method string

	// Waited is how long the session has waited for the upstream, inside aside of Server.DialSession.
	Waited time.Duration

	Cancel      bool // the client sent a CancelRequest
	CancelKnown bool // and its key belongs to a session of this server
}

// SessionResult says how a session ended.
type SessionResult struct {
	Phase    Phase
	Reason   Reason // ReasonOK, or the word of Err
	SQLState string // that the client got, from the server or the upstream; "" for none
	Duration time.Duration
	// ToUpstream and ToClient count the relayed bytes, including the startup packet. What went to a connection
	// that was replaced does not count.
	ToUpstream, ToClient int64
	Err                  error // nil when Reason is ReasonOK

	// Server is what the upstream said when it refused the login or ended the session; nil for nothing.
	Server *ServerError
}

// Phase is how far a session has come.
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

func (t *Trace) observesCancels() bool { return t != nil && t.CancelEffect != nil }

func (t *Trace) cancelEffect(i SessionInfo, target uint64, effect CancelEffect) {
	if t.observesCancels() {
		t.CancelEffect(i, target, effect)
	}
}

func (t *Trace) acceptFailed(err error, retryIn time.Duration) {
	if t != nil && t.AcceptFailed != nil {
		t.AcceptFailed(err, retryIn)
	}
}
