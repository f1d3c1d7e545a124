package advice

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// TestEveryReasonIsGiven: a constant that only has its declaration and its place in lists ends no session. The
// same holds for cases.
func TestEveryReasonIsGiven(t *testing.T) {
	declared := map[string]string{} // word by name, such as tlsorigin.ReasonTLSAlert
	given := map[string]bool{}      // names
	for _, leaf := range []string{"pgwire", "tlsorigin"} {
		eachFile(t, leaf, func(file *ast.File) {
			for _, typeName := range []string{"Reason", "Case"} {
				for name, word := range constantsOf(t, file, typeName) {
					declared[file.Name.Name+"."+name] = word
				}
			}
			for _, name := range givenNames(file) {
				given[name] = true
			}
		})
	}
	if len(declared) < len(Words()) {
		t.Fatalf("found only %v; has the type been renamed?", declared)
	}
	for name, word := range declared {
		if !given[name] {
			t.Errorf("nothing returns %s, so no session ends for %q", name, word)
		}
	}
}

// givenNames returns the names that the functions of a file use, with the name of their package. It leaves
// out case clauses, comparisons and slices of names, because these only ask for a reason.
func givenNames(file *ast.File) []string {
	var names []string
	var visit func(ast.Node) bool
	visit = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			return false
		case *ast.CompositeLit:
			_, isSlice := n.Type.(*ast.ArrayType)
			isTable := len(n.Elts) > 0
			if isTable {
				_, isTable = n.Elts[0].(*ast.CompositeLit)
			}
			if isSlice && !isTable {
				return false
			}
		case *ast.CaseClause:
			for _, statement := range n.Body {
				ast.Inspect(statement, visit)
			}
			return false
		case *ast.SelectorExpr:
			if of, ok := n.X.(*ast.Ident); ok {
				names = append(names, of.Name+"."+n.Sel.Name)
				return false
			}
		case *ast.Ident:
			names = append(names, file.Name.Name+"."+n.Name)
		}
		return true
	}
	for _, declaration := range file.Decls {
		if function, ok := declaration.(*ast.FuncDecl); ok && function.Body != nil {
			ast.Inspect(function.Body, visit)
		}
	}
	return names
}

// TestEveryReasonHasATest wants the word or the constant in a test or in a script of peertest. Tests of this
// package do not count, because they list all words.
func TestEveryReasonHasATest(t *testing.T) {
	constants := map[string]string{} // names by word
	for _, leaf := range []string{"pgwire", "tlsorigin"} {
		eachFile(t, leaf, func(file *ast.File) {
			for name, word := range reasonNames(t, file) {
				if strings.HasPrefix(name, "Reason") {
					constants[word] = name
				}
			}
		})
	}
	tested := map[string]bool{} // words and names
	token := regexp.MustCompile(`\b(Reason\w+|[a-z]+(_[a-z]+)*)\b`)
	for _, folder := range []string{"pgwire", "tlsorigin", "cmd", "test"} {
		eachPath(t, folder, func(path string) {
			isTest := strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/peertest/")
			if !isTest || filepath.Base(filepath.Dir(path)) == "advice" {
				return
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range token.FindAll(text, -1) {
				tested[string(found)] = true
			}
		})
	}
	for _, word := range Words() {
		if !tested[word] && !tested[constants[word]] {
			t.Errorf("no test names %q", word)
		}
	}
}

// TestReasonsHaveTheirLayer: when several addresses fail, a dial reports the failure in the highest layer. A
// reason in too high a layer hides the others.
func TestReasonsHaveTheirLayer(t *testing.T) {
	want := map[string]tlsorigin.Layer{}
	for layer, words := range map[tlsorigin.Layer]string{
		tlsorigin.LayerNetwork: `upstream_dns dns_no_address upstream_refused upstream_unreachable
			upstream_timeout upstream_silent upstream_gone upstream_lost`,
		tlsorigin.LayerTLS: `not_postgres tls_refused tls_injection tls_protocol tls_timeout tls_alert tls_alpn
			tls_no_common tls_server_name`,
		tlsorigin.LayerCertificate: `cert_unknown_authority cert_name_mismatch cert_expired cert_not_yet_valid
			cert_revoked cert_pin_mismatch cert_usage cert_invalid chain_incomplete crl_missing crl_stale
			client_cert_required client_cert_rejected`,
	} {
		for _, word := range strings.Fields(words) {
			want[word] = layer
		}
	}
	for _, word := range reasonConstants(t, "tlsorigin") {
		layer, ok := want[word]
		if !ok {
			t.Errorf("%s is not in this table", word)
		} else if got := tlsorigin.Reason(word).Layer(); got != layer {
			t.Errorf("%s has the layer %d, want %d", word, got, layer)
		}
	}
}
