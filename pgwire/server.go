package pgwire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/internal/scram"
)

// ErrServerClosed is returned by Serve after Shutdown or Close.
var ErrServerClosed = errors.New("pgwire: server closed")

// Server relays Postgres clients to a secured upstream. Only Dial is required. A Server must not be
// copied or changed after the first call of Serve, and cannot be used again after Shutdown or Close.
type Server struct {
	// Dial opens a new connection to the upstream, verified and ready for a startup packet or a cancel
	// request. If target is nil, any address will do. Otherwise target is the RemoteAddr of an earlier
	// connection, and the new one must go to that address: only there is a cancel request understood. The
	// session closes the connection.
	//
	// The client sees the text of an error that is a Failure. It does not see the text of any other error.
	Dial func(ctx context.Context, target net.Addr) (Upstream, error)

	// DialSession opens the upstream connection of a session. Unlike Dial it may return one that was made
	// ahead of its use, and it may wait. A nil DialSession means Dial. Cancel requests always use Dial: a dead
	// connection would look like an upstream that took the request, and PostgreSQL up to 17 cancels only
	// sessions older than the connection.
	//
	// While DialSession or Opened.Replace only waits, it does so inside aside, on the goroutine of the call.
	// Then the session has no place among Capacity.Logins, and LoginTimeout stands still. It still counts
	// against MaxSessions. Afterwards aside queues for another place, and returns when it has one or ctx has
	// ended. ctx ends at once when the client leaves, and when the server drains.
	DialSession func(ctx context.Context, aside func(wait func())) (Opened, error)

	// Hint returns the hint of an ErrorResponse: what a person has to change to cure err. "" means no hint,
	// and a nil Hint means none for any error.
	Hint func(err error) string

	// Allow is called when a client has sent its startup packet or CancelRequest. After an error the client
	// is refused with SQLSTATE 28000 and the text of the error; a cancel request gets no answer. Nil allows
	// every client.
	Allow func(client net.Conn) error

	// StartTLS does the server's side of a TLS handshake with a client. It is called after the answer to
	// SSLRequest. If direct is true, the client has sent a ClientHello in its place: it must agree on the ALPN
	// protocol "postgresql". The result has the deadlines of conn, and a method CloseWrite. A method TLSVersion,
	// which returns a string, is for SessionInfo. An error that is an *Error says why the session ends; others
	// are for the log. Nil means that there is no TLS for clients. There is none on Unix sockets, as in PostgreSQL.
	StartTLS func(conn net.Conn, direct bool) (net.Conn, error)

	// ChannelBinding says what the server does with an offer of SCRAM-SHA-256-PLUS. The zero value strips it.
	ChannelBinding ChannelBinding

	// RequireAuth is the set of methods that the upstream may ask for. Any other request ends the login, and
	// the client does not see it. Zero means any method, and with BridgeChannelBinding SCRAM alone.
	RequireAuth AuthMethods

	// Password returns the password that a bridge uses for every login. Nil means that the server asks each
	// client for its own. It asks only over loopback or a Unix socket, and refuses other clients.
	Password func() (string, error)

	// LoginTimeout bounds a session from accept to the first ReadyForQuery, and a cancel request, which has
	// 20 seconds at most. Zero means one minute.
	LoginTimeout time.Duration

	// MaxSessions is how many sessions this server may have; further clients get SQLSTATE 53300. Cancel
	// requests do not count, so that a full server can still cancel. Zero means no limit. Capacity.Sessions
	// limits what several servers have together; a client needs room in both.
	MaxSessions int

	// Capacity is shared by the servers of a process. Nil means a Capacity of its own, without limits.
	Capacity *Capacity

	// Trace observes sessions. Nil means none.
	Trace *Trace

	keys    cancelKeys
	cancels cancelLimits
	salted  scram.Cache
	pending pending

	unlimited Capacity // in place of a nil Capacity

	lastID atomic.Uint64 // of a session

	portable bool // for tests: goroutines relay, also where there are event loops

	offLoop  atomic.Int64 // sessions that relay on goroutines
	draining atomic.Bool  // new sessions are refused, idle ones end

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	sessions  map[*session]struct{}
	admitted  int
	closed    chan struct{} // made by the first Serve or stop; closed when listeners are
	stopped   bool
	changed   chan struct{} // closed and replaced when a session is removed
}

func (s *Server) loginTimeout() time.Duration { return cmp.Or(s.LoginTimeout, time.Minute) }

// SessionsOffLoop returns how many sessions relay on goroutines. That costs more memory and processor time
// than an event loop. On Linux there are none, unless an event loop could not take a connection. Sessions of clients
// with TLS do not count: goroutines relay all of them.
func (s *Server) SessionsOffLoop() int { return int(s.offLoop.Load()) }

// Serve accepts clients on ln until Shutdown or Close, and then returns ErrServerClosed. It closes ln. It may
// be called for several listeners at the same time.
func (s *Server) Serve(ln net.Listener) error {
	closed, err := s.track(ln)
	if err != nil {
		_ = ln.Close()
		return err
	}
	var retryIn time.Duration
	for s.awaitRoom(closed) {
		conn, err := ln.Accept()
		if err == nil {
			retryIn = 0
			s.start(conn)
			continue
		}
		s.capacity().release(false)
		select {
		case <-closed:
			return ErrServerClosed
		default:
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept: %w", err)
		}
		// EMFILE and similar errors pass: descriptors become free again.
		retryIn = min(max(2*retryIn, 5*time.Millisecond), time.Second)
		s.Trace.acceptFailed(err, retryIn)
		select {
		case <-time.After(retryIn):
		case <-closed:
			return ErrServerClosed
		}
	}
	return ErrServerClosed
}

// track adds ln to the listeners that stop closes.
func (s *Server) track(ln net.Listener) (closed <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil, ErrServerClosed
	}
	s.init()
	s.listeners[ln] = struct{}{}
	return s.closed, nil
}

// init makes what a zero Server lacks; s.mu is held.
func (s *Server) init() {
	if s.closed == nil {
		s.listeners = make(map[net.Listener]struct{})
		s.sessions = make(map[*session]struct{})
		s.closed = make(chan struct{})
		s.changed = make(chan struct{})
	}
}

// start runs a session for an accepted connection.
func (s *Server) start(conn net.Conn) {
	ctx, cancel := context.WithCancelCause(context.Background())
	ss := &session{
		server: s, ctx: ctx, end: cancel, client: newLeg(ctx, conn),
		info: SessionInfo{ID: s.lastID.Add(1), Client: conn.RemoteAddr(), Accepted: time.Now()},
	}
	s.mu.Lock()
	stopped := s.stopped
	if !stopped {
		s.sessions[ss] = struct{}{}
	}
	s.mu.Unlock()
	if stopped { // accepted while the listeners were being closed
		cancel(nil)
		ss.client.close()
		s.capacity().release(false)
		return
	}
	go ss.serve()
}

// allow returns nil if Allow does.
func (s *Server) allow(client net.Conn) error {
	if s.Allow == nil {
		return nil
	}
	if err := s.Allow(client); err != nil {
		return &Error{Kind: ReasonClientDenied, State: stateInvalidAuth, Text: err.Error()}
	}
	return nil
}

// admit counts a session that has sent its startup packet. An error says why the session may not go on.
func (s *Server) admit(ss *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return refusedByDrain()
	}
	if s.MaxSessions > 0 && s.admitted >= s.MaxSessions {
		return &Error{
			Kind: ReasonTooManySessions, Case: CaseMaxSessions, State: stateTooManyConnections,
			Text: fmt.Sprintf("too many sessions: %d of %d are in use", s.admitted, s.MaxSessions),
		}
	}
	if err := s.capacity().admit(); err != nil {
		return err
	}
	s.admitted++
	ss.admitted = true
	return nil
}

// refusedByDrain is for a client that has no upstream yet.
func refusedByDrain() error {
	return &Error{
		Kind: ReasonDraining, State: stateCannotConnectNow,
		Text: "no new sessions, because pgorigin shuts down",
	}
}

// remove removes a session that is over, and all that the server holds for it.
func (s *Server) remove(ss *session) {
	if ss.key != "" {
		s.keys.remove(ss.key, ss)
	}
	ss.tracker.abandonCancels()
	s.capacity().release(ss.admitted)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, ss)
	if ss.admitted {
		s.admitted--
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// Refuse is the first step of Shutdown, and returns at once. From now on new clients are refused, and a
// session that becomes idle ends. Sessions that are idle already wait for Shutdown. A program with several
// servers calls Refuse on each of them before it says that it drains.
func (s *Server) Refuse() { s.draining.Store(true) }

// Shutdown drains. New clients, and sessions that have no upstream yet, are refused with SQLSTATE 57P03.
// Cancel requests still pass. A session that is idle outside a transaction ends with SQLSTATE 57P01; the
// others finish first. When the last session has ended, Shutdown closes the listeners. If ctx ends first,
// Shutdown returns its error and leaves the rest to Close.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.init()
	s.Refuse() // before idle sessions are looked for: one that becomes idle now sees it
	for ss := range s.sessions {
		ss.drain()
	}
	s.mu.Unlock()
	if err := s.wait(ctx, func() bool { return s.admitted == 0 }); err != nil {
		return err
	}
	s.stop(func(ss *session) bool { return Phase(ss.phase.Load()) == PhaseStartup })
	return s.wait(ctx, func() bool { return len(s.sessions) == 0 })
}

// Close stops accepting and ends every session now. A client that is between two answers gets SQLSTATE 57P01.
// Close returns when all sessions have ended, after little more than a second.
func (s *Server) Close() error {
	s.stop(func(*session) bool { return true })
	err := s.wait(context.Background(), func() bool { return len(s.sessions) == 0 })
	s.salted.Wipe()
	return err
}

// stop closes the listeners and ends the sessions for which cut returns true.
func (s *Server) stop(cut func(*session) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	if !s.stopped {
		s.stopped = true
		close(s.closed)
	}
	s.draining.Store(true)
	for ln := range s.listeners {
		_ = ln.Close()
	}
	clear(s.listeners)
	for ss := range s.sessions {
		if cut(ss) {
			ss.shutDown()
		}
	}
}

// wait returns nil when done returns true, or the error of ctx. done runs with s.mu held.
func (s *Server) wait(ctx context.Context, done func() bool) error {
	for {
		s.mu.Lock()
		finished, changed := done(), s.changed
		s.mu.Unlock()
		if finished {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
