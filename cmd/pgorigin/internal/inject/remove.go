package inject

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// additions finds what inject added to a pod, by labels, annotations and names.
func (w workload) additions() nodes {
	ours := nodes{}
	keep := func(n *yaml.Node) {
		if n != nil {
			ours[n] = true
		}
	}
	if meta := child(w.template, "metadata"); meta != nil {
		if labels := child(meta, "labels"); labels != nil {
			keep(child(labels, statusLabel))
		}
		if annotations := child(meta, "annotations"); annotations != nil {
			keep(child(annotations, envRecord))
		}
	}
	spec := child(w.template, "spec")
	if spec == nil {
		return ours
	}
	for _, item := range namedItems(spec, "initContainers", containerName) {
		keep(item)
	}
	for _, item := range namedItems(spec, "volumes", "pgorigin-ca", "pgorigin-client") {
		keep(item)
	}
	recorded := strings.Split(w.pod.Metadata.Annotations[envRecord], ",")
	for _, key := range []string{"initContainers", "containers"} {
		for _, c := range namedItems(spec, key, recorded...) {
			for _, item := range namedItems(c, "env", "PGHOST", "PGPORT", "PGSSLMODE") {
				keep(item)
			}
		}
	}
	return ours
}

// namedItems returns the items with these names of a list in a mapping.
func namedItems(mapping *yaml.Node, key string, names ...string) []*yaml.Node {
	list := child(mapping, key)
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	var found []*yaml.Node
	for _, item := range list.Content {
		if item.Kind == yaml.MappingNode && slices.Contains(names, text(item, "name")) {
			found = append(found, item)
		}
	}
	return found
}

// remove removes what is ours from a collection, with the collections that inject made for it.
func (e *edits) remove(n *yaml.Node, ours nodes) error {
	for i := 0; i < entries(n); i++ {
		one := entryAt(n, i)
		if e.removable(one, ours) {
			first := i
			for i+1 < entries(n) && e.removable(entryAt(n, i+1), ours) {
				i++
			}
			if err := e.removeRun(n, first, i+1); err != nil {
				return err
			}
			continue
		}
		var err error
		if e.holdsOnly(one.value, ours) {
			err = e.makeEmpty(one)
		} else {
			err = e.remove(one.value, ours)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removable reports whether an entry is ours, or was made for ours and holds nothing else.
func (e *edits) removable(one entry, ours nodes) bool {
	return ours[one.value] ||
		e.holdsOnly(one.value, ours) && !e.keptSpace(one.value) && e.formerNull(one) == nil
}

// holdsOnly reports whether n has entries and all are removable.
func (e *edits) holdsOnly(n *yaml.Node, ours nodes) bool {
	for i := range entries(n) {
		if !e.removable(entryAt(n, i), ours) {
			return false
		}
	}
	return entries(n) > 0
}

// keptSpace reports whether a flow collection was empty before inject: then addFlow left a space after its
// bracket.
func (e *edits) keptSpace(n *yaml.Node) bool {
	if n.Style&yaml.FlowStyle == 0 {
		return false
	}
	bracket, err := e.start(n)
	first, err2 := e.start(n.Content[0])
	return err == nil && err2 == nil && first == bracket+2 && e.text[bracket+1] == ' '
}

// emptied matches what addToNull leaves after the colon of a key.
var emptied = regexp.MustCompile(`^ # pgorigin: was( empty| *(?:null|Null|NULL|~))`)

// formerNull returns three offsets: the start and the end of the mark of addToNull, and the start of the
// former null within it. It returns nil if there is no mark.
func (e *edits) formerNull(one entry) []int {
	end, err := e.end(one.first)
	if err != nil || one.first == one.value || one.value.Style&yaml.FlowStyle != 0 {
		return nil
	}
	mark := emptied.FindSubmatchIndex(e.text[min(end+1, len(e.text)):])
	if mark == nil {
		return nil
	}
	return []int{end + 1, end + 1 + mark[1], end + 1 + mark[2]}
}

// makeEmpty removes the content of a collection that was there, and empty, before inject.
func (e *edits) makeEmpty(one entry) error {
	content := one.value.Content
	start, err := e.start(one.value)
	if err != nil {
		return err
	}
	end, err := e.end(content[len(content)-1])
	if err != nil {
		return err
	}
	mark := e.formerNull(one)
	if mark == nil {
		e.replace(start+1, end, "") // after the bracket
		return nil
	}
	was := string(e.text[mark[2]:mark[1]])
	if was == " empty" {
		was = ""
	}
	e.replace(mark[0], mark[1], was)
	e.removeLines(start, end)
	return nil
}

// removeRun removes the entries with index from up to, but not including, to. A flow collection keeps its
// brackets.
func (e *edits) removeRun(n *yaml.Node, from, to int) error {
	start, err := e.start(entryAt(n, from).first)
	if err != nil {
		return err
	}
	end, err := e.end(entryAt(n, to-1).value)
	if err != nil {
		return err
	}
	flow := n.Style&yaml.FlowStyle != 0
	if n.Kind == yaml.SequenceNode && !flow {
		start = bytes.LastIndexByte(e.text[:start], '-')
	}
	if !flow && e.isIndented(start) {
		e.removeLines(start, end)
		return nil
	}
	// In flow style, and in a mapping after a dash, the next entry moves up.
	switch {
	case to < entries(n):
		end, err = e.start(entryAt(n, to).first)
	case from > 0 && flow:
		start, err = e.end(entryAt(n, from-1).value)
	case !flow:
		err = e.refuse(n, "cannot be left empty")
	}
	if err != nil {
		return err
	}
	e.replace(start, end, "")
	return nil
}

// removeLines removes all lines from the line of start to the line of end. If that includes a last line
// without line break, the line break before it goes, too.
func (e *edits) removeLines(start, end int) {
	first, next := e.lines[e.lineOf(start)], e.lines[min(e.lineOf(end)+1, len(e.lines)-1)]
	if next == len(e.text) && !bytes.HasSuffix(e.text, []byte("\n")) {
		first -= len(e.newline())
	}
	e.replace(max(first, 0), next, "")
}
