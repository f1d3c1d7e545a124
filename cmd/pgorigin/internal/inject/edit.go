package inject

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

	"go.yaml.in/yaml/v3"
)

// edit replaces the bytes from start to end.
type edit struct {
	start, end int
	text       string
}

// edits belong to one source. Their order matters only at the same place: there, the first one added comes
// first.
type edits struct {
	*source
	list    []edit
	shared  nodes // what an alias stands for, and all that is in it
	holders nodes // what holds something to remove
}

func newEdits(s *source) *edits {
	s.index()
	e := &edits{source: s, shared: nodes{}, holders: nodes{}}
	for _, document := range s.documents {
		e.findShared(document)
	}
	return e
}

func (e *edits) findShared(n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		e.share(n.Alias)
	}
	for _, inner := range n.Content {
		e.findShared(inner)
	}
}

// share marks a node and its content. It visits each node once, because anchors may be nested.
func (e *edits) share(n *yaml.Node) {
	if e.shared[n] {
		return
	}
	e.shared[n] = true
	for _, inner := range n.Content {
		e.share(inner)
	}
}

func (e *edits) insert(at int, text string)        { e.list = append(e.list, edit{at, at, text}) }
func (e *edits) replace(from, to int, text string) { e.list = append(e.list, edit{from, to, text}) }

// apply returns the edited text. All other bytes stay as they are.
func (e *edits) apply() ([]byte, error) {
	slices.SortStableFunc(e.list, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	var out bytes.Buffer
	at := 0
	for _, one := range e.list {
		if one.start < at {
			return nil, errors.New("edits overlap")
		}
		out.Write(e.text[at:one.start])
		out.WriteString(one.text)
		at = one.end
	}
	out.Write(e.text[at:])
	return out.Bytes(), nil
}
