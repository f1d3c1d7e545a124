package inject

import (
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// sameMeaning reports whether two sources say the same, apart from nodes of each that are left out. What is empty, or
// holds nothing but what is left out, counts as not there: that is how Kubernetes takes it.
func sameMeaning(a *source, withoutA nodes, b *source, withoutB nodes) bool {
	if len(a.documents) != len(b.documents) {
		return false
	}
	for i := range a.documents {
		var left, right strings.Builder
		writeMeaning(&left, a.documents[i], withoutA)
		writeMeaning(&right, b.documents[i], withoutB)
		if left.String() != right.String() {
			return false
		}
	}
	return true
}

// writeMeaning writes a node in a form of its own, without style, position and comments. Aliases are not followed, so that
// their number cannot explode.
func writeMeaning(w io.Writer, n *yaml.Node, without nodes) {
	if n.Kind == yaml.ScalarNode || n.Kind == yaml.AliasNode {
		_, _ = fmt.Fprintf(w, "%d %s %q %q", n.Kind, n.Tag, n.Anchor, n.Value)
		return
	}
	_, _ = fmt.Fprintf(w, "%d %s %q[", n.Kind, n.Tag, n.Anchor)
	for _, one := range entriesOf(n) {
		if meansNothing(one.value, without) {
			continue
		}
		if one.first != one.value {
			writeMeaning(w, one.first, without)
			_, _ = io.WriteString(w, ":")
		}
		writeMeaning(w, one.value, without)
		_, _ = io.WriteString(w, ",")
	}
	_, _ = io.WriteString(w, "]")
}

// meansNothing reports whether a node is left out, null, or empty but for what is left out.
func meansNothing(n *yaml.Node, without nodes) bool {
	switch {
	case without[n]:
		return true
	case n.Kind == yaml.ScalarNode:
		return n.Tag == "!!null" && n.Anchor == ""
	case n.Kind != yaml.MappingNode && n.Kind != yaml.SequenceNode || n.Anchor != "":
		return false
	}
	for _, one := range entriesOf(n) {
		if !meansNothing(one.value, without) {
			return false
		}
	}
	return true
}
