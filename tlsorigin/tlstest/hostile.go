package tlstest

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// HostileNames try to end a line, paint a terminal, forge a second field and fill a log.
func HostileNames() []string {
	return []string{
		"\x1b[2J\x1b[31mFATAL",
		"a\nreason=ok\r\nb",
		strings.Repeat("A", 10_000),
		"x\xff\xfe\x80y",
		`db.test", trust me "`,
		"\u202etset.bd\u200f",
	}
}

// Unsafe says why a text must not be shown to people. It returns nothing for a text that may.
func Unsafe(text string) string {
	switch {
	case !utf8.ValidString(text), strings.ContainsFunc(text,
		func(r rune) bool { return !unicode.IsPrint(r) }):
		return "it has characters that must not be shown"
	case len(text) > 2<<10:
		return "it is longer than 2 KiB"
	case strings.Count(text, `"`)%2 != 0:
		return "it has a quote too many"
	}
	return ""
}
