package outage

import (
	"context"
	"errors"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// maxEnds is how many connections of a session the upstream may end without a message before the session
// gives up.
const maxEnds = 2

// Refused returns another connection, because the first message of the upstream says that it starts or stops.
// The session is the first in line again, unless another address may take it. If the error is why itself, the
// time is over.
func (p *Place) Refused(ctx context.Context, why error) (*tlsorigin.Conn, error) {
	l := p.line
	l.upstream.notReady(p.remote, why)
	elsewhere, first := l.upstream.elsewhere(p.remote)
	l.mu.Lock()
	at := p.trial
	p.endTrial()
	p.endTurn(0)
	switch {
	case l.outage != nil:
		l.outage.refused(at, p.remote, why)
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

// Ended returns another connection, because the upstream has ended the session's own without a message. If
// the error is why itself, that has happened too often, or the time is over.
func (p *Place) Ended(ctx context.Context, why error) (*tlsorigin.Conn, error) {
	l := p.line
	l.mu.Lock()
	p.endTrial()
	p.endTurn(0)
	l.mu.Unlock()
	var failure *tlsorigin.Error
	if errors.As(why, &failure) && failure.Kind.Layer() > tlsorigin.LayerNetwork {
		return nil, p.inVain(why) // such as a client certificate that is rejected
	}
	if p.ends++; p.ends > maxEnds {
		return nil, p.inVain(why)
	}
	return p.again(ctx, why)
}

// again opens another connection if there is time left.
func (p *Place) again(ctx context.Context, why error) (*tlsorigin.Conn, error) {
	if l := p.line; !time.Now().Before(p.deadline) || l.isClosed() {
		return nil, p.inVain(why)
	}
	return p.open(ctx)
}

// inVain returns why, and reports that the client has waited for it.
func (p *Place) inVain(why error) error {
	p.line.mu.Lock()
	defer p.line.mu.Unlock()
	p.report(why)
	return why
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
	if r := p.turn; r != nil && r.window < fullWindow {
		r.window++
		l.release()
	}
	// A connection from before the outage says nothing: a server that stops may still serve it.
	if l.outage != nil && !p.opened.Before(l.outage.began) {
		l.back()
	}
}

// LoggedIn says that the login is over, and has succeeded.
func (p *Place) LoggedIn() {
	p.line.mu.Lock()
	defer p.line.mu.Unlock()
	p.endTurn(time.Since(p.began))
}

// watchLogin ends the trial and the turn when the session ends, or when its login takes too long.
func (p *Place) watchLogin(ctx context.Context) {
	this := p.opens
	over := func() {
		p.line.mu.Lock()
		defer p.line.mu.Unlock()
		if p.opens == this {
			p.endTrial()
			p.endTurn(0)
		}
	}
	stop := context.AfterFunc(ctx, over)
	timer := time.AfterFunc(loginTime, over)
	p.leave = func() {
		stop()
		timer.Stop()
	}
}

// endTurn says that the client does not log in any more. It took so long; zero means that it has failed.
func (p *Place) endTurn(took time.Duration) {
	turn := p.turn
	if turn == nil {
		return
	}
	p.turn = nil
	p.leave()
	p.line.endTurn(turn, took)
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
