package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/stacks"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// clients prints the stacks that cannot connect, by cause, and how many can.
func (p printer) clients(a *Address) {
	c := a.Clients
	title := "TLS stacks of applications at " + a.Address + ", without pgorigin, if they trust its authority"
	if !c.Verified {
		title += " (the certificates were not verified here)"
	}
	fmt.Fprintln(p.w)
	p.paragraph(0, title+":")
	fails := 0
	for i := range c.Stacks {
		if k := &c.Stacks[i]; k.Verdict == stacks.Fails && k.Reasons[0].Cause != stacks.Always {
			fails++
		}
	}
	for _, t := range c.Traits {
		p.brokenBy(c, t)
	}
	p.paragraph(2, c.summary(fails))
	if fails > 0 {
		p.paragraph(2, throughPgorigin(a))
	}
	if a.failed == diagnose.StageClientCertificate {
		p.paragraph(2, "The server demands a client certificate, so each application needs one of its own.")
	}
	for i := range c.Stacks {
		if k := &c.Stacks[i]; len(k.Reasons) > 0 && k.Reasons[0].Cause == stacks.Always {
			p.paragraph(2, fmt.Sprintf("%s fails with every server: %q, %s.",
				titles([]*ClientStack{k}), k.Reasons[0].Words, k.Reasons[0].Evidence))
		}
	}
}

// brokenBy prints the stacks that a trait breaks, those with the same words together. It prints nothing if
// there are none.
func (p printer) brokenBy(c *Clients, t stacks.Trait) {
	var lines []string
	versions := map[string][]string{}
	for i := range c.Stacks {
		k := &c.Stacks[i]
		for _, r := range k.Reasons {
			if k.Verdict != stacks.Fails || r.Cause != t.Cause {
				continue
			}
			line := fmt.Sprintf("%s %%s (%s): %q, %s", k.Stack, k.Drivers, r.Words, r.Evidence)
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
			versions[line] = append(versions[line], k.Versions)
		}
	}
	if lines == nil {
		return
	}
	p.paragraph(2, strings.ToUpper(t.Text[:1])+t.Text[1:]+". These cannot connect:")
	for _, line := range lines {
		line = strings.Replace(line, "%s", strings.Join(versions[line], ", "), 1)
		p.paragraph(4, strings.NewReplacer("  (", " (", ` "",`, "").Replace(line))
	}
}

// titles names stacks, the versions of one together.
func titles(all []*ClientStack) string {
	var names []string
	versions := map[string][]string{}
	for _, k := range all {
		if !slices.Contains(names, k.Stack) {
			names = append(names, k.Stack)
		}
		versions[k.Stack] = append(versions[k.Stack], k.Versions)
	}
	for i, name := range names {
		names[i] = strings.TrimSpace(name + " " + strings.Join(versions[name], ", "))
	}
	return strings.Join(names, "; ")
}

// summary says how many stacks connect, and of which that is not known.
func (c *Clients) summary(fails int) string {
	var unknown []*ClientStack
	all := 0
	for i := range c.Stacks {
		k := &c.Stacks[i]
		if k.Verdict == stacks.Unknown {
			unknown = append(unknown, k)
		}
		if len(k.Reasons) == 0 || k.Reasons[0].Cause != stacks.Always {
			all++
		}
	}
	connect := all - fails - len(unknown)
	if fails == 0 && connect == 0 && len(unknown) > 0 {
		return "Nothing is known of other stacks: " + unknown[0].Reasons[0].Text + "."
	}
	text := fmt.Sprintf("All %d known stacks connect.", all)
	switch {
	case fails > 0:
		text = fmt.Sprintf("%d of %d known stacks connect.", connect, all)
	case len(unknown) > 0:
		text = fmt.Sprintf("%d of %d known stacks connect, and none is known to fail.", connect, all)
	}
	if len(unknown) > 0 {
		text += " Not known: " + titles(unknown) + "."
	}
	return text
}

// throughPgorigin says what pgorigin changes.
func throughPgorigin(a *Address) string {
	if a.verified() {
		return "Through pgorigin, all of them connect."
	}
	return "pgorigin does not connect with these settings either. The first failing stage says why."
}

// paragraph writes text with an indent, and its further lines with two columns more.
func (p printer) paragraph(indent int, text string) {
	for i, line := range safetext.Wrap(text, safetext.Columns-indent-2) {
		if i > 0 {
			line = "  " + line
		}
		fmt.Fprintf(p.w, "%*s%s\n", indent, "", line)
	}
}
