// Package golden compares output with files in testdata, for tests.
package golden

import (
	"flag"
	"os"
	"strings"
	"testing"
)

//nolint:gochecknoglobals // flags of a test binary are global
var update = flag.Bool("update", false, "rewrite golden files and generated pages")

// Update reports whether the test shall rewrite generated files.
func Update() bool { return *update }

// Compare fails the test if got differs from the file at path. With -update, it writes the file first.
func Compare(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("output differs from %s (run with -update and read the diff):\n%s",
			path, firstDifference(string(want), got))
	}
}

const (
	shownBefore = 2 // equal lines before the first difference
	shownOfEach = 5 // lines of want, and lines of got
)

// firstDifference returns the first lines in which want and got differ, and the lines before them. "-" marks
// lines of want, "+" lines of got.
func firstDifference(want, got string) string {
	wants, gots := strings.Split(want, "\n"), strings.Split(got, "\n")
	first := 0
	for first < min(len(wants), len(gots)) && wants[first] == gots[first] {
		first++
	}
	var text strings.Builder
	show := func(mark string, lines []string) {
		for _, line := range lines {
			text.WriteString(mark + line + "\n")
		}
	}
	show("  ", wants[max(0, first-shownBefore):first])
	wants, gots = wants[first:], gots[first:]
	for len(wants) > 0 && len(gots) > 0 && wants[len(wants)-1] == gots[len(gots)-1] {
		wants, gots = wants[:len(wants)-1], gots[:len(gots)-1]
	}
	show("- ", wants[:min(shownOfEach, len(wants))])
	show("+ ", gots[:min(shownOfEach, len(gots))])
	return text.String()
}
