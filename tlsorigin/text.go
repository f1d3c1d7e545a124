package tlsorigin

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxQuoted = 120 // characters of one quoted text
	maxNames  = 5   // quoted names in one sentence
)

// quote makes a text that a stranger chose fit for a terminal, a log line and an ErrorResponse: in double quotes,
// without control, formatting and invalid characters, without quotes inside, cut to a bounded length.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	kept := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		if (r == utf8.RuneError && size <= 1) || !unicode.IsPrint(r) {
			continue
		}
		if kept == maxQuoted {
			b.WriteString("…")
			break
		}
		if r == '"' {
			r = '\''
		}
		b.WriteRune(r)
		kept++
	}
	b.WriteByte('"')
	return b.String()
}

// quoteAll joins quoted texts with commas, the first few of many.
func quoteAll(texts []string) string { return strings.Join(quoteEach(texts), ", ") }

// quoteEach quotes texts, the first few of many.
func quoteEach(texts []string) []string {
	var quoted []string
	for i, text := range texts {
		if i == maxNames {
			quoted = append(quoted, "…")
			break
		}
		quoted = append(quoted, quote(text))
	}
	return quoted
}
