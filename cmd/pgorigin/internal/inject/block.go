package inject

import (
	"encoding/json"
	"fmt"
	"regexp"
)

// plainScalar matches strings that need no quotes in YAML, if reservedWord does not match them. Some version
// of YAML reads a reserved word as a boolean or null.
var (
	plainJSON   = regexp.MustCompile(`^\{[ !"#-&(-~]*\}$`)
	plainScalar = regexp.MustCompile(
		`^([A-Za-z/]([-A-Za-z0-9_./:]*[-A-Za-z0-9_./])?|[0-9]+(m|[KMGT]i)|[0-9]+(\.[0-9]+){3})$`)
	reservedWord = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null)$`)
)

// object is a JSON object that keeps its order. Its values, and the items of its lists, are objects, []any or
// scalars.
type object []member

type member struct {
	key   string
	value any
}

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			out = append(out, ',')
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, key...), ':'), value...)
	}
	return append(out, '}'), nil
}

// blockLines writes a value as lines of YAML in block style. As in kubectl, a list has the indentation of its
// key.
func blockLines(value any) []string {
	var lines []string
	switch v := value.(type) {
	case object:
		for _, m := range v {
			inner := blockLines(m.value)
			switch child := m.value.(type) {
			case object:
				if len(child) > 0 {
					lines = append(append(lines, scalar(m.key)+":"), indent("  ", "  ", inner)...)
					continue
				}
			case []any:
				if len(child) > 0 {
					lines = append(append(lines, scalar(m.key)+":"), inner...)
					continue
				}
			}
			lines = append(lines, scalar(m.key)+": "+inner[0])
		}
		if len(v) == 0 {
			return []string{"{}"}
		}
	case []any:
		for _, item := range v {
			lines = append(lines, indent("- ", "  ", blockLines(item))...)
		}
		if len(v) == 0 {
			return []string{"[]"}
		}
	case string:
		return []string{scalar(v)}
	default:
		return []string{fmt.Sprint(v)}
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
func scalar(s string) string {
	if plainJSON.MatchString(s) {
		return "'" + s + "'"
	}
	if plainScalar.MatchString(s) && !reservedWord.MatchString(s) {
		return s
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		return `""` // cannot happen: encoding/json encodes every string
	}
	return string(quoted)
}
