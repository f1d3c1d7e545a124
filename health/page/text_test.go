package page

import (
	"bytes"
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/valyala/quicktemplate/parser"
)

func TestInvisibleCharactersAreShown(t *testing.T) {
	for in, want := range map[string]string{
		`<b>&"'`:               `<b>&"'`,
		"a\x00b\x1b[31mc\r\nd": "a\ufffdb\ufffd[31mc\ufffd\ufffdd",
		"\u202egnp.exe\u2066":  "\ufffdgnp.exe\ufffd",
		"\u0085\u2028\u200b":   "\ufffd\ufffd\ufffd",
		"\xff\xfe":             "\ufffd\ufffd",
		"Zoë שלום 日本 ✓":        "Zoë שלום 日本 ✓",
	} {
		if got := text(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestLongTextsAreCut(t *testing.T) {
	if got, want := text(strings.Repeat("é<", 10<<10)), strings.Repeat("é<", maxText/2)+"…"; got != want {
		t.Errorf("the text has %d bytes, want %d", len(got), len(want))
	}
}

// A template escapes every text, unless its tag says not to. Only the tag of the style sheet does.
func TestOnlyTheStyleSheetIsUnescaped(t *testing.T) {
	tags := []string{}
	for _, name := range templates(t) {
		tags = append(tags, regexp.MustCompile(`\{%-? *[a-z]+=.*?%\}`).FindAllString(read(t, name), -1)...)
	}
	if len(tags) != 1 || tags[0] != "{%s= styleSheet %}" {
		t.Errorf("unescaped are %q", tags)
	}
}

// The compiled templates are those of the HTML files.
func TestTemplatesAreCompiled(t *testing.T) {
	for _, name := range templates(t) {
		var code bytes.Buffer
		if err := parser.ParseNoLineComments(&code, strings.NewReader(read(t, name)), name, "page"); err != nil {
			t.Fatal(err)
		}
		want, err := format.Source(code.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if read(t, name+".go") != string(want) {
			t.Errorf("%s.go is not compiled from %s; run go generate ./health/page", name, name)
		}
	}
}

func templates(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("*.html")
	if err != nil || len(names) == 0 {
		t.Fatalf("templates are %q, %v", names, err)
	}
	return names
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
