package check

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
)

// node is one line of the tree that check prints.
type node struct {
	result   string // of a stage; empty for a heading
	label    string
	text     string
	children []*node
}

func (n *node) add(children ...*node) *node {
	n.children = append(n.children, children...)
	return n
}

// treeStyle is how a tree looks: with lines and marks on a terminal, plain words in a pipe.
type treeStyle struct{ drawn, colour bool }

func newTreeStyle(w io.Writer, env []string) treeStyle {
	terminal := host.IsTerminal(w)
	colour := host.WantsColour(terminal, env)
	return treeStyle{drawn: colour || terminal && host.Lookup(env, "TERM") != "dumb", colour: colour}
}

// mark returns the sign of a result, each of the same width.
func (s treeStyle) mark(result string) string {
	if !s.drawn {
		return map[string]string{
			resultOK: "ok   ", resultWarning: "WARN ", resultFailed: "FAIL ", resultSkipped: "-    ",
		}[result]
	}
	sign := map[string]string{resultOK: "✓ ", resultWarning: "! ", resultFailed: "✗ ", resultSkipped: "- "}[result]
	return s.paint(result, sign)
}

// paint colours text by a result.
func (s treeStyle) paint(result, text string) string {
	colour := map[string]string{resultOK: "32", resultWarning: "33", resultFailed: "31"}[result]
	if !s.colour || colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// write writes n and what is below it; first is in front of its own line, rest in front of those below.
func (s treeStyle) write(w io.Writer, n *node, first, rest string) {
	line := n.label
	if n.text != "" {
		line = fmt.Sprintf("%-18s %s", n.label, n.text)
	}
	fmt.Fprintf(w, "%s%s%s\n", first, s.mark(n.result), line)
	for i, child := range n.children {
		fork, below := "  ", "  "
		if s.drawn {
			fork, below = "├─ ", "│  "
			if i == len(n.children)-1 {
				fork, below = "└─ ", "   "
			}
		}
		s.write(w, child, rest+fork, rest+below)
	}
}

// write writes the report, as JSON or for people.
func (r *Report) write(p cli.Process, asJSON bool) error {
	if asJSON {
		return encodeJSON(p.Stdout, r)
	}
	style := newTreeStyle(p.Stdout, p.Env)
	for i := range r.Stages {
		style.write(p.Stdout, r.Stages[i].node(), "", "")
	}
	for i := range r.Upstreams {
		style.write(p.Stdout, r.Upstreams[i].node(), "", "")
	}
	for _, w := range r.Warnings {
		style.write(p.Stdout, &node{resultWarning, "warning", w, nil}, "", "")
	}
	r.writeVerdict(p.Stdout, style)
	return nil
}

// writeVerdict ends the report for people. Problems of the configuration follow on stderr, as run reports them.
func (r *Report) writeVerdict(w io.Writer, style treeStyle) {
	fmt.Fprintf(w, "\n")
	if r.Failed == nil {
		fmt.Fprintf(w, "%s\n", style.paint(resultOK, "all good"))
		return
	}
	f := r.Failed
	head := "first failing stage: " + f.Stage
	if f.Upstream != "" {
		head += " of " + f.Upstream
	}
	if f.Address != "" && f.Address != f.Upstream {
		head += " (" + f.Address + ")"
	}
	if f.Origin != "" && f.Origin != config.DefaultOrigin {
		head += ", origin " + f.Origin
	}
	fmt.Fprintf(w, "%s\n", style.paint(resultFailed, head))
	if f.Reason != "" {
		fmt.Fprintf(w, "reason: %s\n", f.Reason)
	}
	fmt.Fprintf(w, "%s\n", f.Text)
	if f.Cure != "" {
		fmt.Fprintf(w, "cure: %s\n", f.Cure)
	}
}

func (s *Stage) node() *node {
	text := s.Text
	if s.Milliseconds != nil && s.Result != resultSkipped {
		text = strings.TrimSuffix(inMilliseconds(*s.Milliseconds)+", "+text, ", ")
	}
	if s.Reason != "" {
		text = s.Reason + ": " + s.Text
	}
	return &node{result: s.Result, label: s.Stage, text: text}
}

func (u *Upstream) node() *node {
	label := "upstream " + u.Upstream
	if u.Origin != config.DefaultOrigin {
		label = "origin " + u.Origin + ", " + label
	}
	top := (&node{label: label}).add(u.DNS.node())
	for i := range u.Addresses {
		top.add(u.Addresses[i].node())
	}
	return top
}

func (a *Address) node() *node {
	top := &node{label: "address " + a.Address}
	for i := range a.Stages {
		n := a.Stages[i].node()
		switch {
		case n.label == "chain" && a.Chain != nil:
			n.add(a.Chain.nodes()...)
		case n.label == "key_exchange":
			for j := range a.KeyExchange {
				n.add(a.KeyExchange[j].node())
			}
		}
		top.add(n)
	}
	return top
}

// nodes are the chain from the authority down, each certificate below its issuer, then what was sent besides.
func (c *Chain) nodes() []*node {
	var tops []*node
	var parent *node
	for i := range c.Certificates {
		n := c.Certificates[i].node()
		switch {
		case i > 0:
			parent.add(n)
		case c.Verified:
			n.text += ", trust anchor"
			tops = append(tops, n)
		case c.Certificates[i].Issuer != c.Certificates[i].Subject:
			tops = append(tops, (&node{label: c.Certificates[i].Issuer, text: "not sent"}).add(n))
		default:
			tops = append(tops, n)
		}
		parent = n
	}
	for i := range c.Unused {
		n := c.Unused[i].node()
		n.text += ", no part of the chain"
		tops = append(tops, n)
	}
	return tops
}

func (c *Certificate) node() *node {
	sent := "sent"
	if !c.Sent {
		sent = "not sent"
	}
	return &node{label: c.Subject, text: fmt.Sprintf("%s, %s, %s left, %s, SHA-256 %s", c.Key, c.SignatureAlgorithm, days(c.DaysLeft), sent, c.SHA256)}
}

func (k *KeyExchange) node() *node {
	text := fmt.Sprintf("%-9s", k.Outcome)
	if k.ClientHello > 0 {
		text += fmt.Sprintf(" hello %4d bytes, %8s", k.ClientHello, inMilliseconds(k.Milliseconds))
	}
	switch {
	case k.Outcome == "works" && k.HelloRetryRequest:
		text += ", " + k.Group + " after a HelloRetryRequest"
	case k.Outcome == "works":
		text += ", " + k.Group
	case k.Reason != "":
		text += ", " + k.Reason
	}
	return &node{label: k.Offered, text: text}
}

func encodeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
