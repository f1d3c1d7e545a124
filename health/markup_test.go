package health

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

func TestTextsAreEscaped(t *testing.T) {
	for in, want := range map[string]string{
		`<b>&"'`:               "&lt;b&gt;&amp;&#34;&#39;",
		"&lt;":                 "&amp;lt;",
		"a\x00b\x1b[31mc\r\nd": "a\ufffdb\ufffd[31mc\ufffd\ufffdd",
		"\u202egnp.exe\u2066":  "\ufffdgnp.exe\ufffd",
		"\u0085\u2028\u200b":   "\ufffd\ufffd\ufffd",
		"\xff\xfe":             "\ufffd\ufffd",
		"Zoë שלום 日本 ✓":        "Zoë שלום 日本 ✓",
	} {
		var out strings.Builder
		el("p.a.b", attr("title", in), text(in)).write(&out)
		if full := `<p class="a b" title="` + want + `">` + want + "</p>\n"; out.String() != full {
			t.Errorf("%q becomes %q, want %q", in, out.String(), full)
		}
	}
}

func TestLongTextsAreCut(t *testing.T) {
	var out strings.Builder
	text(strings.Repeat("é<", 10<<10)).write(&out)
	if want := strings.Repeat("é&lt;", maxPageText/2) + "…"; out.String() != want {
		t.Errorf("the text has %d bytes, want %d", out.Len(), len(want))
	}
}

// The compiler lets only constants become markup, unless somebody converts; nobody does. The one variable of that type is
// the embedded style sheet.
func TestNothingIsMadeMarkup(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && id.Name == "markup" {
				seen++
			}
			if call, ok := n.(*ast.CallExpr); ok {
				if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "markup" {
					t.Errorf("%s converts something to markup", name)
				}
			}
			return true
		})
	}
	if seen == 0 {
		t.Error("there is no type markup any more")
	}
}
