package test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

const (
	readmeLines  = 150
	proseColumns = 100
)

func TestReadmeIsShort(t *testing.T) {
	if lines := strings.Count(readText(t, "../README.md"), "\n"); lines > readmeLines {
		t.Errorf("README.md has %d lines, more than %d", lines, readmeLines)
	}
}

func TestProseIsNarrow(t *testing.T) {
	for _, path := range markdownFiles(t) {
		for _, problem := range wideLines(readText(t, path)) {
			t.Errorf("%s: more than %d columns: %s", path, proseColumns, problem)
		}
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	links := 0
	for _, path := range markdownFiles(t) {
		for _, target := range linkTargets(readText(t, path)) {
			links++
			checkLink(t, path, target)
		}
	}
	if links < 100 {
		t.Errorf("only %d links were found", links)
	}
}

// checkLink fails when a relative link of the page at path has no file, or its file no such heading.
func checkLink(t *testing.T, path, target string) {
	t.Helper()
	file, anchor, _ := strings.Cut(target, "#")
	if file == "" {
		file = path
	} else {
		file = filepath.Join(filepath.Dir(path), file)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("%s links to %s, which does not exist", path, target)
		return
	}
	if anchor != "" && !slices.Contains(anchors(readText(t, file)), anchor) {
		t.Errorf("%s links to %s, which has no such heading", path, target)
	}
}

// A file or folder of this repository that a page names exists. Decisions are as old as they are.
func TestNamedFilesExist(t *testing.T) {
	named := 0
	for _, path := range markdownFiles(t) {
		if strings.Contains(path, "decisions") {
			continue
		}
		for _, match := range namedFile.FindAllStringSubmatch(strings.Join(prose(readText(t, path)), "\n"), -1) {
			named++
			if _, err := os.Stat(filepath.Join("..", match[1])); err != nil {
				t.Errorf("%s names %s, which does not exist", path, match[1])
			}
		}
	}
	if named < 20 {
		t.Errorf("only %d names of files were found", named)
	}
}

// The checks themselves find what they are for.
func TestDocumentationChecksFindProblems(t *testing.T) {
	const page = "# A `b` & c\n\n## Twice\n## Twice\n```\n[no](link.md)\n```\n[one](a.md) ![two](b.png \"title\") [web](https://x.y)\n"
	if got := strings.Join(linkTargets(page), " "); got != "a.md b.png" {
		t.Errorf("the links are %s", got)
	}
	if got := strings.Join(anchors(page), " "); got != "a-b--c twice twice-1" {
		t.Errorf("the anchors are %s", got)
	}
	long := strings.Repeat("word ", 20) + "beyond"
	for text, want := range map[string]int{
		long:                     1,
		"| " + long + " |":       0,
		"```\n" + long + "\n```": 0,
		"![" + long + "](x.png)": 0,
	} {
		if got := len(wideLines(text)); got != want {
			t.Errorf("%q has %d wide lines, not %d", text, got, want)
		}
	}
}

// markdownFiles are the pages for people, without those of other projects.
func markdownFiles(t *testing.T) (paths []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != ".." &&
			(strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "dist" || name == "node_modules") {
			return filepath.SkipDir
		}
		if filepath.Ext(name) == ".md" {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < 10 {
		t.Fatalf("only %d pages were found", len(paths))
	}
	return paths
}

// prose returns the lines of a page outside its code blocks. The others are empty.
func prose(page string) []string {
	lines := strings.Split(page, "\n")
	code := false
	for i, line := range lines {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		if code || fence {
			lines[i] = ""
		}
		if fence {
			code = !code
		}
	}
	return lines
}

var (
	inlineLink = regexp.MustCompile(`\]\(([^)\s]+)(?: "[^"]*")?\)`)
	scheme     = regexp.MustCompile(`^[a-z]+:`)
	namedFile  = regexp.MustCompile("`((?:bench|charts|cmd|docs|health|pgwire|release|test|tlsorigin)/[\\w./-]*)`")
)

// wideLines returns the lines of prose that are too long. Tables, images and comments do not count.
func wideLines(page string) (wide []string) {
	for _, line := range prose(page) {
		if strings.HasPrefix(line, "|") || strings.HasPrefix(line, "![") || strings.HasPrefix(line, "<!--") {
			continue
		}
		if utf8.RuneCountInString(line) > proseColumns {
			wide = append(wide, line)
		}
	}
	return wide
}

// linkTargets returns the relative targets of links and images.
func linkTargets(page string) (targets []string) {
	for _, line := range prose(page) {
		for _, match := range inlineLink.FindAllStringSubmatch(line, -1) {
			if !scheme.MatchString(match[1]) {
				targets = append(targets, match[1])
			}
		}
	}
	return targets
}

// anchors returns what GitHub makes of the headings of a page.
func anchors(page string) (names []string) {
	count := map[string]int{}
	for _, line := range prose(page) {
		heading := strings.TrimLeft(line, "#")
		if heading == line || !strings.HasPrefix(heading, " ") {
			continue
		}
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			default:
				return -1
			}
		}, strings.TrimSpace(heading))
		if count[name]++; count[name] > 1 {
			name += "-" + string(rune('0'+count[name]-1))
		}
		names = append(names, name)
	}
	return names
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
