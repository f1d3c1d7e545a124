package inject

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzStream: no text causes a panic. uninject undoes every injection, and leaves nothing of it.
func FuzzStream(f *testing.F) {
	files, err := filepath.Glob("testdata/streams/*.yaml")
	if err != nil || len(files) < 3 {
		f.Fatalf("found %d seeds, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		injected, _, err := testInjector(f).Inject(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(injected)
		f.Add(bytes.ReplaceAll(injected, []byte("PGHOST\n"), []byte("PGUSER\n")))
	}
	for _, text := range hostile() {
		if len(text.yaml) < 1<<10 {
			f.Add([]byte(text.yaml))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if after, _, err := testInjector(t).Inject(text); err == nil {
			clean, _, err := Uninject(text)
			if err != nil {
				t.Fatalf("injected, but cannot be uninjected: %v", err)
			}
			checkRoundTrip(t, clean, after)
		}
		if clean, _, err := Uninject(text); err == nil {
			again, notes, err := Uninject(clean)
			if err != nil || !bytes.Equal(again, clean) {
				t.Errorf("uninject again: %v, %v", notes, err)
			}
		}
	})
}
