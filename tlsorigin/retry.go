package tlsorigin

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/alert"
)

// maxPatience is how long an attempt waits for the first byte in answer to a hybrid ClientHello, if a
// classical one may follow.
const maxPatience = 3 * time.Second

// fallbackPatience takes its place for the hello of a fallback, if another one may follow.
const fallbackPatience = maxPatience / 2

// Fallback is a way past a path that swallows a ClientHello with a hybrid key share.
type Fallback string

// The fallbacks, in the order in which they are tried. The zero value is none.
const (
	FallbackSmallSegments Fallback = "small_segments" // the same hello in segments of 1200 bytes; Linux only
	FallbackClassical     Fallback = "classical"      // a ClientHello without hybrid groups
)

// VanishCause is how a ClientHello came to nothing although not one byte of TLS was received.
type VanishCause string

// The causes. None of them is proven: anybody on the path can bring about each.
const (
	CausePacketsLost VanishCause = "packets_lost" // sent again and still not acknowledged
	CauseUnanswered  VanishCause = "unanswered"   // acknowledged, as far as is known, and not answered in time
	CauseReset       VanishCause = "reset"        // answered by a reset of the connection
	CauseClosed      VanishCause = "closed"       // answered by the end of the connection
)

// retry tries the address of first, which failed, until end with another hello, if one may pass. There are
// three cases:
//
//   - first offered a session: some upstreams cannot resume what they have handed out. The same hello goes
//     without it.
//   - first offered the few groups that the upstream chose before, and it no longer takes them. The full list
//     has those and more, so this is not a step down, even if an attacker sent the alert.
//   - the hello vanished: see fallBack.
//
// Otherwise the result is the failure of first.
func (d *Dialer) retry(ctx context.Context, first *attempt, result outcome, end time.Time) outcome {
	last := first
	if last.ticket.failed() && time.Until(end) > 0 {
		last, result = d.again(ctx, first, first.variant, end)
		if result.failure == nil {
			return result
		}
	}
	if number, ok := alert.Number(result.failure.Err); ok && number == alert.HandshakeFailure &&
		len(last.variant.groups) > 0 {
		if wide, ok := d.hosts.dropGroups(last.report.Resolved); ok && time.Until(end) > 0 {
			_, result = d.again(ctx, last, wide, end)
			return result
		}
	}
	if last.vanished == "" || !last.variant.fallible || time.Until(end) <= 0 {
		return result
	}
	return d.fallBack(ctx, last, result, end)
}

// again makes another attempt at the resolved address of before, with variant.
func (d *Dialer) again(ctx context.Context, before *attempt, variant helloVariant, end time.Time) (*attempt,
	outcome,
) {
	a := d.newAttempt(before.route.to(before.report.Resolved), before.state, time.Until(end), before.options)
	a.variantFor = func(net.Addr) helloVariant { return variant }
	if variant.fallback != "" {
		a.report.Fallback, a.report.Cause = variant.fallback, before.vanished
		ctx = withSegments(ctx, variant.small)
	}
	return a, d.try(ctx, a)
}

// fallBack tries hellos that may pass where the hello of first has vanished. If none does, the hello was not
// the problem, and the failure of first is reported.
func (d *Dialer) fallBack(ctx context.Context, first *attempt, result outcome, end time.Time) outcome {
	variants := []helloVariant{{groups: d.exchange.classical, fallback: FallbackClassical}}
	if first.vanished == CausePacketsLost && d.lost != nil && !first.variant.small {
		variants = append([]helloVariant{{small: true, fallback: FallbackSmallSegments, fallible: true}},
			variants...)
	}
	last := result.failure
	for _, variant := range variants {
		a, again := d.again(ctx, first, variant, end)
		if again.failure == nil {
			return again
		}
		last = again.failure
		if a.vanished == "" || time.Until(end) <= 0 {
			break // something was answered, so the path lets hellos pass; or it is too late to find out
		}
	}
	if first.route.direct && (last.Kind == ReasonUpstreamSilent || last.Case == CaseNoDirectTLS) {
		return outcome{failure: last} // no hello is answered there, whatever its size
	}
	reported := *result.failure
	if last.Kind == reported.Kind {
		reported.Text += "; a smaller ClientHello failed, too"
	} else {
		reported.Text += "; with a smaller ClientHello: " + last.Text
	}
	return outcome{failure: &reported}
}

// vanishing returns how a handshake ended in which nothing was received. It returns "" if a ClientHello of
// another size would not have helped. The connection raw is still open.
func (a *attempt) vanishing(raw net.Conn, err error) VanishCause {
	switch {
	case errors.Is(err, syscall.ETIMEDOUT):
		return CausePacketsLost // the kernel gave up repeating
	case isTimeout(err) && a.lost != nil && a.lost(raw):
		return CausePacketsLost
	case isTimeout(err):
		return CauseUnanswered
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err,
		syscall.ECONNABORTED):
		return CauseReset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe):
		return CauseClosed
	}
	return ""
}

// limitPatience limits the wait for the first byte in answer to a hello that may vanish. So there is time
// left for another hello. Once a byte has come, the handshake has all the time.
func (a *attempt) limitPatience(w *wire) {
	if !a.variant.fallible {
		return
	}
	longest := maxPatience
	if a.variant.fallback != "" {
		longest = fallbackPatience
	}
	a.patience = min(longest, time.Until(a.deadline)/2)
	if !a.variant.known {
		a.waiter.expect(a.patience)
	}
	expire, deadline := a.expire, a.deadline // wire must not keep the attempt
	expire(time.Now().Add(a.patience))
	w.first = func() { expire(deadline) }
}

// hybrid reports whether the ClientHello has a hybrid key share, which makes it large.
func (a *attempt) hybrid() bool {
	if a.variant.groups != nil {
		return slices.ContainsFunc(a.variant.groups, IsHybrid)
	}
	return a.exchange.hybrid
}

// waited is how long the handshake had, of which received bytes came.
func (a *attempt) waited(received int64) time.Duration {
	if a.patience > 0 && received == 0 {
		return a.patience
	}
	return a.budget
}

// to returns r with the resolved address in place of the name, so that another attempt goes to the same
// place.
func (r route) to(addr net.Addr) route {
	r.lookup = 0
	if tcp, ok := addr.(*net.TCPAddr); ok {
		r.dial = tcp.String()
	}
	return r
}

// segmentsKey is the key under which a context says whether a connection is opened with small segments:
// net.Dialer hands nothing else to ControlContext. Without it, what is remembered about the address decides.
type segmentsKey struct{}

func withSegments(ctx context.Context, small bool) context.Context {
	return context.WithValue(ctx, segmentsKey{}, small)
}

// controlSocket prepares a socket that is about to be connected to addr.
func (d *Dialer) controlSocket(ctx context.Context, network, addr string, conn syscall.RawConn) error {
	small, told := ctx.Value(segmentsKey{}).(bool)
	if !told {
		small = d.hosts.small(addr)
	}
	if small {
		shrinkSegments(conn)
	}
	return controlSocket(network, addr, conn)
}

// startProbe starts a background probe of one address.
func (d *Dialer) startProbe(r route, addr net.Addr) {
	d.background.Start(func(ctx context.Context) { d.probeHost(ctx, r, addr) })
}

// probeHost finds out whether the ClientHello of the configuration passes by now, in segments of the usual
// size. A probe is a whole verified handshake and nothing after it. No client waits for it.
func (d *Dialer) probeHost(ctx context.Context, r route, addr net.Addr) {
	a := d.newAttempt(r, d.state.Load(), d.timeout, options{probe: true})
	a.variantFor = func(net.Addr) helloVariant { return helloVariant{fallible: d.exchange.classical != nil} }
	result := d.try(withSegments(ctx, false), a)
	if result.interrupted {
		return // d is closed
	}
	if result.conn != nil {
		_ = result.conn.Close()
	}
	d.hosts.probed(addr, result.conn != nil, a.vanished != "")
}
