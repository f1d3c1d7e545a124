package pgwire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// login is what a session needs until ReadyForQuery; the relay keeps nothing of it.
type login struct {
	loginMachine
	user    string        // as in the startup packet
	said    loginMessages // by the upstream
	answers *answerer     // of a bridge, once it knows the password
	tokens  *tokenRelay   // of GSSAPI or SSPI; else nil
	heard   bool          // the upstream has spoken: a spare cannot be replaced any more
	sendErr error         // of the first write to the upstream that failed
}

var (
	errTerminated = errors.New("the client said goodbye")
	errNoResponse = errors.New("the client was not waited for any longer") // of readResponse, which has taken nothing
)

func (s *session) newLogin() *login {
	return &login{loginMachine: newLoginMachine(s.server.ChannelBinding, s.server.RequireAuth), user: s.user}
}

// authenticate follows the login to ReadyForQuery. It reads from the upstream, and from the client only what
// that was asked for: what the client sends ahead stays in the socket for the relay.
func (s *session) authenticate() error {
	buf := getBuffer()
	defer putBuffer(buf)
	defer s.stopTokens()
	for {
		if err := s.followUpstream(); err != nil {
			return err
		}
		if s.login.state == loginReady {
			break
		}
		n, err := s.upstream.Read(*buf)
		s.login.said.add((*buf)[:n])
		switch {
		case err == nil || n > 0: // an error comes again
		case s.spareEnded():
			return errDeadSpare
		default: // what could be read says more than that nothing could be sent
			s.stopTokens()
			return upstreamLost(PhaseAuth, errors.Join(err, s.login.sendErr))
		}
	}
	s.login = nil // an idle session keeps neither a password nor a buffer
	s.server.Trace.authenticated(s.info)
	if s.spare != nil {
		s.spare.LoggedIn()
		s.spare = nil
	}
	return nil
}

// followUpstream deals with the whole messages that have come from the upstream, and shows the client what
// it may see of them in as few writes as possible.
func (s *session) followUpstream() error {
	var out []byte
	for !s.login.over() {
		message, err := s.login.said.next()
		if message == nil && err == nil {
			break
		}
		if err == nil && s.spareMayEnd() {
			if isStaleVerdict(message) {
				return errDeadSpare
			}
			s.login.heard = true
		}
		var shown []byte
		var turn loginTurn
		if err == nil {
			shown, turn, err = s.login.upstreamSays(message)
		}
		if s.login.state != loginTokens {
			s.stopTokens()
		}
		out = append(out, shown...)
		s.noteCancelKey()
		if err == nil && turn == upstreamsTurn {
			continue
		}
		if lost := s.show(out); lost != nil {
			return lost
		}
		out = out[:0]
		if err == nil {
			err = s.respond(message, turn)
		}
		if err != nil {
			return err
		}
	}
	return s.conclude(out)
}

// conclude shows the client what is left of what it may see, and takes note of the login's end.
func (s *session) conclude(out []byte) error {
	l := s.login
	if l.state == loginReady {
		out = append(out, l.said.rest()...)
		s.info.Method = l.proven()
		s.beginRelay()
	}
	if err := s.show(out); err != nil || l.state != loginRefused {
		return err
	}
	text := "the upstream rejected the login"
	if l.sqlState != "" {
		text += " with SQLSTATE " + l.sqlState
	}
	return &Error{Kind: ReasonAuthRejected, Text: text}
}

// show forwards whole messages to the client, unless the session has ended.
func (s *session) show(out []byte) error {
	if cause := context.Cause(s.ctx); cause != nil || len(out) == 0 {
		return cause
	}
	return s.writeToClient(out)
}

// respond sees to the answer to a request of the upstream.
func (s *session) respond(request []byte, turn loginTurn) error {
	switch {
	case turn == bridgesTurn:
		return s.answerRequest(request)
	case s.login.state == loginTokens:
		s.expectToken()
		return nil
	}
	response, err := s.awaitResponse()
	if err != nil || response == nil {
		return err
	}
	if err := s.login.clientSays(response); err != nil {
		return err
	}
	s.sendInLogin(response)
	return nil
}

// awaitResponse is readResponse that returns nil if the upstream hangs up meanwhile: it may have said why.
func (s *session) awaitResponse() ([]byte, error) {
	s.watch.begin(s.upstreamConn.Socket())
	response, err := s.readResponse()
	s.watch.begin(nil)
	s.client.allowReads() // which the watch may have stopped
	if errors.Is(err, errNoResponse) {
		return nil, nil
	}
	return response, err
}

// sendInLogin forwards a whole message of the client. An upstream that does not take it has often said why.
func (s *session) sendInLogin(message []byte) {
	s.tracker.clientSays(message)
	n, err := s.upstream.Write(message)
	s.toUpstream.Add(int64(n))
	if err != nil && s.login.sendErr == nil {
		s.login.sendErr = err
	}
}

// readResponse reads one whole message of type p and not a byte more. The client may also send Terminate.
func (s *session) readResponse() ([]byte, error) {
	var head [messageHeader]byte
	if n, err := io.ReadFull(s.client, head[:]); err != nil {
		return nil, responseError(n, err)
	}
	size := int64(binary.BigEndian.Uint32(head[1:])) - 4
	switch {
	case head[0] == typeTerminate && size == 0:
		s.sendInLogin(head[:])
		return nil, errTerminated
	case head[0] != typePasswordMessage:
		return nil, badStartup("the client sent a message of type %q when it was asked to authenticate", string(rune(head[0])))
	case size < 0 || size > maxLoginMessage:
		return nil, badStartup("the client sent a message of impossible length when it was asked to authenticate")
	}
	message := make([]byte, messageHeader+size)
	n := copy(message, head[:])
	if m, err := io.ReadFull(s.client, message[n:]); err != nil {
		return nil, responseError(n+m, err)
	}
	return message, nil
}

// responseError describes why there is no whole response, of which n bytes came.
func responseError(n int, err error) error {
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return clientGone(err)
	case n == 0:
		return errNoResponse
	}
	return badStartup("the client sent a part of a message, and the upstream did not wait for the rest")
}

// tokenRelay forwards what a client answers to GSSAPI or SSPI, while the upstream is heard: whether a request
// wants an answer is known to the client alone.
type tokenRelay struct {
	due  chan struct{} // one for each request that the client was shown
	done chan struct{}
}

// expectToken lets the client answer once more.
func (s *session) expectToken() {
	l := s.login
	if l.tokens == nil {
		l.tokens = &tokenRelay{due: make(chan struct{}, 1+maxTokens), done: make(chan struct{})}
		go s.relayTokens(l.tokens)
	}
	l.tokens.due <- struct{}{}
}

func (s *session) relayTokens(t *tokenRelay) {
	defer close(t.done)
	for range t.due {
		response, err := s.readResponse()
		if errors.Is(err, errNoResponse) {
			return
		}
		if err != nil {
			s.end(err)
			return
		}
		s.sendInLogin(response)
	}
}

// stopTokens waits for no further token.
func (s *session) stopTokens() {
	if s.login == nil || s.login.tokens == nil {
		return
	}
	t := s.login.tokens
	s.login.tokens = nil
	close(t.due)
	s.client.stopReads()
	<-t.done
	s.client.allowReads()
}

// beginRelay takes note of a login that has succeeded, before the client learns of it.
func (s *session) beginRelay() {
	s.timer.Stop()
	s.watch.stop()
	s.phase.Store(int32(PhaseRelay))
}

// noteCancelKey makes the session's key, once it is known, lead to its upstream.
func (s *session) noteCancelKey() {
	if key := s.login.cancelKey; key != "" && s.key == "" {
		s.key = key
		s.server.keys.add(key, s)
	}
}

// loginExpired ends a session whose login took too long.
func (s *session) loginExpired() {
	limit := s.server.loginTimeout()
	if Phase(s.phase.Load()) == PhaseStartup {
		s.end(&Error{Kind: ReasonClientTimeout, Text: fmt.Sprintf("the client sent no startup packet within %v", limit)})
		return
	}
	s.end(&Error{Kind: ReasonLoginTimeout, State: stateQueryCanceled, Text: fmt.Sprintf("the login took longer than %v", limit)})
}

// watchInterval is how long the end of a connection may go unnoticed while nothing is read from it.
const watchInterval = 500 * time.Millisecond

// loginWatch looks at the connections that a login does not read from.
type loginWatch struct {
	mu       sync.Mutex
	timer    *time.Timer // nil: no connection is watched
	upstream net.Conn    // nil unless the client alone is read from
}

// start begins to watch a client, and later the upstream. The functions are called with w locked.
func (w *loginWatch) start(client net.Conn, clientLeft, upstreamHungUp func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(watchInterval, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case w.timer == nil:
			return
		case hasLeft(client):
			clientLeft()
			return
		case w.upstream != nil && hungUp(w.upstream):
			upstreamHungUp()
		}
		w.timer.Reset(watchInterval)
	})
}

// begin has the upstream watched, too, while only the client is read from; nil ends that.
func (w *loginWatch) begin(upstream net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.upstream = upstream
}

// stop ends the watch. Nothing is called any more.
func (w *loginWatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
		w.timer, w.upstream = nil, nil
	}
}
