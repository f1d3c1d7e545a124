package tlsorigin

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// maxPatience is how long the first byte in answer to a hybrid ClientHello is waited for, if a classical one may follow.
const maxPatience = 3 * time.Second

// Fallback is a way past a path that swallows a ClientHello with a hybrid key share.
type Fallback string

// The ways, in the order in which they are tried. The zero value is none.
const (
	FallbackSmallSegments Fallback = "small_segments" // the same ClientHello in TCP segments of 1200 bytes; Linux only
	FallbackClassical     Fallback = "classical"      // a ClientHello without hybrid groups
)

// PathCause is how a ClientHello came to nothing although not one byte of TLS was received.
type PathCause string

// The causes. None of them is proven: whoever is on the path can bring about each.
const (
	CausePacketsLost PathCause = "packets_lost" // sent again and still not acknowledged: large packets are lost
	CauseUnanswered  PathCause = "unanswered"   // acknowledged, as far as is known, and not answered in time
	CauseReset       PathCause = "reset"        // answered by a reset of the connection
	CauseClosed      PathCause = "closed"       // answered by the end of the connection
)

// vanishing returns how a handshake ended in which nothing was received: "" if not in a way that a ClientHello of
// another size could avoid. raw is still open.
func (a *attempt) vanishing(raw net.Conn, err error) PathCause {
	switch {
	case errors.Is(err, syscall.ETIMEDOUT):
		return CausePacketsLost // the kernel gave up repeating
	case isTimeout(err) && a.lost != nil && a.lost(raw):
		return CausePacketsLost
	case isTimeout(err):
		return CauseUnanswered
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNABORTED):
		return CauseReset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe):
		return CauseClosed
	}
	return ""
}

// choice is the ClientHello for one attempt.
type choice struct {
	groups   []tls.CurveID // nil: those of the configuration
	small    bool          // in small segments
	way      Fallback      // this attempt is that fallback
	fallible bool          // carries a hybrid, and another hello may follow if it vanishes
}

// usual reports whether the hello is the one that the configuration means, with nothing remembered or fallen back to.
func (c choice) usual() bool { return c.groups == nil && !c.small && c.way == "" }

// open tries one address: once as a rule, again if what was remembered about it has become wrong, a session included, or
// if the path swallows hybrid hellos. All of it shares budget. A nil failure without connection means that ctx has ended.
func (d *Dialer) open(ctx context.Context, r route, t *tlsState, budget time.Duration) (*Conn, *Error) {
	end := time.Now().Add(budget)
	a := newAttempt(r, t, budget)
	a.choose = func(addr net.Addr) choice { return d.paths.choose(d.wake, r, addr) }
	a.resume = !isProbe(ctx) // which wants to see everything
	conn, failure := d.run(ctx, a)
	if failure != nil && a.ticket.failed() && time.Until(end) > 0 {
		chosen := a.choice
		a = newAttempt(a.route.to(a.report.Resolved), t, time.Until(end))
		a.choose = func(net.Addr) choice { return chosen }
		conn, failure = d.run(ctx, a)
	}
	if failure == nil {
		return conn, nil
	}
	if number, ok := alertNumber(failure.Err); ok && number == alertHandshakeFailure && len(a.choice.groups) > 0 {
		// Perhaps the server no longer takes the few groups that were learned. The list before that has those and more:
		// this is no step down, whoever sent the alert.
		if wide, ok := d.paths.widen(a.report.Resolved); ok && time.Until(end) > 0 {
			again := newAttempt(a.route.to(a.report.Resolved), t, time.Until(end))
			again.choose = func(net.Addr) choice { return wide }
			return d.run(ctx, again)
		}
	}
	if a.vanished == "" || !a.choice.fallible || time.Until(end) <= 0 {
		return nil, failure
	}
	return d.fallBack(ctx, a, failure, end)
}

// fallBack tries what may pass where first's hello has vanished. If nothing does, first's failure is the one to report,
// for then the hello was not the trouble.
func (d *Dialer) fallBack(ctx context.Context, first *attempt, failure *Error, end time.Time) (*Conn, *Error) {
	ways := []choice{{groups: d.exchange.classical, way: FallbackClassical}}
	if first.vanished == CausePacketsLost && d.lost != nil && !first.choice.small {
		ways = append([]choice{{small: true, way: FallbackSmallSegments, fallible: true}}, ways...)
	}
	last := failure
	for _, way := range ways {
		a := newAttempt(first.route.to(first.report.Resolved), first.state, time.Until(end))
		a.report.Fallback, a.report.Cause = way.way, first.vanished
		a.choose = func(net.Addr) choice { return way }
		conn, again := d.run(withSegments(ctx, way.small), a)
		if conn != nil || again == nil {
			return conn, again
		}
		last = again
		if a.vanished == "" || time.Until(end) <= 0 {
			break // something was answered: the path lets hellos pass; or it is too late to find out
		}
	}
	reported := *failure
	if last.Kind == failure.Kind {
		reported.Text += "; a smaller ClientHello fared no better"
	} else {
		reported.Text += "; with a smaller ClientHello: " + last.Text
	}
	return nil, &reported
}

// run makes one attempt, reports it and learns from it. Neither connection nor failure means that ctx has ended.
func (d *Dialer) run(ctx context.Context, a *attempt) (*Conn, *Error) {
	observe(ctx, a)
	a.lost, a.turns, a.waiters = d.lost, d.turns, &d.waiters
	conn, failure := a.run(ctx, d.netDial)
	if conn == nil && ctx.Err() != nil {
		return nil, nil
	}
	a.report.Err, a.report.Probe = failure, a.report.Probe || isProbe(ctx)
	d.attempt(a.report)
	if conn != nil {
		d.paths.verified(a)
	}
	return conn, failure
}

// to returns r with the resolved address in place of the name, so that another attempt goes to the same place.
func (r route) to(addr net.Addr) route {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		r.dial = tcp.String()
	}
	return r
}

// segmentsKey is the key under which a context says whether a connection is opened with small segments. Without it what
// is remembered about the address decides.
type segmentsKey struct{}

func withSegments(ctx context.Context, small bool) context.Context {
	return context.WithValue(ctx, segmentsKey{}, small)
}

// controlSocket prepares a socket that is about to be connected to addr.
func (d *Dialer) controlSocket(ctx context.Context, network, addr string, conn syscall.RawConn) error {
	small, told := ctx.Value(segmentsKey{}).(bool)
	if !told {
		small = d.paths.small(addr)
	}
	if small {
		shrinkSegments(conn)
	}
	return controlSocket(network, addr, conn)
}
