package health

import (
	"html"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPageText bounds one text on the page, in runes. Nothing that pgorigin says itself is that long.
const maxPageText = 1000

// markup is HTML as it stands. A constant becomes one by itself and a variable does not: what came from a certificate, a
// peer or the environment gets onto the page only through text and attr. TestNothingIsMadeMarkup keeps conversions out.
type markup string

// node is an element, an attribute of the element around it, a text, or a few of these in a row.
type node struct {
	tag    markup // of an element, with its classes: "p.lead"
	key    markup // of an attribute
	value  string // of an attribute or a text
	raw    markup
	inside []node
}

// el returns an element. Attributes come before everything else in it.
func el(tag markup, inside ...node) node { return node{tag: tag, inside: inside} }

// attr returns an attribute, whose value may come from anywhere as long as its key loads and runs nothing.
func attr(key markup, value string) node { return node{key: key, value: value} }

// text returns a text that may come from anywhere. What does not end is cut.
func text(s string) node {
	if utf8.RuneCountInString(s) > maxPageText {
		s = string([]rune(s)[:maxPageText]) + "…"
	}
	return node{value: s}
}

// foreign returns a text that somebody else has worded: should it be written from right to left, then not what is around it.
func foreign(s string) node { return el("bdi", text(s)) }

// all returns a few nodes as one.
func all(nodes ...node) node { return node{inside: nodes} }

// write renders n.
func (n node) write(out *strings.Builder) {
	switch {
	case n.tag != "":
		n.writeElement(out)
	case n.key != "":
		out.WriteString(" " + string(n.key) + `="` + escaped(n.value) + `"`)
	default:
		out.WriteString(string(n.raw) + escaped(n.value))
		for _, child := range n.inside {
			child.write(out)
		}
	}
}

func (n node) writeElement(out *strings.Builder) {
	name, classes, _ := strings.Cut(string(n.tag), ".")
	out.WriteString("<" + name)
	if classes != "" {
		out.WriteString(` class="` + strings.ReplaceAll(classes, ".", " ") + `"`)
	}
	rest := n.inside
	for len(rest) > 0 && rest[0].key != "" {
		rest[0].write(out)
		rest = rest[1:]
	}
	if name == "meta" { // the one in use that has neither contents nor an end
		out.WriteString("/>")
	} else {
		out.WriteString(">")
		all(rest...).write(out)
		out.WriteString("</" + name + ">")
	}
	switch name {
	case "a", "b", "bdi", "code", "small", "span", "strong", "time":
	default:
		out.WriteString("\n") // for who reads the source, and between words for who reads without CSS
	}
}

// escaped makes s a text, in an element or in quotes. What cannot be seen, such as control characters and those that turn
// the direction of writing, becomes a visible sign.
func escaped(s string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s))
}
