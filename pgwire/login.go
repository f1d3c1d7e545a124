package pgwire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// restGrace is how long the rest of a message may take if the upstream does not wait for it.
const restGrace = time.Second

// login is what a session needs until ReadyForQuery. The relay does not keep it.
type login struct {
	attempt
	shown    bool      // the client has seen something of the upstream: there is no other attempt
	bridging bool      // a bridge has asked the client for its password
	password *string   // the answer; nil before
	replaced time.Time // when the last attempt gave way to the next
	inVain   bool      // an upstream has ended after it was given the password
}

// attempt is the login on one upstream connection.
type attempt struct {
	loginMachine
	opened   Opened        // the upstream leg
	received loginMessages // from the upstream
	heard    bool          // the upstream has said whether it takes the login
	held     []byte        // what the client may see, and has not seen yet
	answers  *answerer     // of a bridge; nil before it knows the password
	given    bool          // a bridge has sent the password, or a proof of it
	tokens   *tokenRelay   // of GSSAPI or SSPI; else nil
	sendErr  error         // of the first write to the upstream that failed
}

// logIn sends the startup packet and follows the login to ReadyForQuery. It reads from the upstream, and from
// the client only what the upstream asks for: what the client sends ahead stays in the socket for the relay.
//
// If again is true, the session has another upstream leg, on which the login begins again.
func (s *session) logIn(packet []byte) (again bool, err error) {
	s.phase.Store(int32(PhaseAuth))
	binding := s.server.ChannelBinding
	s.login.loginMachine = newLoginMachine(binding, binding.Methods(s.server.RequireAuth))
	s.login.secured = s.client.secured
	sent, err := s.upstream.Write(packet)
	s.toUpstream.Store(int64(sent))
	s.login.sendErr = err
	defer s.stopTokens()
	for {
		if again, err := s.followUpstream(); again || err != nil {
			return again, err
		}
		if s.login.state == loginReady {
			break
		}
		if err := s.readInLogin(); err != nil {
			return s.upstreamEndsLogin(err)
		}
	}
	loggedIn := s.login.opened.LoggedIn
	s.login = nil // an idle session keeps neither a password nor a buffer
	s.server.Trace.authenticated(s.info)
	if loggedIn != nil {
		loggedIn()
	}
	return false, nil
}

// readInLogin waits for something of the upstream.
func (s *session) readInLogin() error {
	buf := getBuffer() // for this read only: a session may have to wait for another connection
	defer putBuffer(buf)
	n, err := s.upstream.Read(*buf)
	s.login.received.add((*buf)[:n])
	if n > 0 { // an error comes again
		return nil
	}
	return err
}

// upstreamEndsLogin handles an upstream that has hung up in the login. For again see logIn.
func (s *session) upstreamEndsLogin(err error) (again bool, _ error) {
	// What could be read says more than that nothing could be sent.
	lost := s.lostInLogin(errors.Join(err, s.login.sendErr))
	if s.replaceable() && !s.triedPassword() {
		if again, err := s.replace(lost); again || err != nil {
			return again, err
		}
	}
	s.stopTokens()
	if err := s.show(); err != nil {
		return false, err
	}
	return false, lost
}

// lostInLogin describes an upstream that hung up in the login.
func (s *session) lostInLogin(err error) error {
	err = upstreamLost(PhaseAuth, err)
	var gone *Error
	if errors.As(err, &gone) && s.login.asksClient() {
		gone.Case = CaseClientSilent
		gone.Text += ", while it waited for the client to authenticate"
	}
	return err
}

// followUpstream handles the whole messages that have come from the upstream. It shows the client what it may
// see of them, in as few writes as possible. For again see logIn.
func (s *session) followUpstream() (again bool, err error) {
	l := s.login
	for !l.ended() {
		message, complete, err := l.received.next()
		if !complete && err == nil {
			break
		}
		if err == nil {
			if why := s.hear(message); why != nil {
				if again, err := s.replace(why); again || err != nil {
					return again, err
				}
			}
		}
		turn, err := s.take(message, err)
		if err == nil && turn == upstreamsTurn {
			continue
		}
		if err != nil || turn == clientsTurn || !s.holdsBack() {
			if lost := s.show(); lost != nil {
				return false, lost
			}
		}
		if err == nil {
			err = s.respond(message, turn)
		}
		if err != nil {
			return false, err
		}
	}
	if !l.ended() && s.holdsBack() {
		return false, nil
	}
	return false, s.conclude()
}

// take keeps for the client what it may see of a message. err is the error of reading the message; nil for none.
func (s *session) take(message []byte, err error) (loginTurn, error) {
	var shown []byte
	var turn loginTurn
	if err == nil {
		shown, turn, err = s.login.upstreamSays(message)
	}
	if s.login.state != loginTokens {
		s.stopTokens()
	}
	s.login.held = append(s.login.held, shown...)
	return turn, err
}

// conclude shows the client the rest of what it may see. The error is for an upstream that has refused the
// login.
func (s *session) conclude() error {
	l := s.login
	if l.state == loginReady {
		l.held = append(l.held, l.received.rest()...)
		s.info.Method = l.methodName()
		s.timer.Stop()
		s.watch.stop()
		s.phase.Store(int32(PhaseRelay)) // before the client learns of its success
	}
	if err := s.show(); err != nil || l.state != loginRefused {
		return err
	}
	if l.answers != nil && s.server.Password != nil {
		l.refusal.OfOwnPassword()
	}
	return l.refusal
}

// show forwards to the client what it may see, unless the session has ended.
func (s *session) show() error {
	l := s.login
	if cause := context.Cause(s.ctx); cause != nil || len(l.held) == 0 {
		return cause
	}
	l.shown = true
	s.noteCancelKey() // before the client knows it
	out := l.held
	l.held = out[:0]
	return s.writeToClient(out)
}

// respond answers a request of the upstream. Without an answer and an error, the upstream has hung up.
func (s *session) respond(request []byte, turn loginTurn) error {
	switch {
	case turn == bridgesTurn:
		return s.answerRequest(request)
	case s.login.state == loginTokens:
		s.expectToken()
		return nil
	}
	response, hungUp, err := s.awaitResponse()
	if err != nil || hungUp {
		return err
	}
	if err := s.login.clientSays(response); err != nil {
		return err
	}
	s.sendInLogin(response)
	return nil
}

// awaitResponse is readResponse while the upstream is watched. If hungUp is true, the upstream has hung up
// before there was a response: it may have said why.
func (s *session) awaitResponse() (response []byte, hungUp bool, err error) {
	watched := s.upstreamConn.Socket()
	if watched == nil { // it has no descriptor, and is never found to have hung up
		watched = s.upstreamConn
	}
	s.watch.begin(watched)
	response, hungUp, err = s.readResponse()
	s.watch.answered()
	s.client.allowReads() // which the watch may have stopped
	return response, hungUp, err
}

// sendInLogin forwards a whole message of the client. If the upstream does not take it, it has often said
// why, so the error waits until that is read.
func (s *session) sendInLogin(message []byte) {
	s.tracker.clientSays(message)
	n, err := s.upstream.Write(message)
	s.toUpstream.Add(int64(n))
	if err != nil && s.login.sendErr == nil {
		s.login.sendErr = err
	}
}

// readResponse reads one whole message of type p and not a byte more. If stopped is true, reading was stopped
// before the first byte. A client that sends Terminate instead has gone.
func (s *session) readResponse() (message []byte, stopped bool, err error) {
	var head [messageHeader]byte
	n, err := s.client.Read(head[:])
	switch {
	case n == 0 && errors.Is(err, os.ErrDeadlineExceeded):
		return nil, true, nil
	case n == 0 && err != nil:
		return nil, false, responseError(err)
	}
	if err := s.readRest(head[n:]); err != nil {
		return nil, false, responseError(err)
	}
	size := int64(binary.BigEndian.Uint32(head[1:])) - 4
	switch {
	case head[0] == typeTerminate && size == 0:
		s.sendInLogin(head[:])
		return nil, false, clientGone(io.EOF)
	case head[0] != typePasswordMessage:
		return nil, false, badStartup("the client sent a message of type %q when it was asked to authenticate",
			string(rune(head[0])))
	case size < 0 || size > maxLoginMessage:
		return nil, false, badStartup(
			"the client sent a message of impossible length when it was asked to authenticate")
	}
	message = make([]byte, messageHeader+size)
	copy(message, head[:])
	if err := s.readRest(message[messageHeader:]); err != nil {
		return nil, false, responseError(err)
	}
	return message, false, nil
}

// readRest fills p with the rest of a message. If reading is stopped meanwhile, the rest has restGrace to come:
// most often it is in the socket already.
func (s *session) readRest(p []byte) error {
	n, err := io.ReadFull(s.client, p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.client.setReadDeadline(time.Now().Add(restGrace))
		_, err = io.ReadFull(s.client, p[n:])
	}
	return err
}

// responseError describes why a response did not come whole.
func responseError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return badStartup("the client sent a part of a message, and the upstream did not wait for the rest")
	}
	return clientGone(err)
}

// tokenRelay forwards what a client answers to GSSAPI or SSPI, on a goroutine of its own: only the client
// knows whether a request wants an answer.
type tokenRelay struct {
	due  chan struct{} // has one element for each request that the client has seen
	done chan struct{} // closed when the goroutine ends
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
		response, stopped, err := s.readResponse()
		if err != nil {
			s.end(err)
		}
		if stopped || err != nil {
			return
		}
		s.sendInLogin(response)
	}
}

// stopTokens ends the tokenRelay, if there is one.
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

// noteCancelKey registers the key of the session for cancel requests, if it is known.
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
		text := fmt.Sprintf("the client sent no startup packet within %v", limit)
		s.end(&Error{Kind: ReasonClientTimeout, Text: text})
		return
	}
	late := &Error{
		Kind: ReasonLoginTimeout, State: stateQueryCanceled,
		Text: fmt.Sprintf("the login took longer than %v", limit),
	}
	if waited := s.info.Waited; waited > 0 {
		late.Text += fmt.Sprintf(", besides the %v that it waited for the upstream", waited.Round(time.Millisecond))
	}
	if s.watch.awaitsClient() {
		late.Case = CaseClientSilent
		late.Text += ": the client has not answered when it was asked to authenticate"
	}
	s.end(late)
}

// unlessAccepted returns another error in place of err if a login took too long after the upstream had
// authenticated the client.
func (s *session) unlessAccepted(err error) error {
	var late *Error
	if !errors.As(err, &late) || late.Kind != ReasonLoginTimeout || s.login == nil || !s.login.accepted() {
		return err
	}
	accepted := *late
	accepted.Case = CasePoolerWaits
	accepted.Text += ": the upstream has authenticated the client, and sent nothing more"
	return &accepted
}
