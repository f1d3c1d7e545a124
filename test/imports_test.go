// Package test holds what is true of the repository as a whole.
package test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/pgorigin/pgorigin"

// leaves are the packages that know neither one another nor who logs and configures.
var leaves = []string{"pgwire", "tlsorigin", "health"}

// The import rules of the architecture: only cmd/pgorigin knows all three leaves.
func TestImports(t *testing.T) {
	for _, leaf := range leaves {
		forbidden := []string{
			"go.uber.org/zap", "github.com/kelseyhightower/envconfig", module + "/cmd", module + "/test",
			"github.com/xdg-go/stringprep",
		} // only tests need it: its tables are built at every start
		for _, other := range leaves {
			if other != leaf {
				forbidden = append(forbidden, module+"/"+other)
			}
		}
		if leaf != "tlsorigin" {
			forbidden = append(forbidden, "crypto/tls")
		}
		for file, imports := range importsBelow(t, leaf) {
			for _, path := range imports {
				if within(path, forbidden) {
					t.Errorf("%s imports %s", file, path)
				}
			}
		}
	}
}

// mayImportTLS are the files of cmd/pgorigin that may see crypto/tls: the observer, whose hook is given a
// tls.ConnectionState, its names for what it finds there, the one that reads PGORIGIN_TLS_MIN_VERSION, and the webhook's own
// certificate, which has nothing to do with the upstream.
var mayImportTLS = []string{"observe.go", "tlsnames.go", "decode.go", "keypair.go"}

func TestOnlyTheObserverOfCommandSeesTLS(t *testing.T) {
	for file, imports := range importsBelow(t, "cmd/pgorigin") {
		if slices.Contains(imports, "crypto/tls") && !slices.Contains(mayImportTLS, filepath.Base(file)) {
			t.Errorf("%s imports crypto/tls; only %s may", file, mayImportTLS)
		}
	}
}

// within says whether path is one of the packages or below one.
func within(path string, packages []string) bool {
	return slices.ContainsFunc(packages, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}

// importsBelow parses every file below a folder of the repository, tests excepted.
func importsBelow(t *testing.T, folder string) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	err := filepath.WalkDir(filepath.Join("..", folder), func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		imports[path] = []string{}
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports[path] = append(imports[path], name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(imports) == 0 {
		t.Fatalf("no Go file below %s: this test would check nothing", folder)
	}
	return imports
}
