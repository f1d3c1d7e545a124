package inject

import (
	"encoding/binary"

	"go.yaml.in/yaml/v3"
)

// meaning returns what a source means, apart from some nodes: equal sources have equal bytes. Style, position
// and comments do not count. A collection that is empty without these nodes counts as missing, as in
// Kubernetes.
func (s *source) meaning(without nodes) []byte {
	var out []byte
	for _, document := range s.documents {
		out, _ = appendMeaning(append(out, 0), document, without)
	}
	return out
}

// appendMeaning appends one node, and reports whether it means anything. It does not follow aliases, because
// nested ones can stand for billions of nodes.
func appendMeaning(out []byte, n *yaml.Node, without nodes) ([]byte, bool) {
	if without[n] {
		return out, false
	}
	out = append(out, byte(n.Kind))
	for _, text := range []string{n.Tag, n.Anchor, n.Value} {
		out = append(binary.AppendUvarint(out, uint64(len(text))), text...)
	}
	something := n.Anchor != ""
	if n.Kind == yaml.ScalarNode || n.Kind == yaml.AliasNode {
		return out, something || n.Kind == yaml.AliasNode || n.Tag != "!!null"
	}
	for i := range entries(n) {
		one, start, means := entryAt(n, i), len(out), false
		if one.first != one.value {
			out, _ = appendMeaning(out, one.first, nil)
		}
		if out, means = appendMeaning(out, one.value, without); !means {
			out = out[:start]
		}
		something = something || means
	}
	return append(out, 0), something
}
