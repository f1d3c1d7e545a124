package outage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// maxEnds is how many connections of a session the upstream may end without a message, while it answers others,
// before the session gives up.
const maxEnds = 2

// Refused returns another connection, because the first message of the upstream says that it starts or stops.
// The session is the first in line again, unless another address may take it. If the error is why itself, the
// time is over.
func (p *Place) Refused(ctx context.Context, why error) (*tlsorigin.Conn, error) {
	l := p.line
	failure := l.upstream.notReady(p.remote, why)
	elsewhere, first := l.upstream.elsewhere(p.remote)
	l.mu.Lock()
	l.failed = time.Now()
	at := p.trial
	p.endTrial()
	p.endTurn(false)
	switch {
	case l.outage != nil:
		l.outage.refused(at, p.remote, failure, why)
		l.review()
	case elsewhere:
	case first != nil: // a standby refuses, too, but the primary has the cause
		l.note(first)
	default:
		l.note(why)
	}
	p.refusal = why
	l.mu.Unlock()
	return p.again(ctx, why)
}

// Ended returns another connection, because the upstream has ended the session's own without a message. That
// says the same as a refusal, unless it answers others. If that has happened too often, or the time is over, the
// error is why, or says the same.
func (p *Place) Ended(ctx context.Context, why error) (*tlsorigin.Conn, error) {
	var failure *tlsorigin.Error
	rejected := errors.As(why, &failure) && failure.Kind.Layer() > tlsorigin.LayerNetwork
	answersOthers := p.cut()
	switch {
	case rejected, p.ends > maxEnds: // rejected: such as a client certificate
		p.endLogin()
		return nil, p.inVain(why)
	case answersOthers:
		p.endLogin()
		return p.again(ctx, why)
	}
	l := p.line
	failure = l.upstream.notReady(p.remote, why)
	elsewhere, _ := l.upstream.elsewhere(p.remote)
	l.mu.Lock()
	at := p.trial
	p.endTrial()
	p.endTurn(false)
	switch {
	case l.outage != nil:
		l.outage.failed(at, p.remote, failure)
		l.review()
	case !elsewhere:
		l.note(failure)
	}
	p.refusal = nil
	l.mu.Unlock()
	return p.again(ctx, failure)
}

// cut counts a connection that the upstream has ended. It counts against the session if the upstream answers
// others and was not away meanwhile.
func (p *Place) cut() (answersOthers bool) {
	l := p.line
	l.mu.Lock()
	defer l.mu.Unlock()
	p.cuts++
	if l.failed.After(p.ended) {
		p.ends = 0
	}
	if answersOthers = l.loggedIn.After(p.ended); answersOthers {
		p.ends++
	}
	p.ended = time.Now()
	return answersOthers
}

// endLogin ends the trial and the turn.
func (p *Place) endLogin() {
	p.line.mu.Lock()
	defer p.line.mu.Unlock()
	p.endTrial()
	p.endTurn(false)
}

// again opens another connection if there is time left.
func (p *Place) again(ctx context.Context, why error) (*tlsorigin.Conn, error) {
	if l := p.line; !time.Now().Before(p.deadline) || l.isClosed() {
		return nil, p.inVain(why)
	}
	return p.open(ctx)
}

// inVain returns why, with how long the client has waited, and reports that.
func (p *Place) inVain(why error) error {
	p.line.mu.Lock()
	defer p.line.mu.Unlock()
	return p.failed(why)
}

// Answered says that the upstream takes logins.
func (p *Place) Answered() {
	l := p.line
	l.upstream.ready(p.remote)
	l.mu.Lock()
	defer l.mu.Unlock()
	p.endTrial()
	p.report(nil)
	l.answered = time.Now()
	l.loggedIn = l.answered
	// A connection from before the outage says nothing: a server that stops may still serve it.
	if l.outage != nil && !p.opened.Before(l.outage.began) {
		l.back()
	}
}

// LoggedIn says that the login is over, and has succeeded.
func (p *Place) LoggedIn() {
	p.line.mu.Lock()
	defer p.line.mu.Unlock()
	if p.turn != nil {
		p.turn.measure(time.Since(p.began))
		p.endTurn(true)
		p.line.release()
	}
}

// watchTrial ends the trial when the session ends, or when its login takes too long.
func (p *Place) watchTrial(ctx context.Context) {
	this, l := p.opens, p.line
	over := func(silent bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if p.opens != this || p.trial == nil {
			return
		}
		at := p.trial
		p.endTrial()
		if silent && l.outage != nil {
			l.outage.failed(at, p.remote, &tlsorigin.Error{
				Kind: tlsorigin.ReasonUpstreamSilent, Case: tlsorigin.CaseRightPort, Addr: p.remote.Host,
				Text: fmt.Sprintf("did not answer a login within %v", loginTime),
			})
			l.review()
		}
	}
	stop := context.AfterFunc(ctx, func() { over(false) })
	timer := time.AfterFunc(loginTime, func() { over(true) })
	p.leave = func() {
		stop()
		timer.Stop()
	}
}

// watchTurn lets the turn lapse when it lasts too long.
func (p *Place) watchTurn() {
	turn := p.turn
	p.lapse = time.AfterFunc(turnTime, func() {
		p.line.mu.Lock()
		defer p.line.mu.Unlock()
		if p.turn == turn && !p.lapsed {
			p.lapsed = true
			p.line.endTurn(turn, true)
		}
	})
}

// endTurn ends the turn of the client, if it has one. The window grows, unless the client has failed.
func (p *Place) endTurn(grow bool) { p.line.endTurn(p.takeTurn(), grow) }

// takeTurn takes the turn of the client. It returns nil if there is none that counts.
func (p *Place) takeTurn() *recovery {
	turn := p.turn
	p.turn = nil
	if p.lapse != nil {
		p.lapse.Stop()
	}
	if p.lapsed {
		return nil
	}
	return turn
}

// endTrial says that the login on a prober's connection has been answered, or will not be.
func (p *Place) endTrial() {
	if p.trial == nil {
		return
	}
	p.trial.trials--
	p.trial = nil
	p.leave()
	p.line.kick()
}
