package health

import (
	"fmt"
	"strings"
	"time"
)

// recently is how long a failure stays among what needs attention.
const recently = 5 * time.Minute

// Names of notes that the page knows. With several origins they follow the name of one and a slash.
const (
	NoteUpstream     = "upstream"     // the page has more to say
	NoteKeyExchange  = "key_exchange" // likewise
	NoteCertificates = "certificates" // files that were not taken over
	NoteExpiry       = "expiry"
)

// level is how bad something is. The worse is the greater.
type level int

const (
	good level = iota
	warn
	wait // it passes by itself
	bad
)

// class is what CSS knows a level by.
func (l level) class() string { return [...]string{"good", "warn", "wait", "bad"}[l] }

// sign is drawn before a word: colour alone says nothing to many, or on paper.
func (l level) sign() node {
	shape := [...]markup{"M3 9l4 4 8-9", "M9 3v7M9 13v2", "M9 4v5h5", "M4 4l10 10M14 4l-10 10"}[l]
	return el("svg.sign", attr("viewBox", "0 0 18 18"), attr("aria-hidden", "true"), el("path", attr("d", string(shape))))
}

// finding is something that a person should know before anything else.
type finding struct {
	level  level
	origin string // empty: the whole process, or the only origin
	title  string
	text   string
	cure   string
	times  node // when it was seen
}

// verdict is the answer to "is it working?".
type verdict struct {
	level    level
	word     string
	sentence string
	findings []finding // the worst first
}

// judge sums up s.
func judge(s Snapshot) verdict {
	v := verdict{word: "Working", sentence: calm(s)}
	down := []string{}
	for _, o := range s.Origins {
		found := o.findings(s.Time)
		if len(s.Origins) > 1 {
			for i := range found {
				found[i].origin = o.Name
			}
		}
		if o.Probe.State == ProbeDown {
			down = append(down, o.Name)
		}
		v.add(found...)
	}
	for _, n := range s.Notes {
		v.add(n.findings()...)
	}
	if v.level == warn {
		v.word = "Working, needs attention"
	}
	v.phase(s)
	switch {
	case !s.Live:
		v.level, v.word = bad, "Not working"
		v.sentence = "Clients connect and nobody accepts them; /livez?verbose says for how long. A restart cures that, and ends the sessions that are open."
	case len(down) > 0 && len(down) < len(s.Origins):
		v.word = "Partly down"
		v.sentence = fmt.Sprintf("%d of %d upstreams cannot be reached, or do not prove who they are: %s.", len(down), len(s.Origins), strings.Join(down, ", "))
	case len(down) > 0:
		v.word, v.sentence = "Not working", "No client gets through: the upstream cannot be reached, or does not prove who it is."
	}
	return v
}

// phase takes in that s has not started or was told to stop, and conditions that nothing else explains.
func (v *verdict) phase(s Snapshot) {
	switch {
	case s.Draining:
		open := 0
		for _, o := range s.Origins {
			open += o.Sessions.Open
		}
		v.word, v.sentence = "Stopping", "Told to stop. No session is open any more."
		if open > 0 {
			v.word, v.sentence = "Stopping", "Told to stop. "+count(open, "session")+" may finish: idle ones are ended, transactions go on until the deadline."
		}
		v.level = max(v.level, wait)
	case !s.Started:
		v.word, v.sentence = "Starting", "Not ready for clients yet."
		v.level = max(v.level, wait)
		v.unmet(s.Conditions, wait)
	case !s.Ready && v.level < bad:
		v.word, v.sentence = "Not ready", "New clients are better sent elsewhere; /readyz says so, too."
		v.unmet(s.Conditions, bad)
	}
}

// unmet adds the conditions that do not hold, unless an origin that is down says more about them.
func (v *verdict) unmet(conditions []Condition, l level) {
	for _, c := range conditions {
		if !c.OK && v.level < bad {
			v.add(finding{level: l, title: "Condition: " + c.Name, text: c.Reason})
		}
	}
}

func (v *verdict) add(found ...finding) {
	for _, f := range found {
		i := 0
		for i < len(v.findings) && v.findings[i].level >= f.level {
			i++
		}
		v.findings = append(v.findings[:i], append([]finding{f}, v.findings[i:]...)...)
		v.level = max(v.level, f.level)
	}
}

// calm is what there is to say of a process as long as nothing is wrong with it.
func calm(s Snapshot) string {
	untried := 0
	for _, o := range s.Origins {
		if o.Probe.State == ProbeUnknown {
			untried++
		}
	}
	switch {
	case untried > 0 && len(s.Origins) > 1:
		return fmt.Sprintf("Clients may connect. Nobody has needed %d of %d upstreams yet, so nothing is known of these.", untried, len(s.Origins))
	case untried > 0:
		return "Clients may connect. Nobody has needed the upstream yet, so nothing is known of it."
	case len(s.Origins) > 1:
		return fmt.Sprintf("Clients connect, and all %d upstreams have proved who they are.", len(s.Origins))
	}
	return "Clients connect, and the upstream has proved who it is."
}

// findings returns what n says, unless an origin says more about it.
func (n Note) findings() []finding {
	origin, name, named := strings.Cut(n.Name, "/")
	if !named {
		origin, name = "", n.Name
	}
	f := finding{level: warn, origin: origin, text: n.Text}
	switch name {
	case NoteUpstream, NoteKeyExchange:
		return nil
	case NoteCertificates:
		f.title = "New certificate files are refused"
	case NoteExpiry:
		f.title = "A certificate ends soon or has ended"
	default:
		f.title = name
	}
	return []finding{f}
}

// findings lists what is wrong with o.
func (o OriginSnapshot) findings(now time.Time) []finding {
	var found []finding
	reason := ""
	if p := o.Probe; p.Problem != nil {
		reason = p.Problem.Reason
		f := finding{
			title: "The last connection to the upstream failed", level: warn, text: p.Problem.Text, cure: p.Problem.Cure,
			times: all(text(reason+" at "), moment(now, p.LastTry)),
		}
		if p.State == ProbeDown {
			f.title, f.level = "No verified connection to the upstream", bad
			f.times = all(text(reason+" since "), moment(now, p.Since), text("; last tried "), moment(now, p.LastTry))
		}
		found = append(found, f)
	}
	for _, k := range o.KeyExchange {
		if k.Fallback != "" {
			found = append(found, finding{
				level: warn, title: "Key exchange with " + k.Address + " fell back", text: k.Cause, cure: k.Cure,
				times: all(text("tried again "), moment(now, k.Until)),
			})
		}
	}
	for _, f := range o.Failures {
		if now.Sub(f.Last) < recently && f.Reason != reason {
			found = append(found, finding{
				level: warn, title: "Recent failures", text: f.Text, cure: f.Cure,
				times: all(text(f.Reason+", "+times(f.Count)+", last at "), moment(now, f.Last)),
			})
		}
	}
	return found
}
