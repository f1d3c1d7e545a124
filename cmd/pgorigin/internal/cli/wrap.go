package cli

import "strings"

// Wrap breaks text at spaces into lines of at most width bytes, each with prefix in front. A longer word stays whole.
func Wrap(prefix, text string, width int) string {
	var out strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case column == 0:
			out.WriteString(prefix)
			column = len(prefix)
		case column+1+len(word) > width:
			out.WriteString("\n" + prefix)
			column = len(prefix)
		default:
			out.WriteByte(' ')
			column++
		}
		out.WriteString(word)
		column += len(word)
	}
	return out.String()
}
