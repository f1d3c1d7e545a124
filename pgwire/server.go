package pgwire

import (
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

// Server relays plaintext Postgres clients to a secured upstream. Only Dial is
// required. A Server must not be copied or changed after Serve was called, and
// is of no use after Shutdown or Close.
type Server struct {
	// Dial opens a new connection to the upstream, verified and ready for a startup packet or a cancel
	// request. If target is nil, any address will do. Otherwise target is the RemoteAddr of an earlier
	// connection, and the new one must go to that address: only there is a cancel request understood. The
	// session closes the connection.
	//
	// An error may have the methods Reason() string and SQLState() string. Its text is then shown to the
	// client and must be one sentence that is fit for it. The text of any other error is not shown.
	Dial func(ctx context.Context, target net.Addr) (Upstream, error)

	// DialSession opens the upstream connection of a session. Unlike Dial it may return one that was made
	// ahead of its use, together with a Spare. A nil Spare means that the connection is new. A nil
	// DialSession means Dial. Cancel requests always use Dial: a dead spare would look like an upstream that
	// took the request, and PostgreSQL up to 17 cancels only sessions older than the connection.
	DialSession func(ctx context.Context) (Upstream, *Spare, error)

	// Hint returns what a person has to change to cure err, for the
	// ErrorResponse; "" for nothing. Nil means no hints.
	Hint func(err error) string

	// Allow says whether a client may go on, once it has said what it wants. It
	// is refused with SQLSTATE 28000 and the text of the error, a canceller
	// without an answer. Nil allows everybody.
	Allow func(client net.Conn) error

	// ChannelBinding says what becomes of the upstream's offer of
	// SCRAM-SHA-256-PLUS. The default is to strip it.
	ChannelBinding ChannelBinding

	// RequireAuth is the set of methods that the upstream may ask for. Anything
	// else ends the login before the client hears of it. Zero means any, and
	// SCRAM alone for a bridge.
	RequireAuth AuthMethods

	// Password returns the password that a bridge uses for every login. Nil means
	// that each client is asked for its own. Only a client that has come over
	// loopback or a Unix socket is asked, any other is refused.
	Password func() (string, error)

	// LoginTimeout bounds a session from accept to the first ReadyForQuery, and a
	// cancel request, which has 20 seconds at most. Zero means one minute.
	LoginTimeout time.Duration

	// MaxSessions caps concurrent sessions; further clients get SQLSTATE 53300.
	// Cancel requests do not count: a full server must still be able to cancel.
	// Zero means no cap.
	MaxSessions int

	// Capacity is what several servers may use together. Nil bounds nothing.
	Capacity *Capacity

	// Trace observes sessions. Nil means that nobody is watching.
	Trace *Trace

	keys    cancelKeys
	cancels cancelLanes
	salted  scram.Cache
	pending pending

	unlimited Capacity

	lastID atomic.Uint64

	portable bool // no event loops, though the system has them

	offLoop  atomic.Int64 // sessions that relay on goroutines
	draining atomic.Bool  // new sessions are refused, idle ones end

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	sessions  map[*session]struct{}
	admitted  int
	closed    chan struct{} // made by the first Serve or stop; closed when listeners are
	stopped   bool
	changed   chan struct{} // closed and replaced when a session is forgotten
}

func (s *Server) loginTimeout() time.Duration { return orDefault(s.LoginTimeout, time.Minute) }

// SessionsOffLoop returns how many sessions relay on goroutines of their own, which costs more memory and
// processor than an event loop. On Linux there are none, unless an event loop could not take a connection.
func (s *Server) SessionsOffLoop() int { return int(s.offLoop.Load()) }

func orDefault(d, byDefault time.Duration) time.Duration {
	if d == 0 {
		return byDefault
	}
	return d
}

// Serve accepts clients on ln until Shutdown or Close, and then returns
// ErrServerClosed. It closes ln. It may be called for several listeners at once.
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
		// EMFILE and the like pass: go on when descriptors are free again.
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

// track remembers ln, so that stopping closes it.
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

// allow asks Allow.
func (s *Server) allow(client net.Conn) error {
	if s.Allow == nil {
		return nil
	}
	if err := s.Allow(client); err != nil {
		return &Error{Kind: ReasonClientDenied, State: stateInvalidAuth, Text: err.Error()}
	}
	return nil
}

// admit counts a session that has sent a startup packet, or says why it may not go on.
func (s *Server) admit(ss *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return &Error{Kind: ReasonDraining, State: stateCannotConnectNow, Text: "shutting down, no new sessions"}
	}
	if s.MaxSessions > 0 && s.admitted >= s.MaxSessions {
		return &Error{
			Kind: ReasonTooManySessions, State: stateTooManyConnections,
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

// Refuse is the first step of Shutdown, and returns at once: new clients are
// refused from now on, and a session that becomes idle ends; those that are idle
// already are left to Shutdown. It is for a program with several servers that says
// "draining" only when none of them lets anybody in.
func (s *Server) Refuse() { s.draining.Store(true) }

// Shutdown drains: new clients are refused with SQLSTATE 57P03 while cancel
// requests still pass. A session that has no upstream yet is refused, too. One that is
// idle outside a transaction ends with SQLSTATE 57P01; the others finish first. When the
// last one has ended the listeners are closed. If ctx ends first, Shutdown
// returns its error and leaves the rest to Close.
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

// Close stops accepting and ends every session now. A client that is between
// two answers is told so with SQLSTATE 57P01. Close returns when all sessions
// have ended: within little more than a second.
func (s *Server) Close() error {
	s.stop(func(*session) bool { return true })
	err := s.wait(context.Background(), func() bool { return len(s.sessions) == 0 })
	s.salted.Wipe()
	return err
}

// stop closes the listeners and ends the sessions that are to be cut.
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

// wait returns nil once done says so, or ctx's error. done runs with s.mu held.
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
