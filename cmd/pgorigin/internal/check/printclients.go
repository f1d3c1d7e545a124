package check

import (
	"fmt"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/stacks"
)

// clients prints the stacks that cannot connect, by cause, and how many can.
func (p printer) clients(a *Address) {
	c := a.Clients
	title := "TLS stacks of applications at " + a.Address + ", without pgorigin"
	if !c.Verified {
		title += " (its certificate was not verified)"
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
	for i := range c.Stacks {
		if k := &c.Stacks[i]; len(k.Reasons) > 0 && k.Reasons[0].Cause == stacks.Always {
			p.paragraph(2, fmt.Sprintf("Whatever the server is, %s fails: %q, %s.",
				k.title(), k.Reasons[0].Words, k.Reasons[0].Evidence))
		}
	}
}

// brokenBy prints the stacks that a trait breaks. It prints nothing if there are none.
func (p printer) brokenBy(c *Clients, t ClientTrait) {
	head := t.Text
	for i := range c.Stacks {
		k := &c.Stacks[i]
		for _, r := range k.Reasons {
			if k.Verdict != stacks.Fails || r.Cause != t.Cause {
				continue
			}
			if head != "" {
				p.paragraph(2, strings.ToUpper(head[:1])+head[1:]+". These cannot connect:")
				head = ""
			}
			text := fmt.Sprintf("%s (%s): ", k.title(), k.Drivers)
			if r.Words != "" {
				text += fmt.Sprintf("%q, ", r.Words)
			}
			p.paragraph(4, text+r.Evidence)
		}
	}
}

func (k *ClientStack) title() string { return strings.TrimSpace(k.Stack + " " + k.Versions) }

// summary says how many stacks connect, and of which that is not known.
func (c *Clients) summary(fails int) string {
	var unknown []string
	all := 0
	for i := range c.Stacks {
		k := &c.Stacks[i]
		if k.Verdict == stacks.Unknown {
			unknown = append(unknown, k.title())
		}
		if len(k.Reasons) == 0 || k.Reasons[0].Cause != stacks.Always {
			all++
		}
	}
	connect := all - fails - len(unknown)
	text := fmt.Sprintf("All %d known stacks connect.", all)
	switch {
	case fails > 0:
		text = fmt.Sprintf("%d of %d known stacks connect.", connect, all)
	case len(unknown) > 0:
		text = fmt.Sprintf("%d of %d known stacks connect, and none is known to fail.", connect, all)
	}
	if len(unknown) > 0 {
		text += " Not known: " + strings.Join(unknown, "; ") + "."
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
