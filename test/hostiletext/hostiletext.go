// Package hostiletext has texts that somebody else may choose, and what every sanitizer promises about them.
// The sanitizers of pgwire, tlsorigin and cmd are tested with this one table.
package hostiletext

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// samples are the texts, by what is wrong with them.
func samples() map[string]string {
	return map[string]string{
		"empty":              "",
		"nothing wrong":      "db.internal",
		"another script":     "дб-日本-é",
		"escape sequence":    "\x1b[2J\x1b]0;owned\x07db",
		"C1 control":         "a\u009b31mb",
		"lines":              "a\r\nFATAL: b\x00c\x7f",
		"line separators":    "a\u2028b\u2029c\u0085d",
		"right to left":      "a\u202eb\u2066c\u200fd",
		"invisible":          "a\u200bb\ufeffc\u00add\U000e0041e",
		"private and unused": "a\ue000b\U0010ffffc\u0378d",
		"invalid UTF-8":      "a\xff\xc3(b\xed\xa0\x80c",
		"quotes":             "a\", not \"b\\",
		"very long":          strings.Repeat("x", 100_000),
		"long and wide":      strings.Repeat("日", 100_000),
		"long and invalid":   strings.Repeat("\xff", 100_000),
		"cut in a character": strings.Repeat("é", 31) + "x" + strings.Repeat("日", 100),
		"long and escaped":   strings.Repeat("\U000e0041", 100_000),
	}
}

// Test holds what every sanitizer promises: the result is valid UTF-8 of at most limit bytes, on one line,
// and whatever it shows is visible. A text with nothing wrong stays, in quotes if quoted says so.
func Test(t *testing.T, sanitize func(string) string, limit int, quoted bool) {
	t.Helper()
	for name, sample := range samples() {
		got := sanitize(sample)
		if problem := unfit(got, limit, quoted); problem != "" {
			t.Errorf("%s: %q becomes %.200q: %s", name, sample[:min(len(sample), 40)], got, problem)
		}
		if again := sanitize(sample); again != got {
			t.Errorf("%s: %q and then %q", name, got, again)
		}
	}
	for _, name := range []string{"empty", "nothing wrong", "another script"} {
		want := samples()[name]
		if quoted {
			want = `"` + want + `"`
		}
		if got := sanitize(samples()[name]); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// unfit says why a text must not be shown; empty if it may.
func unfit(text string, limit int, quoted bool) string {
	if quoted {
		inner, begins := strings.CutPrefix(text, `"`)
		inner, ends := strings.CutSuffix(inner, `"`)
		unescaped := strings.NewReplacer(`\\`, "", `\"`, "").Replace(inner)
		if !begins || !ends || strings.Contains(unescaped, `"`) {
			return "the quotes do not end where they should"
		}
	}
	switch {
	case !utf8.ValidString(text):
		return "invalid UTF-8"
	case len(text) > limit:
		return "too long"
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return "something invisible"
	}
	return ""
}
