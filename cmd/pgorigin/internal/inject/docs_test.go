package inject

import (
	"os"
	"strings"
	"testing"
)

// TestPageHasTheVocabulary: the page has every word, and no annotation that does not exist.
func TestPageHasTheVocabulary(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/reference/inject.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range Words() {
		if !strings.Contains(string(page), "`"+word.Name+"`") {
			t.Errorf("docs/reference/inject.md does not have `%s`", word.Name)
		}
	}
	for _, row := range strings.Split(string(page), "\n| `")[1:] {
		cell, _, _ := strings.Cut(row, " |")
		for _, name := range strings.Split(cell, "`, `") {
			name = strings.Trim(name, "`")
			if findWord(name) == nil && !strings.HasPrefix(name, "pgorigin ") {
				t.Errorf("docs/reference/inject.md has %q, which is no word", name)
			}
		}
	}
}
