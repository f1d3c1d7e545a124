package tlsorigin

import (
	"crypto/tls"
	"maps"
	"net"
	"sync"
	"time"
)

// maxSessions bounds how many sessions are kept: one for each server behind the addresses, as a rule.
const maxSessions = 64

// sessions are those of TLS 1.3 that may be resumed (RFC 8446, section 2.2), all verified under one trust, whose end is
// theirs. Resuming spares the server a signature, which is most of its work, and us the verification of it.
//
// What is left out is the proof that the server has the key of its certificate. The secret of the session
// takes its place: only the server that gave that proof knows it. trust.verify looks at chain, name, dates,
// revocation and pins each time. The proof itself is asked for again after a while, counted from when it was
// given and not from the latest resumption: a server may have another certificate by then.
//
// Not kept are sessions of TLS 1.2, which has no new key exchange when it resumes, and those in which a client certificate
// was presented, at which a server looks in a whole handshake only.
type sessions struct {
	life time.Duration // from the proof on

	mu    sync.Mutex
	known map[sessionKey]resumable
}

// sessionKey is where a session leads and whose it is.
type sessionKey struct{ addr, name string }

// resumable is a session, or a bar to one.
type resumable struct {
	state *tls.ClientSessionState // nil: none is kept
	until time.Time               // zero: for ever
}

// over reports whether r means nothing any more.
func (r resumable) over(now time.Time) bool { return !r.until.IsZero() && !now.Before(r.until) }

// newSessions returns nil, which keeps none, unless sessions may be resumed.
func newSessions(life time.Duration, client *tls.Certificate) *sessions {
	if life == 0 || client != nil {
		return nil
	}
	return &sessions{life: life, known: map[sessionKey]resumable{}}
}

// set puts r in place of what is known for key, a session only where none is barred and no proof is later.
func (s *sessions) set(key sessionKey, r resumable) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	before, known := s.known[key]
	barred := known && before.state == nil && !before.over(now)
	switch {
	case barred && (r.state != nil || before.until.IsZero()):
		return
	case r.state != nil && r.until.Before(before.until): // a server may send tickets at any time
		return
	}
	if known || s.makeRoom(r, now) {
		s.known[key] = r
	}
}

// makeRoom forgets what r may replace, if there is no room: what is over, else the session whose proof is the
// oldest, which costs its server one whole handshake. A session replaces no bar, and none replaces one
// without an end. makeRoom reports whether there is room.
func (s *sessions) makeRoom(r resumable, now time.Time) bool {
	if len(s.known) < maxSessions {
		return true
	}
	maps.DeleteFunc(s.known, func(_ sessionKey, r resumable) bool { return r.over(now) })
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

// oldest returns the key of what ends first of what may go.
func (s *sessions) oldest(may func(resumable) bool) (oldest sessionKey, found bool) {
	var until time.Time
	for key, e := range s.known {
		if may(e) && (!found || e.until.Before(until)) {
			oldest, until, found = key, e.until, true
		}
	}
	return oldest, found
}

// find returns the session for key; without state if there is none.
func (s *sessions) find(key sessionKey) resumable {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.known[key]; r.state != nil && !r.over(time.Now()) {
		return r
	}
	return resumable{}
}

// drop forgets the session for key, and no bar.
func (s *sessions) drop(key sessionKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[key].state != nil {
		delete(s.known, key)
	}
}

// ticket is the tls.ClientSessionCache of one connection. A nil one has done nothing and does nothing.
type ticket struct {
	sessions *sessions
	key      sessionKey
	offered  resumable // without state: nothing was
	until    time.Time // of the sessions that come on this connection; zero: none is kept
}

// ticket returns what a connection to addr needs, where name is to be proved.
func (s *sessions) ticket(addr net.Addr, name string) *ticket {
	return &ticket{sessions: s, key: sessionKey{addr.String(), name}}
}

// Get implements tls.ClientSessionCache. The key of crypto/tls is the name alone.
func (t *ticket) Get(string) (*tls.ClientSessionState, bool) {
	t.offered = t.sessions.find(t.key)
	return t.offered.state, t.offered.state != nil
}

// Put implements tls.ClientSessionCache. Without state it says that what Get returned is of no use.
func (t *ticket) Put(_ string, state *tls.ClientSessionState) {
	switch {
	case state == nil:
		t.sessions.drop(t.key)
	case !t.until.IsZero():
		t.sessions.set(t.key, resumable{state, t.until})
	}
}

// verified says how the handshake came out. In TLS 1.3 sessions come after it, with what is read.
func (t *ticket) verified(cs *tls.ConnectionState) {
	switch {
	case t == nil || cs.Version != tls.VersionTLS13:
	case cs.DidResume:
		t.until = t.offered.until
	default:
		t.until = time.Now().Add(t.sessions.life)
	}
}

// failed reports whether a session was offered in a handshake that failed. If so, none is offered there for a while:
// there are servers that cannot resume what they have handed out.
func (t *ticket) failed() bool {
	if t == nil || t.offered.state == nil {
		return false
	}
	t.sessions.set(t.key, resumable{until: time.Now().Add(t.sessions.life)})
	return true
}

// bar keeps the next connections to the same place from resuming anything, for as long as this trust is in force.
func (t *ticket) bar() {
	if t != nil {
		t.sessions.set(t.key, resumable{})
	}
}
