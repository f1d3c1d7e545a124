package check

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// labelColumns is the width of a label and the blank after it.
const labelColumns = 19

// write writes the report, as JSON or for people.
func (r *Report) write(p cli.Process, asJSON bool) error {
	if asJSON {
		return encodeJSON(p.Stdout, r)
	}
	out := newPrinter(p.Stdout, p.Env)
	for i := range r.Stages {
		out.stage(branch{}, &r.Stages[i])
	}
	for i := range r.Upstreams {
		out.upstream(&r.Upstreams[i])
	}
	for i := range r.Upstreams {
		for j := range r.Upstreams[i].Addresses {
			if a := &r.Upstreams[i].Addresses[j]; a.Clients != nil {
				out.clients(a)
			}
		}
	}
	for i := range r.Sessions {
		out.sessionsLine(&r.Sessions[i])
	}
	for _, w := range r.Warnings {
		out.line(branch{}, resultWarning, "warning", w)
	}
	out.conclusion(r)
	return nil
}

func encodeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// printer writes a report for people: with branches and marks on a terminal, with words in a pipe.
type printer struct {
	w             io.Writer
	drawn, colour bool
}

func newPrinter(w io.Writer, env []string) printer {
	terminal := host.IsTerminal(w)
	colour := host.WantsColour(terminal, env)
	return printer{w: w, drawn: colour || terminal && host.Getenv(env, "TERM") != "dumb", colour: colour}
}

// branch is the text before the first line of an entry, and of the lines below it.
type branch struct{ first, rest string }

// below returns the branch of an entry below that of b.
func (p printer) below(b branch, last bool) branch {
	switch {
	case !p.drawn:
		return branch{b.rest + "  ", b.rest + "  "}
	case last:
		return branch{b.rest + "└─ ", b.rest + "   "}
	}
	return branch{b.rest + "├─ ", b.rest + "│  "}
}

func (p printer) upstream(u *Upstream) {
	label := "upstream " + u.Upstream
	if u.Origin != config.DefaultOrigin {
		label = "origin " + u.Origin + ", " + label
	}
	p.line(branch{}, "", label, "")
	p.stage(p.below(branch{}, len(u.Addresses) == 0), &u.DNS)
	for i := range u.Addresses {
		p.address(p.below(branch{}, i == len(u.Addresses)-1), &u.Addresses[i])
	}
}

func (p printer) address(at branch, a *Address) {
	p.line(at, "", "address "+a.Address, "")
	for i := range a.Stages {
		stage := p.below(at, i == len(a.Stages)-1 && len(a.Trials) == 0)
		p.stage(stage, &a.Stages[i])
		switch {
		case a.Stages[i].Stage == diagnose.StageChain && a.Chain != nil:
			p.chain(stage, a.Chain)
		case a.Stages[i].Stage == diagnose.StageKeyExchange:
			for j := range a.KeyExchange {
				row := &a.KeyExchange[j]
				p.line(p.below(stage, j == len(a.KeyExchange)-1), "", row.Offered, row.text())
			}
		}
	}
	p.trials(at, a.Trials)
}

// trials lists what was tried after a failure.
func (p printer) trials(at branch, trials []Trial) {
	if len(trials) == 0 {
		return
	}
	heading := p.below(at, true)
	p.line(heading, "", "tried, one change at a time", "")
	for i := range trials {
		t := &trials[i]
		text := t.Change
		if t.Reason != "" {
			text += ": " + t.Reason
		}
		p.line(p.below(heading, i == len(trials)-1), "", t.Outcome, text)
	}
}

func (p printer) stage(at branch, s *Stage) {
	text := s.Text
	switch {
	case s.Reason != "":
		text = s.Reason + ": " + text
	case s.Milliseconds != nil && s.Result != resultSkipped:
		text = strings.TrimSuffix(inMilliseconds(*s.Milliseconds)+", "+text, ", ")
	}
	p.line(at, s.Result, string(s.Stage), text)
}

// chain lists the certificates from the authority down to the upstream's own. Those outside the chain follow.
func (p printer) chain(at branch, c *Chain) {
	type entry struct{ label, text string }
	var entries []entry
	if first := &c.Certificates[0]; !c.Verified && first.Issuer != first.Subject {
		entries = append(entries, entry{first.Issuer, "not sent"})
	}
	for i := range c.Certificates {
		role := ""
		if i == 0 && c.Verified {
			role = "trust anchor, "
		}
		entries = append(entries, entry{c.Certificates[i].Subject, certificateText(&c.Certificates[i], role)})
	}
	for i := range c.Unused {
		unused := &c.Unused[i]
		entries = append(entries, entry{unused.Subject, certificateText(unused, "no part of the chain, ")})
	}
	for i, e := range entries {
		p.line(p.below(at, i == len(entries)-1), "", e.label, e.text)
	}
}

func certificateText(c *tlsorigin.PeerCertificate, role string) string {
	sent := "sent"
	if !c.Sent {
		sent = "not sent"
	}
	return fmt.Sprintf("%s, %s, %s, %s, %sSHA-256 %s",
		c.Key, c.SignatureAlgorithm, daysLeft(c.DaysLeft), sent, role, c.SHA256)
}

// daysLeft says when a certificate ends or has ended.
func daysLeft(n int) string {
	switch {
	case n < 0:
		return "ended " + counted(-n, "day") + " ago"
	case n == 0:
		return "less than a day left"
	}
	return counted(n, "day") + " left"
}

// counted returns "1 day", "2 days" and the like.
func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

func (k *KeyExchange) text() string {
	text := fmt.Sprintf("%-9s", k.Outcome)
	if k.ClientHello > 0 {
		text += fmt.Sprintf(" hello %4d bytes, %8s", k.ClientHello, inMilliseconds(k.Milliseconds))
	}
	switch {
	case k.Outcome == string(diagnose.TrialWorks) && k.HelloRetryRequest:
		text += ", " + k.Group + " after a HelloRetryRequest"
	case k.Outcome == string(diagnose.TrialWorks):
		text += ", " + k.Group
	case k.Reason != "":
		text += ", " + k.Reason
	}
	return text
}

// line writes one entry, in as many lines as it takes. An empty result is for headings and details.
func (p printer) line(at branch, result, label, text string) {
	mark := p.mark(result)
	indent := utf8.RuneCountInString(mark)
	room := safetext.Columns - utf8.RuneCountInString(at.first) - indent
	mark = p.paint(result, mark)
	hanging := indent + labelColumns
	lines := []string{strings.TrimRight(fmt.Sprintf("%-*s %s", labelColumns-1, label, text), " ")}
	if utf8.RuneCountInString(lines[0]) > room {
		lines = safetext.Wrap(text, room-labelColumns)
		if utf8.RuneCountInString(label) < labelColumns && longestWord(text) <= room-labelColumns {
			lines[0] = fmt.Sprintf("%-*s%s", labelColumns, label, lines[0])
		} else { // too long for one line
			hanging = indent + 2
			lines = slices.Concat(safetext.Wrap(label, room), safetext.Wrap(text, room-2))
		}
	}
	for i, line := range lines {
		if i == 0 {
			fmt.Fprintf(p.w, "%s%s%s\n", at.first, mark, line)
		} else {
			fmt.Fprintf(p.w, "%s%*s%s\n", at.rest, hanging, "", line)
		}
	}
}

func longestWord(text string) int {
	longest := 0
	for word := range strings.FieldsSeq(text) {
		longest = max(longest, utf8.RuneCountInString(word))
	}
	return longest
}

// mark returns the sign of a result. All signs of one style have the same width.
func (p printer) mark(result string) string {
	if p.drawn {
		return map[string]string{
			resultOK: "✓ ", resultWarning: "! ", resultFailed: "✗ ", resultSkipped: "- ",
		}[result]
	}
	return map[string]string{
		resultOK: "ok   ", resultWarning: "WARN ", resultFailed: "FAIL ", resultSkipped: "-    ",
	}[result]
}

// paint colours text by a result.
func (p printer) paint(result, text string) string {
	colour := map[string]string{resultOK: "32", resultWarning: "33", resultFailed: "31"}[result]
	if !p.colour || colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// conclusion ends the report. Problems of the configuration follow on stderr, as those of run do.
func (p printer) conclusion(r *Report) {
	fmt.Fprintf(p.w, "\n")
	if r.Failed != nil {
		p.failure(resultFailed, "first failing stage", r.Failed)
		for _, line := range safetext.Wrap(r.waitText(r.Failed), safetext.Columns) {
			fmt.Fprintf(p.w, "%s\n", line)
		}
		return
	}
	result, text := resultOK, "all good"
	if n := r.warnings(); n > 0 {
		result, text = resultWarning, "works, with "+counted(n, "warning")
	}
	fmt.Fprintf(p.w, "%s\n", p.paint(result, text))
	if !r.loggedIn() {
		fmt.Fprintf(p.w, "No login was tested: check --login tests one.\n")
	}
	for i := range r.Degraded {
		p.failure(resultWarning, "warning", &r.Degraded[i])
	}
}

// failure prints a failing stage with its cure. If it is only a warning, a client gets a connection.
func (p printer) failure(result, head string, f *Failure) {
	head += ": " + string(f.Stage)
	if f.Upstream != "" {
		head += " of " + f.Upstream
	}
	if f.Address != "" && f.Address != f.Upstream {
		head += " (" + f.Address + ")"
	}
	if f.Origin != "" && f.Origin != config.DefaultOrigin {
		head += ", origin " + f.Origin
	}
	for _, line := range safetext.Wrap(head, safetext.Columns) {
		fmt.Fprintf(p.w, "%s\n", p.paint(result, line))
	}
	if f.Reason != "" {
		fmt.Fprintf(p.w, "reason: %s\n", f.Reason)
	}
	lines := safetext.Wrap(f.Text, safetext.Columns)
	if f.Cure != "" {
		lines = append(lines, safetext.Wrap("cure: "+f.Cure, safetext.Columns)...)
	}
	for _, line := range lines {
		fmt.Fprintf(p.w, "%s\n", line)
	}
}
