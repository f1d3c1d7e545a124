package tlsorigin

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a stranger can write into one text. See quote and clip.
const (
	maxQuoted      = 120 // characters of one quoted text
	maxQuotedBytes = 256
	maxNames       = 5       // quoted names in one sentence
	maxAttributes  = 12      // of a distinguished name
	maxArcs        = 16      // of an object identifier
	maxText        = 1 << 10 // bytes of Error.Text
	maxErrorText   = 2 << 10 // bytes of what Error.Error returns
)

// quote makes a text that a stranger chose fit for a terminal, a log line and an ErrorResponse. It is the
// only way by which such a text gets into one of ours: in double quotes, without quotes inside, cut to a
// bounded length. One U+FFFD stands for each run of control characters, of those that change the direction or
// are invisible, and of invalid bytes.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	kept, replaced := 0, false
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch {
		case !unicode.IsPrint(r) || r == utf8.RuneError:
			if replaced {
				continue
			}
			r, replaced = utf8.RuneError, true
		case r == '"':
			r, replaced = '\'', false
		default:
			replaced = false
		}
		if kept == maxQuoted || b.Len() > maxQuotedBytes {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
		kept++
	}
	b.WriteByte('"')
	return b.String()
}

// clip cuts a text of ours, with quoted ones in it, to n bytes. A quoted text that is cut gets its end back.
func clip(text string, n int) string {
	const end = `…"`
	if len(text) <= n {
		return text
	}
	cut := n - len(end)
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	if strings.Count(text[:cut], `"`)%2 == 0 {
		return text[:cut] + "…"
	}
	return text[:cut] + end
}

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
