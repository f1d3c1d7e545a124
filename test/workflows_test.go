// Package test holds what is true of the repository as a whole. Rules for imports are in test/house.
package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The workflows of the forge run other people's code with rights to publish, so what they run is pinned by content, and
// rights are given job by job. make lint checks their syntax.
func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	uses := regexp.MustCompile(`(?m)^ *(?:- )?uses: *(.*)$`)
	pinned := regexp.MustCompile(`^[\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	image := regexp.MustCompile(`(?m)^ *(?:ARG BUILD_IMAGE=docker\.io/library/|image: )(golang:\S+)$`)
	dockerfile := image.FindStringSubmatch(readFile(t, "../Dockerfile"))
	for _, file := range files {
		text := readFile(t, file)
		for _, match := range uses.FindAllStringSubmatch(text, -1) {
			if !pinned.MatchString(match[1]) {
				t.Errorf("%s: %q is not pinned by a full commit with its version behind it", file, match[1])
			}
		}
		if !strings.Contains(text, "\npermissions: {}\n") || strings.Contains(text, "write-all") {
			t.Errorf("%s: rights are not given job by job", file)
		}
		if strings.Count(text, "\n    runs-on:") != strings.Count(text, "\n    permissions: {") {
			t.Errorf("%s: a job does not say what it may do", file)
		}
		if strings.Count(text, "actions/checkout@") != strings.Count(text, "persist-credentials: false") {
			t.Errorf("%s: a checkout leaves its token behind", file)
		}
		if used := image.FindStringSubmatch(text); used != nil && (dockerfile == nil || used[1] != dockerfile[1]) {
			t.Errorf("%s runs in %s, the Dockerfile in %v", file, used[1], dockerfile)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
