package golden

import "testing"

func TestFirstDifference(t *testing.T) {
	for name, row := range map[string]struct{ want, got, shown string }{
		"a line changed":      {"a\nb\nc\nd\ne\n", "a\nb\nc\nX\ne\n", "  b\n  c\n- d\n+ X\n"},
		"the first line":      {"a\nb\n", "X\nb\n", "- a\n+ X\n"},
		"a line too many":     {"a\nb\n", "a\nX\nb\n", "  a\n+ X\n"},
		"a line too few":      {"a\nb\nc\n", "a\nc\n", "  a\n- b\n"},
		"cut short":           {"a\nb\n", "a\n", "  a\n- b\n"},
		"no end of last line": {"a\n", "a", "  a\n- \n"},
		"all of it":           {"a\nb\nc\nd\ne\nf", "1\n2", "- a\n- b\n- c\n- d\n- e\n+ 1\n+ 2\n"},
	} {
		if shown := firstDifference(row.want, row.got); shown != row.shown {
			t.Errorf("%s: shows\n%swant\n%s", name, shown, row.shown)
		}
	}
}
