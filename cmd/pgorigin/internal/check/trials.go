package check

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// A trial changes one thing about a connection that failed, and sees what comes of it. A change of a setting
// is made in the environment, and everything after it is the code of run. So what a trial says of a setting
// is true of that setting. changes.go says which changes are worth a trial.

const (
	// maxTrials bounds the connections of one upstream. Only its first address that fails has trials.
	maxTrials = 16
	// trialsAtOnce bounds the connections under way.
	trialsAtOnce = 8
	// trialTimeout bounds one trial, except that of a longer timeout.
	trialTimeout = 3 * time.Second
)

// Trial is what came of one change.
type Trial struct {
	Change       string  `json:"change"`             // in words, such as "only TLS 1.2" or "NAME=VALUE"
	Variable     string  `json:"variable,omitempty"` // none if no setting makes the change
	Value        string  `json:"value,omitempty"`    // of Variable; empty if it was unset
	Outcome      string  `json:"outcome"`            // trialWorks or trialFailed
	Milliseconds float64 `json:"milliseconds"`
	Reason       string  `json:"reason,omitempty"` // why it failed

	cure string // what to do if it works
	same string // is in cures that say to do the same; empty for none
	last bool   // whether the other cures come first
}

func (t Trial) works() bool { return t.Outcome == trialWorks }

// Outcomes of a trial.
const (
	trialWorks  = "works"
	trialFailed = "failed"
)

// runTrials tries what may help with the first address of u that fails. There are none if all is well.
func (c *originChecker) runTrials(ctx context.Context, u *diagnose.Upstream) []Trial {
	i := slices.IndexFunc(u.Addresses, deservesTrials)
	if i < 0 {
		return nil
	}
	changes := c.changes(&u.Addresses[i])
	trials := c.tryAll(ctx, changes[:min(len(changes), maxTrials)], u.Addresses[i].Addr)
	if !slices.ContainsFunc(trials, Trial.works) {
		trials = append(trials, c.tryAll(ctx, c.longer(&u.Addresses[i], timeLeft(ctx)), u.Addresses[i].Addr)...)
	}
	return trials
}

// tryAll makes trials side by side.
func (c *originChecker) tryAll(ctx context.Context, changes []change, addr *tlsorigin.Addr) []Trial {
	trials := make([]*Trial, len(changes))
	places := make(chan struct{}, trialsAtOnce)
	var trying sync.WaitGroup
	for j, change := range changes {
		trying.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			trials[j] = c.try(ctx, change, addr)
		})
	}
	trying.Wait()
	var made []Trial
	for _, t := range trials {
		if t != nil {
			made = append(made, *t)
		}
	}
	return made
}

// deservesTrials reports whether a connection fails at d, or needs a fallback.
func deservesTrials(d diagnose.Address) bool { return d.Failed != "" || d.Fallback != "" }

// timeLeft is most of the time until the deadline of ctx, so that a trial ends before ctx.
func timeLeft(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return time.Minute
	}
	return max(time.Until(end)*9/10, time.Millisecond)
}

// try makes one trial. It returns nil if the change cannot be made, or if there is no time left.
func (c *originChecker) try(ctx context.Context, change change, addr *tlsorigin.Addr) *Trial {
	dialer := c.dialerWith(change)
	if dialer == nil {
		return nil
	}
	defer func() { _ = dialer.Close() }()
	if change.addr != nil {
		addr = change.addr
	}
	began := time.Now()
	timeout := min(max(trialTimeout, change.timeout), dialer.Timeout(), timeLeft(ctx))
	failure, tried := diagnose.Try(ctx, dialer, addr, timeout, change.offer)
	if !tried {
		return nil
	}
	t := &Trial{
		Change: change.text, Outcome: trialWorks, Milliseconds: milliseconds(time.Since(began)),
		cure: change.cure, same: change.same, last: change.last,
	}
	switch {
	case failure != nil:
		t.Outcome, t.Reason = trialFailed, failure.Reason()
	case change.asks && c.demandsCertificate(ctx, dialer, addr):
		t.Outcome, t.Reason = trialFailed, string(tlsorigin.ReasonClientCertRequired)
	}
	if len(change.settings) > 0 {
		t.Variable, t.Value = change.settings[0].variable, change.settings[0].value
	}
	return t
}

// dialerWith returns the Dialer that run would have with a change. It returns nil if run would refuse the
// settings.
func (c *originChecker) dialerWith(change change) *tlsorigin.Dialer {
	env := slices.Clone(c.env)
	for _, s := range change.settings {
		env = slices.DeleteFunc(env, func(entry string) bool { return strings.HasPrefix(entry, s.variable+"=") })
		if s.value != "" {
			env = append(env, s.variable+"="+s.value)
		}
	}
	changed, _, problems := config.Load(env)
	if len(problems) > 0 {
		return nil
	}
	for _, o := range changed.AllOrigins() {
		if o.Name() == c.origin.Name() {
			settings := changed.DialerConfig(o, nil)
			if change.addrs != nil {
				settings.Addrs = change.addrs
			}
			dialer, err := tlsorigin.NewDialer(settings)
			if err != nil {
				return nil
			}
			return dialer
		}
	}
	return nil
}

// withTrials puts the cure that was tried and works before the others, or after them. It leaves out those that
// set the same.
func withTrials(found advice.Finding, trials []Trial) advice.Finding {
	i := slices.IndexFunc(trials, func(t Trial) bool { return t.works() && !t.last })
	if i < 0 {
		if i = slices.IndexFunc(trials, Trial.works); i >= 0 {
			found.Cures = append(slices.Clone(found.Cures), safetext.Printable(trials[i].cure))
		}
		return found
	}
	works := trials[i]
	others := slices.DeleteFunc(slices.Clone(found.Cures), func(cure string) bool {
		return works.same != "" && strings.Contains(cure, works.same)
	})
	found.Cures = append([]string{safetext.Printable(works.cure)}, others...)
	return found
}
