package main

import (
	"strconv"
	"strings"
	"unicode"
)

// maxText bounds a logged text, in runes: errors repeat what peers sent.
const maxText = 1000

// printable cuts a long text off and escapes what must not reach a terminal even if a reader undoes JSON: control
// characters, those of C1 and those that change the direction of text included. The leaves sanitise what they hand over;
// this is the second lock.
func printable(text string) string {
	if len(text) > maxText {
		if runes := []rune(text); len(runes) > maxText {
			text = string(runes[:maxText]) + "..."
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

// quote returns text in quotes on one line, control characters escaped and the far end cut off.
func quote(text string) string {
	if runes := []rune(text); len(runes) > maxShown {
		text = string(runes[:maxShown]) + "..."
	}
	return strconv.Quote(text)
}
