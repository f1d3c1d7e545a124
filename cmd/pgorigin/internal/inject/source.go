package inject

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// source is a text with YAML documents, and a tree for each. The nodes know line and column.
type source struct {
	text      []byte
	at        position // in the stream
	documents []*yaml.Node
	lines     []int   // offset of each line's first byte, and of the end; by newEdits
	runes     []int32 // offset of each character, and of the end; by newEdits
}

// syntaxError matches the line in an error of the YAML library.
var syntaxError = regexp.MustCompile(`^yaml: line ([0-9]+): `)

// parse reads YAML or JSON. The error names the wrong document and line, as do the nodes.
func parse(text []byte, at position) (*source, error) {
	s := &source{text: text, at: at}
	if !utf8.Valid(text) {
		return nil, errors.New("the text is not UTF-8")
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		document := new(yaml.Node)
		err := decoder.Decode(document)
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", at.documents+len(s.documents)+1, s.inStream(err))
		}
		moveDown(document, at.lines)
		s.documents = append(s.documents, document)
	}
}

// inStream corrects the line in an error of the YAML library.
func (s *source) inStream(err error) error {
	found := syntaxError.FindStringSubmatch(err.Error())
	if found == nil {
		return err
	}
	line, _ := strconv.Atoi(found[1]) // digits
	return fmt.Errorf("line %d: %s", s.at.lines+line, err.Error()[len(found[0]):])
}

// moveDown adds to the line of each node.
func moveDown(n *yaml.Node, lines int) {
	n.Line += lines
	for _, inner := range n.Content {
		moveDown(inner, lines)
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

// index makes start fast.
func (s *source) index() {
	s.lines = lineStarts(s.text)
	s.runes = make([]int32, 0, len(s.text)+1)
	for at := range string(s.text) {
		s.runes = append(s.runes, int32(at))
	}
	s.runes = append(s.runes, int32(len(s.text)))
}

// start returns the offset of a node.
func (s *source) start(n *yaml.Node) (int, error) {
	line := n.Line - s.at.lines
	if line < 1 || line >= len(s.lines) {
		return 0, fmt.Errorf("line %d is not there", n.Line)
	}
	first, _ := slices.BinarySearch(s.runes, int32(s.lines[line-1]))
	at := first + n.Column - 1
	if at >= len(s.runes) || int(s.runes[at]) > s.lines[line] {
		return 0, fmt.Errorf("line %d is too short", n.Line)
	}
	return int(s.runes[at]), nil
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

// entries returns the number of entries of a collection, and 0 for another node.
func entries(n *yaml.Node) int {
	if n.Kind == yaml.MappingNode {
		return len(n.Content) / 2
	}
	return len(n.Content)
}

func entryAt(n *yaml.Node, i int) entry {
	if n.Kind == yaml.MappingNode {
		return entry{n.Content[2*i], n.Content[2*i+1]}
	}
	return entry{n.Content[i], n.Content[i]}
}
