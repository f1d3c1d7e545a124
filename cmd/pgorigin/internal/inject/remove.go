package inject

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// nodes are the nodes of a source that inject has put there: items of lists, and values of mappings.
type nodes map[*yaml.Node]bool

// additions finds what was put into an injected pod, by the marks and the names.
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
	for _, item := range namedItems(spec, "volumes", caVolume, clientVolume) {
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

// namedItems returns the items of a list in a mapping that have one of these names.
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

// entry is an item of a list, or a key of a mapping and its value.
type entry struct {
	first, value *yaml.Node // first is where it begins
}

// entriesOf returns none for what is no collection.
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

// remove takes what is ours out of a collection, and with it what inject made to hold it.
func (e *edits) remove(n *yaml.Node, ours nodes) error {
	entries := entriesOf(n)
	for i := 0; i < len(entries); i++ {
		if e.goes(entries[i], ours) {
			first := i
			for i+1 < len(entries) && e.goes(entries[i+1], ours) {
				i++
			}
			if err := e.removeRun(n, entries, first, i+1); err != nil {
				return err
			}
			continue
		}
		inside := e.remove
		if e.holdsOnly(entries[i].value, ours) {
			inside = func(*yaml.Node, nodes) error { return e.makeEmpty(entries[i]) }
		}
		if err := inside(entries[i].value, ours); err != nil {
			return err
		}
	}
	return nil
}

// goes reports whether an entry is ours, or holds nothing else and was not there before.
func (e *edits) goes(one entry, ours nodes) bool {
	return ours[one.value] || e.holdsOnly(one.value, ours) && !e.keptSpace(one.value) && e.formerNull(one) == nil
}

// holdsOnly reports whether all entries of n go, and there are some.
func (e *edits) holdsOnly(n *yaml.Node, ours nodes) bool {
	entries := entriesOf(n)
	return len(entries) > 0 && !slices.ContainsFunc(entries, func(one entry) bool { return !e.goes(one, ours) })
}

// keptSpace reports whether a flow collection has the space behind its bracket that addFlow leaves in one that was empty.
func (e *edits) keptSpace(n *yaml.Node) bool {
	if n.Style&yaml.FlowStyle == 0 {
		return false
	}
	bracket, err := e.start(n)
	first, err2 := e.start(n.Content[0])
	return err == nil && err2 == nil && first == bracket+2 && e.text[bracket+1] == ' '
}

// emptied matches what addToNull leaves behind the colon of a key.
var emptied = regexp.MustCompile(`^ # pgorigin: was( empty| *(?:null|Null|NULL|~))`)

// formerNull returns where the mark of addToNull begins and ends, and where in it what was there before begins; nil if
// there is none.
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

// makeEmpty takes everything out of a collection that was there, empty, before.
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
		e.replace(start+1, end, "") // behind the bracket
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

// removeRun takes entries from up to to out of n, which keeps its brackets if it has some.
func (e *edits) removeRun(n *yaml.Node, entries []entry, from, to int) error {
	start, err := e.start(entries[from].first)
	if err != nil {
		return err
	}
	end, err := e.end(entries[to-1].value)
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
	switch { // in flow style, or the first of a mapping behind a dash: what comes next takes its place
	case to < len(entries):
		end, err = e.start(entries[to].first)
	case from > 0 && flow:
		start, err = e.end(entries[from-1].value)
	case !flow:
		err = e.refuse(n, "cannot be left empty")
	}
	if err != nil {
		return err
	}
	e.replace(start, end, "")
	return nil
}

// removeLines removes all lines from that of start to that of end. If the last line of the text goes, and had no line
// break, that of the line before goes instead.
func (e *edits) removeLines(start, end int) {
	first, next := e.lines[e.lineOf(start)], e.lines[min(e.lineOf(end)+1, len(e.lines)-1)]
	if next == len(e.text) && !bytes.HasSuffix(e.text, []byte("\n")) {
		first -= len(e.newline())
	}
	e.replace(max(first, 0), next, "")
}
