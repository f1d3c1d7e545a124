package tlsorigin

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/background"
)

const (
	// staleFor is how long an answer of DNS may stand in for one that does not come.
	staleFor = 10 * time.Minute
	// maxPerName is how many addresses of one name are tried. An answer may have thousands.
	maxPerName = 16
)

// lookups looks names up. DNS is asked for each dial. If it fails or is slow, an earlier answer is used.
type lookups struct {
	background *background.Group

	mu    sync.Mutex
	names map[string]*lookedUp
}

// lookedUp is what is known about one name.
type lookedUp struct {
	latest *lookup      // perhaps still under way
	ips    []netip.Addr // the latest answer with addresses, as arranged returns it
	at     time.Time    // of ips
	// unanswered is when the first of the questions without an answer was asked; zero: there are none.
	unanswered time.Time
}

// lookup is one question to DNS. Its result may be read when done is closed.
type lookup struct {
	began time.Time
	done  chan struct{}
	ips   []netip.Addr
	err   error
}

// ask looks host up until end. Dials that ask within stagger share one lookup. It goes on when ctx has ended,
// so that the next dial has its answer.
func (l *lookups) ask(ctx context.Context, resolve LookupFunc, host string, end time.Time) ([]netip.Addr, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	running, stale := l.begin(ctx, resolve, host, end)
	var patience <-chan time.Time // nil blocks for ever
	if stale != nil {
		timer := time.NewTimer(stagger)
		defer timer.Stop()
		patience = timer.C
	}
	select {
	case <-running.done:
		if running.err != nil && stale != nil && !isAnswer(running.err) {
			return stale, nil
		}
		return running.ips, running.err
	case <-patience:
		return stale, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// begin joins or starts a lookup, and returns the answer that may stand in for its own.
func (l *lookups) begin(ctx context.Context, resolve LookupFunc, host string, end time.Time) (*lookup,
	[]netip.Addr,
) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := l.names[host]
	if name == nil {
		name = new(lookedUp)
		if l.names == nil {
			l.names = map[string]*lookedUp{}
		}
		l.names[host] = name
	}
	now := time.Now()
	var stale []netip.Addr
	if now.Sub(name.at) <= staleFor {
		stale = name.ips
	}
	if name.latest != nil && name.latest.isRunning() && now.Sub(name.latest.began) < stagger {
		return name.latest, stale
	}
	if name.unanswered.IsZero() || name.latest != nil && now.Sub(name.latest.began) > stateLife {
		name.unanswered = now
	}
	running := &lookup{began: now, done: make(chan struct{})}
	name.latest = running
	run := func(ctx context.Context) {
		ctx, cancel := context.WithDeadline(ctx, end)
		defer cancel()
		l.finish(name, running, func() ([]netip.Addr, error) { return lookUp(ctx, resolve, host) })
	}
	if !l.background.Start(run) { // the Dialer is closed
		go run(context.WithoutCancel(ctx))
	}
	return running, stale
}

// lookUp looks host up. If that is slow, it asks for each family by itself, and takes what it gets: some DNS
// servers never answer a question for IPv6.
func lookUp(ctx context.Context, resolve LookupFunc, host string) ([]netip.Addr, error) {
	type answer struct {
		whole bool
		ips   []netip.Addr
		err   error
	}
	answers := make(chan answer, 3)
	ask := func(network string) {
		ips, err := resolve(ctx, network, host)
		answers <- answer{network == "ip", ips, err}
	}
	go ask("ip")
	slow := time.NewTimer(stagger)
	defer slow.Stop()
	for {
		select {
		case a := <-answers:
			if a.whole || a.err == nil && len(a.ips) > 0 {
				return a.ips, a.err
			}
		case <-slow.C:
			go ask("ip4")
			go ask("ip6")
		}
	}
}

func (l *lookup) isRunning() bool {
	select {
	case <-l.done:
		return false
	default:
		return true
	}
}

// finish notes the answer of resolve.
func (l *lookups) finish(name *lookedUp, running *lookup, resolve func() ([]netip.Addr, error)) {
	ips, err := resolve()
	running.ips, running.err = arranged(ips), err
	if err == nil && len(running.ips) == 0 {
		running.err = errNoAddress
	}
	l.mu.Lock()
	if running.err == nil || isAnswer(running.err) || time.Since(running.began) < entryStagger {
		name.unanswered = time.Time{} // an error that comes soon costs no dial its time
	}
	switch {
	case running.began.Before(name.at): // a later question has its answer already
	case running.err == nil:
		name.ips, name.at = running.ips, time.Now()
	case isAnswer(running.err):
		name.ips = nil
	}
	l.mu.Unlock()
	close(running.done)
}

// isSilent reports whether DNS has not answered for host lately, and no earlier answer may stand in.
func (l *lookups) isSilent(host string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	name, now := l.names[host], time.Now()
	return name != nil && !name.unanswered.IsZero() && now.Sub(name.unanswered) >= entryStagger &&
		now.Sub(name.latest.began) <= stateLife && (name.ips == nil || now.Sub(name.at) > staleFor)
}

// latest returns the latest answer for host. It asks nobody.
func (l *lookups) latest(host string) []netip.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	if name := l.names[host]; name != nil {
		return name.ips
	}
	return nil
}

var errNoAddress = errors.New("the answer has no address")

// isAnswer reports whether DNS has answered that there is no address. Every other error says that there was
// no answer.
func isAnswer(err error) bool {
	var dns *net.DNSError
	return errors.Is(err, errNoAddress) || errors.As(err, &dns) && dns.IsNotFound
}

// arranged returns the addresses of a name in the order in which they are tried: IPv6 first, then in turn, at
// most maxPerName. Within a family, the order of DNS stays.
func arranged(ips []netip.Addr) []netip.Addr {
	var families [2][]netip.Addr
	for _, ip := range ips {
		ip = ip.Unmap()
		family := &families[0]
		if ip.Is4() {
			family = &families[1]
		}
		if len(*family) < maxPerName && ip.IsValid() && !slices.Contains(*family, ip) {
			*family = append(*family, ip)
		}
	}
	var all []netip.Addr
	for i := range maxPerName {
		for _, family := range families {
			if i < len(family) && len(all) < maxPerName {
				all = append(all, family[i])
			}
		}
	}
	return all
}

// finding is what came of looking up one configured address.
type finding struct {
	routes  []route
	failure *Error // set if there is none; nil if the caller's context ended the lookup
}

// find returns the addresses behind r. It looks its name up until end.
func (d *Dialer) find(ctx context.Context, r route, end time.Time) finding {
	if r.dns == "" {
		return finding{routes: []route{r}}
	}
	began := time.Now()
	ips, err := d.lookups.ask(ctx, d.resolve, r.dns, end)
	switch {
	case err != nil && ctx.Err() != nil:
		return finding{}
	case err != nil:
		cause := err
		if errors.Is(err, errNoAddress) {
			cause = nil
		}
		found := lookupFailure(cause, d.timeout)
		return finding{failure: &Error{
			Kind: found.reason, Case: found.which, Value: found.value, Addr: r.host, Text: found.text, Err: err,
			past: d.addresses.pastOf(r.host),
		}}
	}
	return finding{routes: r.at(ips, time.Since(began))}
}

// at returns r for each of ips. took is the duration of the lookup.
func (r route) at(ips []netip.Addr, took time.Duration) []route {
	routes := make([]route, len(ips))
	for i, ip := range ips {
		routes[i] = r
		routes[i].dial, routes[i].lookup = netip.AddrPortFrom(ip, r.port).String(), took
	}
	return routes
}
