package tlsorigin

import (
	"crypto/tls"
	"maps"
	"net"
	"sync"
	"time"
)

// maxSessions bounds how many sessions are kept. Usually there is one for each server of the addresses.
const maxSessions = 64

// sessions holds TLS 1.3 sessions that may be resumed (RFC 8446, section 2.2). They belong to one tlsState
// and end with it. Resuming saves the server a signature, which is most of its work, and the Dialer the
// verification of it.
//
// A resumed handshake has no proof that the server has the key of its certificate. Knowing the session secret
// takes its place: only the server that gave that proof knows it. Policy.Verify checks chain, name, dates,
// revocation and pins each time. After a while the proof itself is due again, because the server may have
// another certificate by then. That time begins with the proof, not with the latest resumption.
//
// Two kinds of sessions are not kept. TLS 1.2 resumes without a new key exchange. And a server checks a
// client certificate in a whole handshake only.
type sessions struct {
	life time.Duration // begins with the proof

	mu    sync.Mutex
	known map[sessionKey]resumable
}

// sessionKey is the resolved address of a session and the name that was verified.
type sessionKey struct{ addr, name string }

// resumable is a cached session. If state is nil, resumption is disabled for the key.
type resumable struct {
	state *tls.ClientSessionState
	until time.Time // zero means for ever
}

// expired reports whether r is out of date.
func (r resumable) expired(now time.Time) bool { return !r.until.IsZero() && !now.Before(r.until) }

// newSessions returns nil if no session may be resumed.
func newSessions(life time.Duration, client *tls.Certificate) *sessions {
	if life == 0 || client != nil {
		return nil
	}
	return &sessions{life: life, known: map[sessionKey]resumable{}}
}

// set puts r in place of what is known for key. A session replaces neither a disabled key nor a session whose
// proof is later.
func (s *sessions) set(key sessionKey, r resumable) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	before, known := s.known[key]
	disabled := known && before.state == nil && !before.expired(now)
	switch {
	case disabled && (r.state != nil || before.until.IsZero()):
		return
	case r.state != nil && r.until.Before(before.until): // a server may send tickets at any time
		return
	}
	if known || s.makeRoom(r, now) {
		s.known[key] = r
	}
}

// makeRoom forgets a session for r if there is no room: an expired one, or else the one with the oldest
// proof. That costs its server one whole handshake. A session does not replace a disabled key, and nothing
// replaces a key that is disabled for ever. makeRoom reports whether there is room.
func (s *sessions) makeRoom(r resumable, now time.Time) bool {
	if len(s.known) < maxSessions {
		return true
	}
	maps.DeleteFunc(s.known, func(_ sessionKey, r resumable) bool { return r.expired(now) })
	if len(s.known) < maxSessions {
		return true
	}
	oldest, found := s.oldest(func(e resumable) bool { return e.state != nil })
	if !found && r.state == nil {
		oldest, found = s.oldest(func(e resumable) bool { return !e.until.IsZero() })
	}
	delete(s.known, oldest)
	return found
}

// oldest returns the key that expires first of those that may go.
func (s *sessions) oldest(may func(resumable) bool) (oldest sessionKey, found bool) {
	var until time.Time
	for key, e := range s.known {
		if may(e) && (!found || e.until.Before(until)) {
			oldest, until, found = key, e.until, true
		}
	}
	return oldest, found
}

// find returns the session for key. Its state is nil if there is none.
func (s *sessions) find(key sessionKey) resumable {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.known[key]; r.state != nil && !r.expired(time.Now()) {
		return r
	}
	return resumable{}
}

// drop forgets the session for key. A disabled key stays disabled.
func (s *sessions) drop(key sessionKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[key].state != nil {
		delete(s.known, key)
	}
}

// ticket is the tls.ClientSessionCache of one connection. Nil keeps and offers nothing.
type ticket struct {
	sessions *sessions
	key      sessionKey
	offered  resumable // its state is nil if nothing was offered
	until    time.Time // end of the sessions that come on this connection; zero means that none is kept
}

// ticket returns the ticket of a connection to addr that verifies name.
func (s *sessions) ticket(addr net.Addr, name string) *ticket {
	return &ticket{sessions: s, key: sessionKey{addr.String(), name}}
}

// Get implements tls.ClientSessionCache. The key of crypto/tls is only the name.
func (t *ticket) Get(string) (*tls.ClientSessionState, bool) {
	t.offered = t.sessions.find(t.key)
	return t.offered.state, t.offered.state != nil
}

// Put implements tls.ClientSessionCache. If state is nil, the session that Get returned cannot be used.
func (t *ticket) Put(_ string, state *tls.ClientSessionState) {
	switch {
	case state == nil:
		t.sessions.drop(t.key)
	case !t.until.IsZero():
		t.sessions.set(t.key, resumable{state, t.until})
	}
}

// verified notes the result of the handshake. In TLS 1.3 new sessions come later, with the data that is read.
func (t *ticket) verified(cs *tls.ConnectionState) {
	switch {
	case t == nil || cs.Version != tls.VersionTLS13:
	case cs.DidResume:
		t.until = t.offered.until
	default:
		t.until = time.Now().Add(t.sessions.life)
	}
}

// failed reports whether the handshake that failed had offered a session. If so, none is offered there for a
// while: some servers cannot resume what they have handed out.
func (t *ticket) failed() bool {
	if t == nil || t.offered.state == nil {
		return false
	}
	t.sessions.set(t.key, resumable{until: time.Now().Add(t.sessions.life)})
	return true
}

// disable ends resumption for this address and name, for as long as the tlsState is in force.
func (t *ticket) disable() {
	if t != nil {
		t.sessions.set(t.key, resumable{})
	}
}
