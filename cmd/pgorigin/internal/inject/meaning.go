package inject

import (
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// sameMeaning reports whether two sources mean the same, apart from some nodes of each. A collection that is
// empty without these nodes counts as missing, as in Kubernetes.
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

// writeMeaning writes a node without style, position and comments. It does not follow aliases, because nested
// ones can stand for billions of nodes.
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

// meansNothing reports whether a node is null, in without, or a collection of such nodes.
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
