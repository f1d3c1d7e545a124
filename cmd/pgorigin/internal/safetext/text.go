package safetext

import (
	"strconv"
	"strings"
	"unicode"
)

// MaxText bounds a logged text, in runes: errors repeat what peers sent.
const MaxText = 1000

// Printable cuts a long text off and escapes what must not reach a terminal even if a reader undoes JSON: control
// characters, those of C1 and those that change the direction of text included. The leaves sanitise what they hand over;
// this is the second lock.
func Printable(text string) string {
	if len(text) > MaxText {
		if runes := []rune(text); len(runes) > MaxText {
			text = string(runes[:MaxText]) + "..."
		}
	}
	plain := func(r rune) bool { return unicode.IsGraphic(r) && r != unicode.ReplacementChar }
	if strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if plain(r) {
			out.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		out.WriteString(quoted[1 : len(quoted)-1])
	}
	return out.String()
}

// maxShown bounds how much of a value a complaint repeats, in runes.
const maxShown = 100

// Quote returns text in quotes on one line, control characters escaped and the far end cut off.
func Quote(text string) string {
	if runes := []rune(text); len(runes) > maxShown {
		text = string(runes[:maxShown]) + "..."
	}
	return strconv.Quote(text)
}
