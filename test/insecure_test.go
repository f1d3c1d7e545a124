package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The verification of crypto/tls has no budget and cannot leave out the name alone, so tlsorigin replaces it. One function
// does, and nothing else in the product, the tests' own servers and clients apart, switches that verification off.
func TestOneFunctionReplacesVerification(t *testing.T) {
	const allowed = "tlsorigin/state.go: replaceVerification"
	found := map[string]int{}
	err := filepath.WalkDir("..", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, declared := range file.Decls {
			name := "(top level)"
			if function, ok := declared.(*ast.FuncDecl); ok {
				name = function.Name.Name
			}
			ast.Inspect(declared, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && id.Name == "InsecureSkipVerify" {
					found[strings.TrimPrefix(filepath.ToSlash(path), "../")+": "+name]++
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for place, times := range found {
		if place != allowed || times != 1 {
			t.Errorf("%s mentions InsecureSkipVerify (%d times)", place, times)
		}
	}
	if found[allowed] == 0 {
		t.Errorf("%s does not mention InsecureSkipVerify: this test would check nothing", allowed)
	}
}
