package safetext

import (
	"slices"
	"testing"
)

func TestWrap(t *testing.T) {
	for _, row := range []struct {
		name, text string
		want       []string
	}{
		{"empty", "", nil},
		{"fits", "0123456789", []string{"0123456789"}},
		{"at a blank", "0123 56789 bcd", []string{"0123 56789", "bcd"}},
		{"characters, not bytes", "äöüäöüäöü ä", []string{"äöüäöüäöü", "ä"}},
		{"a long word", "a 0123456789abc d", []string{"a", "0123456789", "abc d"}},
		{"columns", "a    b   c d", []string{"a    b   c", "d"}},
	} {
		if got := Wrap(row.text, 10); !slices.Equal(got, row.want) {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}
