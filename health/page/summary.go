package page

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/health"
)

// recently is how long a failure stays in the summary.
const recently = 5 * time.Minute

// level says how bad a state is. It is also the class in page.css.
type level string

const (
	good level = "good"
	warn level = "warn"
	wait level = "wait" // it passes by itself
	bad  level = "bad"
)

// rank orders levels; the worse is the greater.
func (l level) rank() int { return slices.Index([]level{good, warn, wait, bad}, l) }

// shape is drawn as the sign of a level, an SVG path.
func (l level) shape() string {
	return [...]string{"M3 9l4 4 8-9", "M9 3v7M9 13v2", "M9 4v5h5", "M4 4l10 10M14 4l-10 10"}[l.rank()]
}

// summary answers "is it working?".
type summary struct {
	Level    level
	Word     string
	Sentence string
	Findings []finding // the worst first
}

// finding is something that a person should know before anything else.
type finding struct {
	Level  level
	Origin string // empty: the whole process, or the only origin
	Title  string
	Text   string
	Cures  []string // the best one first; empty: nothing is known
	Times  []timed
}

// Heading returns the title, and before it the origin if there is one.
func (f finding) Heading() string {
	if f.Origin == "" {
		return f.Title
	}
	return f.Origin + ": " + f.Title
}

// timed is a text that a time follows.
type timed struct {
	Before string
	Moment moment
}

// summarize sums up s.
func summarize(s health.Snapshot) summary {
	sum := summary{Level: good, Word: "Working", Sentence: calm(s)}
	down := []string{}
	for _, o := range s.Origins {
		found := findings(o, now{s.Time})
		if len(s.Origins) > 1 {
			for i := range found {
				found[i].Origin = o.Name
			}
		}
		if o.Wait.Away || o.Probe.State == health.ProbeDown {
			down = append(down, o.Name)
		}
		sum.add(found...)
	}
	for _, n := range s.Notes {
		sum.add(noteFindings(n)...)
	}
	if sum.Level == warn {
		sum.Word = "Working, needs attention"
		if noneGotThrough(s) {
			sum.Word = "Needs attention"
		}
	}
	sum.addPhase(s)
	switch {
	case !s.Live:
		sum.Level, sum.Word = bad, "Not working"
		sum.Sentence = "pgorigin no longer accepts clients; /livez?verbose says for how long. " +
			"A restart helps, and ends the open sessions."
	case len(down) > 0 && len(down) < len(s.Origins):
		sum.Word = "Partly down"
		sum.Sentence = fmt.Sprintf("%d of %d upstreams cannot be used: %s.",
			len(down), len(s.Origins), strings.Join(down, ", "))
	case len(down) > 0 && !slices.ContainsFunc(s.Origins, gaveUp):
		sum.Word = "Waiting for the upstream"
		sum.Sentence = waitingSentence(s)
	case len(down) > 0:
		sum.Word = "Not working"
		sum.Sentence = "No client gets through. The cause and what to change are below."
	}
	return sum
}

// gaveUp reports that clients of o do not wait.
func gaveUp(o health.OriginSnapshot) bool { return !o.Wait.Away }

// waitingSentence is for a process all of whose upstreams are away.
func waitingSentence(s health.Snapshot) string {
	waiting := 0
	for _, o := range s.Origins {
		waiting += o.Wait.Waiting
	}
	if waiting == 0 {
		return "The upstream was away when pgorigin last tried it. No client waits for it. pgorigin tries again when " +
			"the next client connects. The cause and what to change are below."
	}
	return "No client gets through for now, and " + clientsWait(waiting) + ". Clients are served in order when " +
		"the upstream is back. The cause and what to change are below."
}

func clientsWait(n int) string {
	if n == 1 {
		return "1 client waits"
	}
	return count(n, "client") + " wait"
}

// addPhase adds that s has not started or is draining, and the conditions that do not hold.
func (sum *summary) addPhase(s health.Snapshot) {
	switch {
	case s.Draining:
		open := 0
		for _, o := range s.Origins {
			open += o.Sessions.Open
		}
		sum.Word, sum.Sentence = "Stopping", "pgorigin was told to stop. No session is open."
		if open > 0 {
			sum.Sentence = "pgorigin was told to stop. " + count(open, "session") +
				" may finish: idle ones end now, transactions may run until the deadline."
		}
		sum.raise(wait)
	case !s.Started:
		sum.Word, sum.Sentence = "Starting", "pgorigin is not ready for clients yet."
		sum.raise(wait)
		sum.addUnmet(s.Conditions, wait)
	case !s.Ready && sum.Level != bad:
		sum.Word, sum.Sentence = "Not ready", "New clients should go elsewhere. /readyz says the same."
		sum.addUnmet(s.Conditions, bad)
	}
}

// addUnmet adds the conditions that do not hold, unless an origin that is down says more about them.
func (sum *summary) addUnmet(conditions []health.Condition, l level) {
	for _, c := range conditions {
		if !c.OK && sum.Level != bad {
			sum.add(finding{Level: l, Title: "Condition: " + c.Name, Text: c.Reason})
		}
	}
}

func (sum *summary) add(found ...finding) {
	for _, f := range found {
		sum.Findings = append(sum.Findings, f)
		sum.raise(f.Level)
	}
	slices.SortStableFunc(sum.Findings, func(a, b finding) int { return b.Level.rank() - a.Level.rank() })
}

func (sum *summary) raise(l level) {
	if l.rank() > sum.Level.rank() {
		sum.Level = l
	}
}

// calm is the sentence for a process that serves clients.
func calm(s health.Snapshot) string {
	untried, failed := 0, false
	for _, o := range s.Origins {
		if o.Probe.State == health.ProbeUnknown {
			untried++
		}
		failed = failed || fails(o, s.Time)
	}
	switch {
	case failed && noneGotThrough(s):
		return "No client has got through since the start. The cause and what to change are below."
	case failed:
		return "pgorigin accepts clients, but something has failed in the last minutes. The cause and what to " +
			"change are below."
	case untried > 0 && len(s.Origins) > 1:
		return fmt.Sprintf("Clients can connect. No session has used %d of %d upstreams yet, "+
			"so their state is unknown.", untried, len(s.Origins))
	case untried > 0:
		return "Clients can connect. No session has used the upstream yet, so its state is unknown."
	case len(s.Origins) > 1:
		return fmt.Sprintf("Clients can connect. All %d upstreams have proved their identity.",
			len(s.Origins))
	}
	return "Clients can connect. The upstream has proved its identity."
}

// noneGotThrough reports that no session has used an upstream yet, and that one has failed lately.
func noneGotThrough(s health.Snapshot) bool {
	failed := false
	for _, o := range s.Origins {
		if o.Probe.State != health.ProbeUnknown {
			return false
		}
		failed = failed || fails(o, s.Time)
	}
	return failed
}

// fails reports whether o has failed lately, for a reason that belongs in the summary.
func fails(o health.OriginSnapshot, now time.Time) bool {
	return o.Probe.Problem != nil ||
		slices.ContainsFunc(o.Failures, func(f health.Failure) bool { return alarming(f, now) })
}

// alarming reports whether f belongs in the summary.
func alarming(f health.Failure, now time.Time) bool { return !f.Harmless && now.Sub(f.Last) < recently }

// noteFindings returns what n says, unless an origin says more about it.
func noteFindings(n health.Note) []finding {
	origin, name, named := strings.Cut(n.Name, "/")
	if !named {
		origin, name = "", n.Name
	}
	f := finding{Level: warn, Origin: origin, Text: n.Text}
	switch name {
	case health.NoteUpstream, health.NoteKeyExchange:
		return nil
	case health.NoteCertificates:
		f.Title = "New certificate files were refused"
	case health.NoteExpiry:
		f.Title = "A certificate has expired or expires soon"
	default:
		f.Title = name
	}
	return []finding{f}
}

// findings lists what is wrong with o.
func findings(o health.OriginSnapshot, now now) []finding {
	var found []finding
	reason := ""
	if o.Wait.Away {
		reason = o.Wait.Problem.Reason
		found = append(found, away(o.Wait, now))
	} else if p := o.Probe; p.Problem != nil {
		reason = p.Problem.Reason
		f := finding{
			Title: "The last try of the upstream failed", Level: warn,
			Text: p.Problem.Text, Cures: p.Problem.Cures,
			Times: []timed{{reason + " at", now.Moment(p.LastTry)}},
		}
		if p.State == health.ProbeDown {
			f.Title, f.Level = "The upstream cannot be used", bad
			f.Times = []timed{
				{reason + " since", now.Moment(p.Since)}, {"; last tried", now.Moment(p.LastTry)},
			}
		}
		found = append(found, f)
	}
	found = append(found, badAddresses(o, now)...)
	for _, k := range o.KeyExchange {
		if k.Fallback != "" {
			found = append(found, finding{
				Title: "Key exchange with " + k.Address + " uses a fallback", Level: warn,
				Text: k.Cause, Cures: []string{k.Cure},
				Times: []timed{{"next try at", now.Moment(k.Until)}},
			})
		}
	}
	for _, f := range o.Failures {
		if alarming(f, now.time) && f.Reason != reason {
			found = append(found, finding{
				Level: warn, Title: "Recent failures", Text: f.Text, Cures: f.Cures,
				Times: []timed{{f.Reason + ", " + times(f.Count) + ", last at", now.Moment(f.Last)}},
			})
		}
	}
	return found
}

// away says that clients wait.
func away(w health.Wait, now now) finding {
	p := w.Problem
	f := finding{
		Title: "The upstream was away at the last try", Level: bad, Text: p.Text, Cures: p.Cures,
		Times: []timed{{p.Reason + " since", now.Moment(w.Since)}},
	}
	if w.Waiting > 0 {
		f.Title = "The upstream is away, " + clientsWait(w.Waiting)
	}
	return f
}

// maxAddresses bounds how many addresses the summary names.
const maxAddresses = 4

// badAddresses lists addresses that need attention, although others work.
func badAddresses(o health.OriginSnapshot, now now) []finding {
	works := map[string]bool{} // by configured address
	for _, a := range o.Addresses {
		works[a.Upstream] = works[a.Upstream] || a.State == health.AddressGood
	}
	if o.Wait.Away || len(works) == 0 {
		return nil
	}
	var found []finding
	for _, a := range o.Addresses {
		if a.Problem != nil && needsAttention(a, works) && len(found) < maxAddresses {
			found = append(found, finding{
				Title: "Address " + a.Address + " is not used: " + addressState(a.State).Word, Level: warn,
				Text: a.Problem.Text, Cures: a.Problem.Cures,
				Times: []timed{{a.Problem.Reason + " since", now.Moment(a.Since)}},
			})
		}
	}
	return found
}

// needsAttention reports whether the state of a is unusual. A name such as localhost may have an address of a
// family that nobody serves.
func needsAttention(a health.Address, works map[string]bool) bool {
	switch a.State {
	case health.AddressSilent, health.AddressFailing:
		return true
	case health.AddressRefused, health.AddressUnreachable, health.AddressNotReady:
		return !works[a.Upstream]
	}
	return false
}
