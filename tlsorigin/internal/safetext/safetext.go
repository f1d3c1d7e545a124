// Package safetext makes foreign text safe for a terminal, a log line and an ErrorResponse.
package safetext

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of texts. See Quote and Clip.
const (
	MaxLength = 1 << 10 // bytes of the sentence about one failure
	MaxNames  = 5       // quoted names in one sentence

	maxQuoted      = 120 // characters of one quoted text
	maxQuotedBytes = 256
)

// Quote makes a foreign text safe for a terminal, a log line and an ErrorResponse. Every such text in a
// message goes through Quote. The result is in double quotes, has none inside, and has a bounded length. One
// U+FFFD replaces each run of invalid bytes and of characters that control, change the direction or are
// invisible.
func Quote(s string) string {
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

// Clip cuts a text with quoted texts in it to n bytes. A quoted text that is cut gets its closing quote back.
func Clip(text string, n int) string {
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

// QuoteEach quotes texts, the first MaxNames of many.
func QuoteEach(texts []string) []string {
	var quoted []string
	for i, text := range texts {
		if i == MaxNames {
			quoted = append(quoted, "…")
			break
		}
		quoted = append(quoted, Quote(text))
	}
	return quoted
}
