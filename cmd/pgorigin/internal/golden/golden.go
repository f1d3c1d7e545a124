// Package golden compares output with files in testdata, for tests.
package golden

import (
	"flag"
	"os"
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
		t.Errorf("output differs from %s (run with -update and read the diff):\n%s", path, got)
	}
}
