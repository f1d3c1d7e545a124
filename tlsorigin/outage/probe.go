package outage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

const (
	// pace is the time between two dials of one address, and jitter is added to it. That leaves room for a
	// probe of somebody else in the ten dials a second that an address gets.
	pace   = 110 * time.Millisecond
	jitter = 20 * time.Millisecond
	// connectTime is how long a probe may take to open TCP. A network that drops packets is not noticed to be
	// back before the next SYN, so fresh dials are better than old ones.
	connectTime = time.Second
	// quietTime is how long a probe with TCP but without an answer holds the next one off. A hung server
	// would otherwise collect connections.
	quietTime = 3 * time.Second
	// askTime is the time between two questions for the addresses of the upstream.
	askTime = time.Second

	maxAddresses = 16
	maxProbes    = 10 // of one address at one time
)

var errNoTCP = errors.New("no TCP connection in time")

// prober dials while clients wait in an outage.
type prober struct {
	ctx    context.Context
	end    context.CancelFunc
	outage *outage
	asking bool
	kicked chan struct{} // has room for one; makes run look at once
}

// address is what the prober knows of one address. The Line's mutex guards it.
type address struct {
	target  *tlsorigin.Addr
	dialled time.Time     // when the latest probe began
	pace    time.Duration // to the next one

	dialling  int       // probes under way
	connected int       // those of them that have TCP
	quiet     time.Time // when the latest of these had it
	trials    int       // connections in the hands of clients without an answer
	handed    time.Time // when the latest of these was given to its client

	failure *tlsorigin.Error // of the latest probe or trial; nil if it had none, or if there is none yet
	began   time.Time        // when the dial began that ended with failure
	refusal error            // by a verified upstream that takes no logins for now; then failure is its short form
}

// due returns when the address may be dialled again.
func (a *address) due() time.Time {
	at := a.dialled.Add(a.pace)
	if a.connected > 0 {
		at = later(at, a.quiet.Add(quietTime))
	}
	if a.trials > 0 {
		at = later(at, a.handed.Add(loginTime))
	}
	return at
}

// startProber starts the prober if clients wait in an outage. The Line's mutex is held.
func (l *Line) startProber() {
	if l.prober != nil || l.outage == nil || l.queue.Len() == 0 || l.closed {
		return
	}
	p := &prober{outage: l.outage, kicked: make(chan struct{}, 1)}
	p.ctx, p.end = context.WithCancel(l.background.Context())
	l.prober = p
	l.outage.probing = time.Now()
	l.background.Start(func(context.Context) { l.run(p) })
}

// stopProber ends the prober and its dials. The Line's mutex is held.
func (l *Line) stopProber() {
	if l.prober != nil {
		l.prober.end()
		l.prober = nil
	}
}

// kick makes the prober look at once. The Line's mutex is held.
func (l *Line) kick() {
	if l.prober == nil {
		return
	}
	select {
	case l.prober.kicked <- struct{}{}:
	default: // about to look
	}
}

// run is the prober.
func (l *Line) run(p *prober) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-timer.C:
		case <-p.kicked:
		}
		timer.Reset(time.Until(l.look(p, time.Now())))
	}
}

// look begins what is due, and returns when it has to be called again.
func (l *Line) look(p *prober, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.prober != p {
		return now.Add(askTime) // it ends
	}
	o := p.outage
	next := o.asked.Add(askTime)
	if !p.asking && !now.Before(next) {
		p.asking = true
		l.background.Start(func(context.Context) { l.ask(p) })
	}
	if p.asking {
		next = now.Add(askTime)
	}
	for _, a := range o.addresses {
		if due := a.due(); now.Before(due) {
			next = earlier(next, due)
			continue
		}
		if a.connected > 0 && a.dialling < maxProbes {
			a.failure = l.upstream.silent(a.target, a.dialled, tlsorigin.ReasonUpstreamSilent,
				fmt.Sprintf("TCP connection to %v opened, but no answer came within %v", a.target, quietTime))
			a.began = a.dialled
			if l.review(); l.prober != p {
				return next
			}
		}
		if a.dialling < maxProbes {
			a.dialled, a.pace = now, pace+rand.N(jitter)
			a.dialling++
			l.background.Start(func(context.Context) { l.probe(p, a) })
		}
		next = earlier(next, now.Add(pace))
	}
	return next
}

// ask brings the addresses up to date. The Line's mutex is not held.
func (l *Line) ask(p *prober) {
	targets, failure := l.upstream.targets(p.ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.prober != p {
		return
	}
	p.asking = false
	o, known := p.outage, map[string]*address{}
	for _, a := range o.addresses {
		known[a.target.String()] = a
	}
	first := o.asked.IsZero()
	o.asked, o.addresses = time.Now(), nil
	if failure != nil {
		o.why = failure
		l.kick()
		return
	}
	for _, target := range targets[:min(len(targets), maxAddresses)] {
		a := known[target.String()]
		if a == nil {
			a = &address{target: target}
			if first { // a client has just dialled it
				a.dialled, a.pace = o.began, pace+rand.N(jitter)
			}
		}
		o.addresses = append(o.addresses, a)
	}
	l.kick()
}

// probe dials an address once. The Line's mutex is not held.
func (l *Line) probe(p *prober, a *address) {
	ctx, cancel := context.WithCancelCause(p.ctx)
	defer cancel(nil)
	patience := time.AfterFunc(connectTime, func() { cancel(errNoTCP) })
	defer patience.Stop()
	connected := false // Dial calls the function before it returns
	ctx = l.upstream.onConnected(ctx, func() {
		patience.Stop()
		if !connected {
			connected = true
			l.hasTCP(a)
		}
	})
	began := time.Now()
	conn, err := l.upstream.dial(ctx, a.target)
	if err != nil && errors.Is(context.Cause(ctx), errNoTCP) {
		err = l.upstream.silent(a.target, began, tlsorigin.ReasonUpstreamTimeout,
			fmt.Sprintf("no TCP connection to %v within %v", a.target, connectTime))
	}
	l.probed(p, a, began, conn, connected, err)
}

// hasTCP notes that a probe has TCP. The Line's mutex is not held.
func (l *Line) hasTCP(a *address) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.connected++
	a.quiet = time.Now()
	l.kick()
}

// probed takes what came of a probe. The Line's mutex is not held.
func (l *Line) probed(
	p *prober, a *address, began time.Time, conn *tlsorigin.Conn, connected bool, err error,
) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.dialling--
	if connected {
		a.connected--
	}
	var failure *tlsorigin.Error
	failed := errors.As(err, &failure)
	switch {
	case conn != nil:
		a.failure, a.refusal = nil, nil
		l.connected(began)
		l.hand(conn, a)
	case failed && l.prober == p && !isLocal(failure) && !began.Before(a.began): // else a later one knows better
		l.failed = time.Now()
		a.failure, a.refusal, a.began = failure, nil, began
		l.review()
	}
	if (conn != nil || failed) && l.options.Trace.Probed != nil {
		l.options.Trace.Probed(failure, l.why())
	}
	l.kick()
}

// refused notes that an address takes no logins for now. failure is the short form of why. See failed.
func (o *outage) refused(at *address, addr *tlsorigin.Addr, failure *tlsorigin.Error, why error) {
	o.why = why // unless another address has a better reason: see review
	if a := o.find(at, addr); a != nil {
		a.failure, a.refusal = failure, why
	}
}

// failed notes the failure of a trial. A nil at is looked for by addr. The Line's mutex is held.
func (o *outage) failed(at *address, addr *tlsorigin.Addr, failure *tlsorigin.Error) {
	o.why = failure
	if a := o.find(at, addr); a != nil {
		a.failure, a.refusal, a.began = failure, nil, time.Now()
	}
}

// find returns at, or the address addr. Nil means that the prober does not know it.
func (o *outage) find(at *address, addr *tlsorigin.Addr) *address {
	for _, a := range o.addresses {
		if a == at || at == nil && a.target.String() == addr.String() {
			return a
		}
	}
	return nil
}

// review notes why the upstream is away, as the latest probes and trials of all addresses say. It ends the
// outage if waiting does not cure that. The Line's mutex is held.
func (l *Line) review() {
	if l.outage == nil {
		return
	}
	suspect := l.outage.suspect
	l.outage.suspect = time.Time{}
	var failures, refusals []*tlsorigin.Error
	for _, a := range l.outage.addresses {
		switch {
		case a.refusal != nil && failures == nil: // none before it in the list has failed
			l.outage.why = a.refusal
			return
		case a.refusal != nil:
			refusals = append(refusals, a.failure)
		case a.failure != nil:
			failures = append(failures, a.failure)
		}
	}
	if failures == nil {
		return
	}
	why := tlsorigin.Merge(failures)
	if len(failures) == len(l.outage.addresses) && !why.MayPass() {
		if suspect.IsZero() || suspect.Before(l.outage.probing) {
			suspect = time.Now()
		}
		l.outage.why, l.outage.suspect = why, suspect
		if l.outage.confirms(suspect) {
			l.hopeless(why)
		}
		return
	}
	why.Others = append(why.Others, refusals...)
	l.outage.why = why
}

// confirms reports whether the failures of all addresses hold now. The addresses may have come back at the same
// moment, and one of them with a wrong certificate. So a failure that may pass has to happen again after
// suspect, and the other ones must be those of the latest prober.
func (o *outage) confirms(suspect time.Time) bool {
	for _, a := range o.addresses {
		since := o.probing
		if a.failure.MayPass() {
			since = suspect
		}
		if a.began.Before(since) {
			return false
		}
	}
	return true
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
