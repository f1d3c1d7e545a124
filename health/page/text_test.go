package page

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
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

// html/template escapes every value, unless it has one of the types that say "trust me". Only the embedded
// style sheet has one.
func TestOnlyTheStyleSheetIsTrusted(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	trusted := []string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			of, ok := call.Fun.(*ast.SelectorExpr)
			if ok {
				switch of.Sel.Name {
				case "CSS", "HTML", "HTMLAttr", "JS", "JSStr", "Srcset", "URL":
					trusted = append(trusted, name+": "+of.Sel.Name)
				}
			}
			return true
		})
	}
	if len(trusted) != 1 || trusted[0] != "page.go: CSS" {
		t.Errorf("trusted are %q", trusted)
	}
}
