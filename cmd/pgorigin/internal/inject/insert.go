package inject

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// place says where in a block mapping a new key goes: above the key before, else below the key after, else
// above the first key.
type place struct{ before, after string }

// emptyMark follows a key whose value was null. The text after it is how null was written, so that uninject
// can restore it.
const emptyMark = " # pgorigin: was"

// add merges members into a mapping. It adds missing keys, puts items at the head of a list, and merges
// mappings. The source itself does not change.
func (e *edits) add(mapping, members *yaml.Node, where place) error {
	absent := object()
	for i := range entries(members) {
		m := entryAt(members, i)
		present := child(mapping, m.first.Value)
		if present == nil {
			absent.Content = append(absent.Content, m.first, m.value)
			continue
		}
		if err := e.addTo(mapping, present, m); err != nil {
			return err
		}
	}
	switch {
	case entries(absent) == 0:
		return nil
	case child(mapping, "<<") != nil:
		return e.refuse(mapping, "has a merge key, which may bring "+absent.Content[0].Value)
	}
	if err := e.checkNotShared(mapping); err != nil {
		return err
	}
	if mapping.Style&yaml.FlowStyle == 0 {
		return e.addLines(mapping, blockLines(absent), where)
	}
	var texts []string
	for i := range entries(absent) {
		one := entryAt(absent, i)
		texts = append(texts, toJSON(one.first)+": "+toJSON(one.value))
	}
	return e.addFlow(mapping, texts)
}

// addTo merges the value of m into the value that is there.
func (e *edits) addTo(mapping, present *yaml.Node, m entry) error {
	switch {
	case m.value.Kind == yaml.SequenceNode && present.Kind == yaml.SequenceNode:
		return e.addItems(present, m.value)
	case m.value.Kind == yaml.MappingNode && present.Kind == yaml.MappingNode:
		return e.add(present, m.value, place{})
	case present.Kind == yaml.AliasNode:
		return e.refuse(present, m.first.Value+" is an alias")
	case mapping.Style&yaml.FlowStyle != 0:
		return e.refuse(present, m.first.Value+" is null in flow style")
	}
	return e.addToNull(mapping, present, m)
}

// addItems puts items at the head of a list.
func (e *edits) addItems(list, items *yaml.Node) error {
	if err := e.checkNotShared(list); err != nil {
		return err
	}
	if list.Style&yaml.FlowStyle != 0 {
		var texts []string
		for _, item := range items.Content {
			texts = append(texts, toJSON(item))
		}
		return e.addFlow(list, texts)
	}
	dash, err := e.start(list)
	if err != nil {
		return err
	}
	if e.text[dash] != '-' || !e.isIndented(dash) {
		return e.refuse(list, "does not begin with a dash on a line of its own")
	}
	e.insertLines(e.aboveComments(dash, false), dash, blockLines(items))
	return nil
}

// addFlow puts texts after the opening bracket. If the collection was empty, it leaves a space there. It
// tells uninject to leave an empty collection.
func (e *edits) addFlow(n *yaml.Node, texts []string) error {
	bracket, err := e.start(n)
	if err != nil {
		return err
	}
	if c := e.text[bracket]; c != '{' && c != '[' {
		return e.refuse(n, "has an anchor or a tag")
	}
	if len(n.Content) == 0 {
		e.insert(bracket+1, " "+strings.Join(texts, ", "))
		return nil
	}
	first, err := e.start(n.Content[0])
	if err != nil {
		return err
	}
	e.insert(first, strings.Join(texts, ", ")+", ")
	return nil
}

// addLines puts lines into a block mapping.
func (e *edits) addLines(mapping *yaml.Node, lines []string, where place) error {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		start, err := e.start(key)
		if err != nil {
			return err
		}
		switch {
		case key.Value == where.before && e.isIndented(start):
			e.insertLines(e.aboveComments(start, i > 0), start, lines)
			return nil
		case key.Value == where.after:
			if end, err := e.end(value); err == nil {
				e.insertBelow(end, key.Column-1, lines)
				return nil
			}
		}
	}
	start, err := e.start(mapping.Content[0])
	if err != nil {
		return err
	}
	if e.isIndented(start) {
		e.insertLines(e.aboveComments(start, false), start, lines)
		return nil
	}
	// The mapping begins after a dash. The lines go there, and the former first key goes below them.
	between := e.newline() + strings.Repeat(" ", mapping.Column-1)
	e.insert(start, strings.Join(lines, between)+between)
	return nil
}

// addToNull gives a value to a key without one, in the lines below the key.
func (e *edits) addToNull(mapping, null *yaml.Node, m entry) error {
	if err := e.checkNotShared(mapping); err != nil {
		return err
	}
	i := slices.Index(mapping.Content, null)
	colon, err := e.end(mapping.Content[i-1])
	if err != nil {
		return err
	}
	end := colon + 1
	if null.Value != "" {
		if end, err = e.end(null); err != nil {
			return err
		}
	}
	plain := null.Tag == "!!null" && null.Anchor == "" && e.text[colon] == ':'
	if !plain || bytes.ContainsAny(e.text[colon:end], "\r\n") {
		return e.refuse(null, "has no value, in a way that cannot be edited")
	}
	was := string(e.text[colon+1 : end])
	if was == "" {
		was = " empty"
	}
	e.replace(colon+1, end, emptyMark+was)
	column := mapping.Column - 1
	if m.value.Kind == yaml.MappingNode {
		column += 2
	}
	e.insertBelow(end, column, blockLines(m.value))
	return nil
}

// insertLines puts lines at the offset at, with the indentation of the line of the offset like.
func (e *edits) insertLines(at, like int, lines []string) {
	margin := strings.Repeat(" ", like-e.lines[e.lineOf(like)])
	var out strings.Builder
	for _, line := range lines {
		out.WriteString(margin + line + e.newline())
	}
	e.insert(at, out.String())
}

// insertBelow puts lines below the line of the offset. If that is the last line and has no line break, the
// new last line has none either.
func (e *edits) insertBelow(offset, column int, lines []string) {
	next := e.lines[min(e.lineOf(offset)+1, len(e.lines)-1)]
	text := strings.Join(indent(strings.Repeat(" ", column), strings.Repeat(" ", column), lines), e.newline())
	if next == len(e.text) && !bytes.HasSuffix(e.text, []byte("\n")) {
		e.insert(next, e.newline()+text)
		return
	}
	e.insert(next, text+e.newline())
}

// aboveComments returns the start of the line of the offset, or of the comments directly above it. With
// sameColumn, a comment must begin in the same column: another one may be part of a text above.
func (e *edits) aboveComments(offset int, sameColumn bool) int {
	line := e.lineOf(offset)
	column := offset - e.lines[line]
	for line > 0 {
		above := firstLine(e.text[e.lines[line-1]:e.lines[line]])
		comment := bytes.TrimLeft(above, " ")
		if !bytes.HasPrefix(comment, []byte("#")) || sameColumn && len(above)-len(comment) != column {
			break
		}
		line--
	}
	return e.lines[line]
}

// checkNotShared refuses a node that an alias uses, too.
func (e *edits) checkNotShared(n *yaml.Node) error {
	if e.shared[n] {
		return e.refuse(n, "is used in more than one place through an anchor")
	}
	return nil
}

func (e *edits) refuse(n *yaml.Node, what string) error {
	return fmt.Errorf("line %d: %s; write it out in full", n.Line, what)
}
