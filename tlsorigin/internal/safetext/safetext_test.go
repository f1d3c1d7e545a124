package safetext

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/pgorigin/pgorigin/test/hostiletext"
)

func TestHostileTexts(t *testing.T) {
	hostiletext.Test(t, Quote, maxQuotedBytes+10, true)
}

func TestQuote(t *testing.T) {
	for _, row := range []struct{ name, in, want string }{
		{"plain", "db.internal", `"db.internal"`},
		{"empty", "", `""`},
		{"escape sequence", "\x1b[2J\x1b]0;owned\x07db", `"�[2J�]0;owned�db"`},
		{"C1 control", "a\u009b31mb", `"a�31mb"`},
		{"lines", "a\r\nFATAL: b\x00c", `"a�FATAL: b�c"`},
		{"quotes cannot end the quote", `a", not "b`, `"a', not 'b"`},
		{"right-to-left and zero-width", "a\u202eb\u200bc\u2028d", `"a�b�c�d"`},
		{"invalid UTF-8", "a\xff\xc3(b", `"a�(b"`},
		{"other scripts stay", "дб-日本", `"дб-日本"`},
		{"long", strings.Repeat("x", 10_000), `"` + strings.Repeat("x", maxQuoted) + `…"`},
		{"just fits", strings.Repeat("x", maxQuoted), `"` + strings.Repeat("x", maxQuoted) + `"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := Quote(row.in); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"", "db.internal", "\x1b[31m\"\n\u202e\xff", strings.Repeat("日", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if problem := unfit(Quote(s)); problem != "" {
			t.Errorf("Quote(%q) = %q: %s", s, Quote(s), problem)
		}
	})
}

// unfit says why a quoted text should not be shown.
func unfit(q string) string {
	inner, quoted := strings.CutPrefix(q, `"`)
	inner, ended := strings.CutSuffix(inner, `"`)
	switch {
	case !quoted || !ended || strings.Contains(inner, `"`):
		return "quotes"
	case !utf8.ValidString(q):
		return "invalid UTF-8"
	case utf8.RuneCountInString(inner) > maxQuoted+1:
		return "too long"
	case strings.ContainsFunc(q, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "unprintable"
	}
	return ""
}
