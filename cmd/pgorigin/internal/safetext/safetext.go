package safetext

import (
	"strconv"
	"strings"
	"unicode"
)

// Bounds of a text, in characters.
const (
	maxText   = 1000
	maxQuoted = 100
)

// Printable cuts off the end of a long text and escapes what must not reach a terminal: control characters,
// those that are invisible, and those that change the direction of text.
func Printable(text string) string {
	text = cut(text, maxText)
	visible := func(r rune) bool { return unicode.IsGraphic(r) && r != unicode.ReplacementChar }
	if strings.IndexFunc(text, func(r rune) bool { return !visible(r) }) < 0 {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if visible(r) {
			out.WriteRune(r)
			continue
		}
		escaped := strconv.QuoteRuneToASCII(r)
		out.WriteString(escaped[1 : len(escaped)-1])
	}
	return out.String()
}

// Quote returns text in quotes on one line. It escapes what Printable escapes, and quotes; it cuts sooner.
func Quote(text string) string { return strconv.Quote(cut(text, maxQuoted)) }

// cut returns the first n characters of a longer text, with an ellipsis.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for i := range text {
		if n == 0 {
			return text[:i] + "..."
		}
		n--
	}
	return text
}
