package inject

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// injection is what of a workload is from inject.
type injection struct {
	workload

	ours nodes
	left string   // why all of it stays as it is; empty otherwise
	kept []string // sentences about parts that stay
}

// foreignSidecar is said of a pod that has a container with our name from elsewhere.
const foreignSidecar = "left alone: inject did not write its container " + containerName +
	"; change it where it comes from, such as a Helm chart"

// injection compares a workload with its record. The differences are the user's.
func (w workload) injection() injection {
	found := injection{workload: w, ours: nodes{}}
	if w.wrong != "" || w.skipped != "" {
		return found
	}
	recorded, isRecorded := w.pod.Metadata.Annotations[recordName]
	if !isRecorded && w.pod.hasSidecar() {
		found.left = foreignSidecar
	}
	spec := child(w.template, "spec")
	if !isRecorded || spec == nil {
		return found
	}
	wrote, err := readRecord(recorded)
	if err != nil {
		found.wrong = err.Error()
		return found
	}
	var changed []string
	compare := func(what, key string, digests map[string]string) {
		for _, item := range itemsOf(spec, key) {
			switch name := text(item, "name"); {
			case digests[name] == "":
			case digests[name] == digest(item):
				found.ours[item] = true
			default:
				changed = append(changed, what+" "+name)
			}
		}
	}
	compare("container", "initContainers", map[string]string{containerName: wrote.Container})
	compare("volume", "volumes", wrote.Volumes)
	if len(changed) > 0 {
		found.ours = nil
		found.left = fmt.Sprintf("left alone: %s changed after inject; delete what changed, then run this again",
			strings.Join(changed, ", "))
		return found
	}
	found.addEnv(spec, wrote)
	found.addAlias(spec, wrote)
	found.addMarks()
	return found
}

// addMarks adds the label and the record.
func (f *injection) addMarks() {
	meta := child(f.template, "metadata")
	if meta == nil {
		return
	}
	if labels := child(meta, "labels"); labels != nil && text(labels, statusLabel) == injected {
		f.ours[child(labels, statusLabel)] = true
	}
	if annotations := child(meta, "annotations"); annotations != nil && child(annotations, recordName) != nil {
		f.ours[child(annotations, recordName)] = true
	}
}

// addEnv adds the client variables of each container that has them as recorded. Otherwise they are the
// user's, all of them.
func (f *injection) addEnv(spec *yaml.Node, wrote record) {
	unseen := map[string]bool{}
	for _, name := range wrote.Containers {
		unseen[name] = true
	}
	var changed []string
	for _, c := range slices.Concat(itemsOf(spec, "initContainers"), itemsOf(spec, "containers")) {
		name := text(c, "name")
		if !unseen[name] {
			continue
		}
		delete(unseen, name)
		present, values := nodes{}, map[string]string{}
		for _, item := range itemsOf(c, "env") {
			if name := text(item, "name"); wrote.Env[name] != "" {
				present[item] = true
				values[name] = text(item, "value")
			}
		}
		switch {
		case len(present) == len(wrote.Env) && maps.Equal(values, wrote.Env) && !hasMore(present):
			maps.Copy(f.ours, present)
		case len(present) > 0:
			changed = append(changed, name)
		}
	}
	variables := strings.Join(slices.Sorted(maps.Keys(wrote.Env)), ", ")
	if len(changed) > 0 {
		f.kept = append(f.kept, fmt.Sprintf("%s of container %s changed after inject, and stay as they are",
			variables, strings.Join(few(changed, "containers"), ", ")))
	}
	if len(unseen) > 0 {
		f.kept = append(f.kept, fmt.Sprintf("container %s is gone; if it has a new name, delete %s there",
			strings.Join(few(slices.Sorted(maps.Keys(unseen)), "containers"), ", "), variables))
	}
}

// hasMore reports whether one of these variables has more than a name and a value.
func hasMore(variables nodes) bool {
	for n := range variables {
		if entries(n) != 2 {
			return true
		}
	}
	return false
}

// itemsOf returns the objects in a list of a mapping.
func itemsOf(mapping *yaml.Node, key string) []*yaml.Node {
	list := child(mapping, key)
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	var found []*yaml.Node
	for _, item := range list.Content {
		if item.Kind == yaml.MappingNode {
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
		} else if e.holders[one.value] {
			err = e.remove(one.value, ours)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// findHolders marks what has one of ours in it, and reports whether n has.
func (e *edits) findHolders(n *yaml.Node, ours nodes) bool {
	holds := ours[n]
	for _, inner := range n.Content {
		holds = e.findHolders(inner, ours) || holds
	}
	if holds {
		e.holders[n] = true
	}
	return holds
}

// removable reports whether an entry is ours, or was made for ours and holds nothing else.
func (e *edits) removable(one entry, ours nodes) bool {
	return ours[one.value] ||
		e.holdsOnly(one.value, ours) && !e.keptSpace(one.value) && e.formerNull(one) == nil
}

// holdsOnly reports whether n has entries and all are removable.
func (e *edits) holdsOnly(n *yaml.Node, ours nodes) bool {
	for i := range entries(n) {
		if !e.holders[n] || !e.removable(entryAt(n, i), ours) {
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
