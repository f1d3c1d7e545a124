package inject

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// source is a YAML stream: its text, and a tree for each document. The nodes know line and column.
type source struct {
	text      []byte
	documents []*yaml.Node
	lines     []int // offset of each line's first byte, and of the end
}

// parse reads a stream of YAML or JSON. The error names the wrong line.
func parse(text []byte) (*source, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("the text is not UTF-8")
	}
	s := &source{text: text, lines: lineStarts(text)}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		document := new(yaml.Node)
		err := decoder.Decode(document)
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", len(s.documents)+1, err)
		}
		s.documents = append(s.documents, document)
	}
}

// lineStarts splits text as YAML 1.1 does, and with it the parser's line numbers. YAML 1.1 knows three line
// breaks outside ASCII.
func lineStarts(text []byte) []int {
	starts := []int{0}
	if bytes.HasPrefix(text, []byte("\ufeff")) {
		starts[0] = len("\ufeff") // a byte order mark has no column
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		i += size
		switch r {
		case '\r':
			if i < len(text) && text[i] == '\n' {
				i++
			}
			starts = append(starts, i)
		case '\n', '\u0085', '\u2028', '\u2029':
			starts = append(starts, i)
		}
	}
	return append(starts, len(text))
}

// newline returns the line break of the first line.
func (s *source) newline() string {
	if i := bytes.IndexByte(s.text, '\n'); i > 0 && s.text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// start returns the offset of a node.
func (s *source) start(n *yaml.Node) (int, error) {
	if n.Line < 1 || n.Line >= len(s.lines) {
		return 0, fmt.Errorf("line %d is not there", n.Line)
	}
	offset, end := s.lines[n.Line-1], s.lines[n.Line]
	for range n.Column - 1 {
		if offset >= end {
			return 0, fmt.Errorf("line %d is too short", n.Line)
		}
		_, size := utf8.DecodeRune(s.text[offset:end])
		offset += size
	}
	return offset, nil
}

// end returns the offset after a node. Nodes do not know their end. end finds it for what inject writes and
// for usual YAML around it, and returns an error for the rest.
func (s *source) end(n *yaml.Node) (int, error) {
	start, err := s.start(n)
	if err != nil {
		return 0, err
	}
	unclear := fmt.Errorf(
		"line %d: it is not clear where this ends; write it on one line, without an anchor or tag", n.Line)
	rest := s.text[start:]
	if n.Kind == yaml.ScalarNode || n.Kind == yaml.AliasNode {
		length, ok := scalarLength(n, rest)
		if !ok {
			return 0, unclear
		}
		return start + length, nil
	}
	last := start + 1 // after the bracket of an empty collection
	if len(n.Content) > 0 {
		if last, err = s.end(n.Content[len(n.Content)-1]); err != nil {
			return 0, err
		}
	}
	if n.Style&yaml.FlowStyle == 0 {
		return last, nil
	}
	for last < len(s.text) {
		switch c := s.text[last]; {
		case c == '}' || c == ']':
			return last + 1, nil
		case c == '#':
			last += len(firstLine(s.text[last:]))
		case strings.IndexByte(" \t\r\n,", c) >= 0:
			last++
		default:
			return 0, unclear
		}
	}
	return 0, unclear
}

// scalarLength returns the length of the scalar or alias at the start of rest.
func scalarLength(n *yaml.Node, rest []byte) (int, bool) {
	switch {
	case n.Kind == yaml.AliasNode:
		return len(n.Value) + 1, bytes.HasPrefix(rest, []byte("*"+n.Value))
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return 0, false
	case bytes.HasPrefix(rest, []byte(`"`)):
		for i := 1; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				return i + 1, true
			}
		}
		return 0, false
	case bytes.HasPrefix(rest, []byte("'")):
		for i := 1; i < len(rest); i++ {
			if rest[i] != '\'' {
				continue
			}
			if i+1 == len(rest) || rest[i+1] != '\'' {
				return i + 1, true
			}
			i++
		}
		return 0, false
	}
	return len(n.Value), bytes.HasPrefix(rest, []byte(n.Value))
}

// firstLine returns the text up to the first line break.
func firstLine(text []byte) []byte {
	if i := bytes.IndexAny(text, "\r\n"); i >= 0 {
		return text[:i]
	}
	return text
}

// lineOf returns the index of the line of an offset.
func (s *source) lineOf(offset int) int {
	i, found := slices.BinarySearch(s.lines[:len(s.lines)-1], offset)
	if !found {
		i--
	}
	return max(i, 0)
}

// isIndented reports whether only spaces stand between the start of the line and the offset.
func (s *source) isIndented(offset int) bool {
	return len(bytes.Trim(s.text[s.lines[s.lineOf(offset)]:offset], " ")) == 0
}

// nodes is a set of nodes of a source: items of lists, and values of mappings.
type nodes map[*yaml.Node]bool

// entry is an item of a list, or a key of a mapping with its value.
type entry struct {
	first, value *yaml.Node // first is where it begins
}

// entriesOf returns nil for a node that is not a collection.
func entriesOf(n *yaml.Node) []entry {
	var entries []entry
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			entries = append(entries, entry{n.Content[i], n.Content[i+1]})
		}
		return entries
	}
	for _, item := range n.Content {
		entries = append(entries, entry{item, item})
	}
	return entries
}
