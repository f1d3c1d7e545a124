package observe

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/health/metrics"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/outage"
)

// Messages, which are also kinds of log lines, as the reasons of sessions are.
const (
	kindAway     = "upstream is away, clients wait"
	kindBack     = "upstream is back"
	kindHopeless = "waiting does not help, clients get an error"
	kindUnknown  = "no client waits any more, upstream is unknown"
	kindAddress  = "upstream address state"
)

// outageState is what is known about the current outage.
type outageState struct {
	mu      sync.Mutex
	reason  string    // as the Prober knows it; "": there is no outage
	told    time.Time // when the Prober was told
	clients int       // that have waited and do not wait any more
	failed  int       // of them, those that got an error
}

// OutageTrace returns the hooks for the line of clients.
func (o *Observer) OutageTrace() outage.Trace {
	return outage.Trace{
		Away: o.away, Back: o.back, Hopeless: o.hopeless, Forgotten: o.forgotten, Waited: o.waited,
		Probed: o.waitProbed,
	}
}

// away logs that from now on clients wait. They report nothing while they do, so the Prober hears of it here.
func (o *Observer) away(why error) {
	problem := o.problem(why)
	o.outage.mu.Lock()
	o.outage.reason, o.outage.told = problem.Reason, time.Now()
	o.outage.clients, o.outage.failed = 0, 0
	o.outage.mu.Unlock()
	o.Prober.Observed(problem, 0)
	if o.limiter.admit(kindAway, 0) {
		o.log.Warn(kindAway, zap.String("origin", o.origin),
			zap.Float64("wait_limit", o.settings.Upstream.Wait.Seconds()), zap.String("reason", problem.Reason),
			Text("error", advice.WithCause(why)), Text("cure", problem.Cure))
	}
}

// back logs the end of the outage. The clients that still wait are served now.
func (o *Observer) back(lasted time.Duration, waiting int) {
	fields := o.endOutage(lasted, waiting, 0)
	o.Prober.Observed(nil, 0)
	if o.limiter.admit(kindBack, 0) {
		o.log.Info(kindBack, fields...)
	}
}

// hopeless logs that waiting is of no use any more. The clients that still wait get an error now.
func (o *Observer) hopeless(why *tlsorigin.Error, lasted time.Duration, waiting int) {
	fields := o.endOutage(lasted, waiting, waiting)
	problem := o.problem(why)
	o.Prober.Observed(problem, 0)
	if o.limiter.admit(kindHopeless, 0) {
		o.log.Warn(kindHopeless, append(fields, zap.String("reason", problem.Reason),
			Text("error", advice.WithCause(why)), Text("cure", problem.Cure))...)
	}
}

// forgotten logs that no client waits any more, so nobody finds out whether the upstream is back.
func (o *Observer) forgotten(lasted time.Duration) {
	fields := o.endOutage(lasted, 0, 0)
	if o.limiter.admit(kindUnknown, 0) {
		o.log.Info(kindUnknown, fields...)
	}
}

// endOutage returns what the log says about an outage that has ended. Of the clients that still wait, failed
// get an error.
func (o *Observer) endOutage(lasted time.Duration, waiting, failed int) []zap.Field {
	o.outage.mu.Lock()
	defer o.outage.mu.Unlock()
	o.outage.reason = ""
	return []zap.Field{
		zap.String("origin", o.origin), zap.Float64("lasted", lasted.Round(time.Millisecond).Seconds()),
		zap.Int("clients_waited", o.outage.clients+waiting), zap.Int("clients_failed", o.outage.failed+failed),
	}
}

// waited counts a client that waits no longer. The line of its session says more.
func (o *Observer) waited(took time.Duration, err error) {
	result := metrics.WaitFailed
	switch {
	case err == nil:
		result = metrics.WaitServed
	case errors.Is(err, context.Canceled):
		result = metrics.WaitAborted
	}
	o.metrics.Waited(o.origin, result, took)
	o.outage.mu.Lock()
	defer o.outage.mu.Unlock()
	if o.outage.reason == "" { // back has counted it
		return
	}
	o.outage.clients++
	if result == metrics.WaitFailed {
		o.outage.failed++
	}
}

// tellPeriod is how often the Prober hears that the upstream is still away, for the same reason.
const tellPeriod = time.Second

// waitProbed counts a dial of the prober. Whatever its result, the upstream is away as long as why is not nil: a
// verified server may still refuse logins.
func (o *Observer) waitProbed(failure *tlsorigin.Error, why error) {
	reason := string(pgwire.ReasonOK)
	if failure != nil {
		reason = failure.Reason()
	}
	o.metrics.WaitProbed(o.origin, reason)
	if why == nil {
		return
	}
	if problem := o.problem(why); o.isNews(problem.Reason) {
		o.Prober.Observed(problem, 0)
	}
}

// isNews reports whether the Prober has to be told that the upstream is away for this reason.
func (o *Observer) isNews(reason string) bool {
	now := time.Now()
	o.outage.mu.Lock()
	defer o.outage.mu.Unlock()
	if reason == o.outage.reason && now.Sub(o.outage.told) < tellPeriod {
		return false
	}
	o.outage.reason, o.outage.told = reason, now
	return true
}

// Waiting returns what the status says about an outage. since and why are those of outage.Line.Away.
func (o *Observer) Waiting(clients int, since time.Time, why error, away bool) health.Wait {
	wait := health.Wait{LimitSeconds: o.settings.Upstream.Wait.Seconds(), Waiting: clients, Away: away}
	if away {
		wait.Since, wait.Problem = since.UTC(), o.problem(why)
	}
	return wait
}

// DescribeAddresses returns what the status says about addresses.
func (o *Observer) DescribeAddresses(list []tlsorigin.AddressStatus) []health.Address {
	described := []health.Address{}
	good := slices.ContainsFunc(list, func(a tlsorigin.AddressStatus) bool { return a.State == tlsorigin.AddressGood })
	for _, a := range list {
		d := health.Address{
			Upstream: a.Addr, Address: a.Resolved, State: string(a.State), Since: a.Since, Verified: a.Verified,
		}
		if good { // otherwise, it is tried at any time
			d.NextTry = a.Due
		}
		if a.Err != nil {
			d.Problem = o.problem(a.Err)
		}
		for _, t := range []*time.Time{&d.Since, &d.Verified, &d.NextTry} {
			if !t.IsZero() {
				*t = t.UTC()
			}
		}
		described = append(described, d)
	}
	return described
}

// AddressStates returns the states of an address, as metrics have them.
func AddressStates() []string {
	var states []string
	for _, state := range tlsorigin.AddressStates() {
		states = append(states, string(state))
	}
	return states
}

// refusesLogins reports whether, in an outage, an address goes to or from the state of a server that takes no
// logins.
func (o *Observer) refusesLogins(before, after tlsorigin.AddressStatus) bool {
	o.outage.mu.Lock()
	defer o.outage.mu.Unlock()
	return o.outage.reason != "" &&
		(before.State == tlsorigin.AddressNotReady || after.State == tlsorigin.AddressNotReady)
}

// addressChanged logs another state of an address. With one that has begun to fail, clients still get through
// by another address, so no other line says it.
func (o *Observer) addressChanged(before, after tlsorigin.AddressStatus) {
	fields := []zap.Field{
		zap.String("origin", o.origin), Text("upstream_addr", after.Addr), Text("upstream", after.Resolved),
		zap.String("state", string(after.State)), zap.String("before", string(before.State)),
	}
	if after.Err != nil {
		fields = append(fields, zap.String("reason", after.Err.Reason()), Text("error", advice.WithCause(after.Err)))
	}
	level := zap.WarnLevel
	switch {
	case o.refusesLogins(before, after):
		level = zap.DebugLevel // each trial of a login would log two lines
	case after.State == tlsorigin.AddressUnknown || before.State == tlsorigin.AddressUnknown && after.Err == nil:
		level = zap.DebugLevel // nothing was wrong, or nothing is known any more
	case after.State == tlsorigin.AddressGood:
		level = zap.InfoLevel
	}
	line := o.log.Check(level, kindAddress)
	if line != nil && (level == zap.DebugLevel || o.limiter.admit(kindAddress, 0)) {
		line.Write(fields...)
	}
}
