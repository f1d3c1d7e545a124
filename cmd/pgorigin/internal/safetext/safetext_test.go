package safetext

import (
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/hostiletext"
)

func TestPrintable(t *testing.T) { hostiletext.Test(t, Printable, 10*maxText+3, false) }

func TestQuote(t *testing.T) { hostiletext.Test(t, Quote, 10*maxQuoted+5, true) }

func TestPrintableEscapes(t *testing.T) {
	for _, row := range []struct{ in, want string }{
		{"", ""},
		{"Grüße, 世界 \"x\" \\", "Grüße, 世界 \"x\" \\"},
		{"a\nb", `a\nb`},
		{"a\x1b[0m", `a\x1b[0m`},
		{"\u202e", `\u202e`},
		{"\u009b", `\u009b`},
		{"\xff", `\ufffd`},
		{strings.Repeat("é", maxText+1), strings.Repeat("é", maxText) + "..."},
	} {
		if got := Printable(row.in); got != row.want {
			t.Errorf("printable(%q) = %q, want %q", row.in, got, row.want)
		}
	}
}
