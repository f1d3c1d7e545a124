package config

import "strings"

// Fill puts names of variables into a constant template, in one pass. {TLS_CA_FILE} stands for the variable
// that has the value for o, {own:TLS_CA_FILE} for the one to set for o alone. A template holds no data: paths
// and names that come from elsewhere are added to what Fill returns.
func (o *Origin) Fill(template string) string {
	var text strings.Builder
	for {
		before, rest, open := strings.Cut(template, "{")
		text.WriteString(before)
		word, after, closed := strings.Cut(rest, "}")
		if !open || !closed {
			return text.String()
		}
		if own, ok := strings.CutPrefix(word, "own:"); ok {
			text.WriteString(o.Own(own))
		} else {
			text.WriteString(o.Variable(word))
		}
		template = after
	}
}
