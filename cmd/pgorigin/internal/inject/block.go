package inject

import (
	"encoding/json"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// plainScalar matches strings that need no quotes in YAML, if reservedWord does not match them. Some version
// of YAML reads a reserved word as a boolean or null.
var (
	plainJSON   = regexp.MustCompile(`^\{[ !"#-&(-~]*\}$`)
	plainScalar = regexp.MustCompile(
		`^([A-Za-z/]([-A-Za-z0-9_./:]*[-A-Za-z0-9_./])?|[0-9]+(m|[KMGT]i)|[0-9]+(\.[0-9]+){3})$`)
	reservedWord = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null)$`)
)

// object makes a mapping of keys and values in turn. A value is a string or a node. It leaves out a value
// that is empty.
func object(members ...any) *yaml.Node {
	made := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i+1 < len(members); i += 2 {
		key, _ := members[i].(string)
		value, isNode := members[i+1].(*yaml.Node)
		if !isNode {
			text, _ := members[i+1].(string)
			value = stringNode(text)
		}
		if value.Value != "" || len(value.Content) > 0 {
			made.Content = append(made.Content, stringNode(key), value)
		}
	}
	return made
}

func list(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: items}
}

func stringNode(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

// blockLines writes a value as lines of YAML in block style. As in kubectl, a list has the indentation of its
// key.
func blockLines(n *yaml.Node) (lines []string) {
	if n.Kind == yaml.ScalarNode {
		return []string{scalar(n)}
	}
	for i := range entries(n) {
		one := entryAt(n, i)
		inner := blockLines(one.value)
		switch key := scalar(one.first) + ":"; {
		case n.Kind == yaml.SequenceNode:
			lines = append(lines, indent("- ", "  ", inner)...)
		case one.value.Kind == yaml.ScalarNode:
			lines = append(lines, key+" "+inner[0])
		case one.value.Kind == yaml.SequenceNode:
			lines = append(append(lines, key), inner...)
		default:
			lines = append(append(lines, key), indent("  ", "  ", inner)...)
		}
	}
	return lines
}

// indent puts first before the first line, and rest before the others.
func indent(first, rest string, lines []string) []string {
	out := make([]string, 0, len(lines))
	for i, line := range lines {
		if i == 0 {
			out = append(out, first+line)
			continue
		}
		out = append(out, rest+line)
	}
	return out
}

// scalar quotes a string if YAML needs that. A quoted string of JSON is a quoted string of YAML. JSON itself
// needs no escapes in single quotes.
func scalar(n *yaml.Node) string {
	switch {
	case plainJSON.MatchString(n.Value):
		return "'" + n.Value + "'"
	case n.Tag != "!!str", plainScalar.MatchString(n.Value) && !reservedWord.MatchString(n.Value):
		return n.Value
	}
	return toJSON(n)
}

// toJSON writes a value as JSON, which is YAML in flow style. Its keys are sorted.
func toJSON(n *yaml.Node) string {
	var value any
	err := n.Decode(&value)
	if err == nil {
		var text []byte
		if text, err = json.Marshal(value); err == nil {
			return string(text)
		}
	}
	panic(err) // cannot happen: mappings, lists and scalars that inject has made
}
