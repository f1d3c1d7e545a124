package advice

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// root is the top of the repository.
const root = "../../../../"

// TestEveryReasonIsComplete names each field that a row lacks.
func TestEveryReasonIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range reasons() {
		lacks := func(field string, missing bool) {
			if missing {
				t.Errorf("reasons.go: the row of %q lacks %s", r.Word, field)
			}
		}
		lacks("Word", r.Word == "")
		lacks("a word of its own", seen[r.Word])
		seen[r.Word] = true
		lacks("Ends", len(r.Ends) == 0)
		lacks("Meaning", r.Meaning == "")
		lacks("Cures", len(r.Cures) == 0 && r.Word != "ok" && r.Word != "client_gone")
		lacks("Stages, because a dial ends with it", r.layer() != tlsorigin.LayerNone && len(r.Stages) == 0)
		lacks("an end in the auth phase, because check fails with it behind TLS",
			slices.Contains(r.Stages, StageAuthentication) &&
				!slices.ContainsFunc(r.Ends, func(e end) bool { return e.Phase == pgwire.PhaseAuth }))
		for _, text := range append([]string{r.Meaning}, r.allCures()...) {
			checkSentence(t, r.Word, text)
		}
		for _, c := range r.Cases {
			lacks("Cures of the case "+c.Case, len(c.Cures) == 0)
			checkSentence(t, r.Word, "If "+c.When+".")
		}
		if r.layer() != tlsorigin.LayerNone && len(variablesIn(strings.Join(r.Cures, " "))) == 0 {
			t.Errorf("%s: the cures name no variable", r.Word)
		}
	}
}

// checkSentence wants a sentence whose variables exist.
func checkSentence(t *testing.T, word, text string) {
	t.Helper()
	if text == "" {
		return // TestEveryReasonIsComplete has said so
	}
	if first := text[0]; !strings.HasSuffix(text, ".") || first != '{' && (first < 'A' || first > 'Z') {
		t.Errorf("%s: not a sentence: %q", word, text)
	}
	if n := len(strings.Fields(text)); n > 25 {
		t.Errorf("%s: %d words: %q", word, n, text)
	}
	if strings.Contains(text, config.Prefix) {
		t.Errorf("%s: a variable is a placeholder such as {TLS_CA_FILE}: %q", word, text)
	}
	for _, variable := range variablesIn(text) {
		if !slices.Contains(config.Names(), config.Prefix+variable) {
			t.Errorf("%s: there is no variable %s", word, variable)
		}
	}
}

// TestReasonsAreAgreed: a word is a promise to dashboards. Add it to this list if a page of docs/decisions
// agrees.
func TestReasonsAreAgreed(t *testing.T) {
	agreed := strings.Fields(`
		ok client_protocol client_gone client_timeout client_denied too_many_sessions draining
		upstream_dns dns_no_address upstream_refused upstream_unreachable upstream_timeout upstream_silent
		upstream_gone upstream_lost upstream_protocol
		not_postgres tls_refused tls_injection tls_protocol tls_timeout tls_alert tls_alpn
		tls_no_common tls_server_name
		cert_unknown_authority cert_name_mismatch cert_expired cert_not_yet_valid cert_revoked
		cert_pin_mismatch cert_usage cert_invalid chain_incomplete crl_missing crl_stale
		client_cert_required client_cert_rejected
		server_starting server_full pool_timeout upstream_shutdown
		auth_rejected login_abandoned auth_channel_binding login_timeout`)
	for _, word := range Words() {
		if !slices.Contains(agreed, word) {
			t.Errorf("%s has a row in reasons.go; add it to this list if a page of docs/decisions agrees", word)
		}
	}
	for _, word := range agreed {
		if !slices.Contains(Words(), word) {
			t.Errorf("%s is agreed, but has no row in reasons.go", word)
		}
	}
}

// TestEveryReasonOfTheLeavesHasARow reads the constants from the source, so that a new one cannot be
// forgotten.
func TestEveryReasonOfTheLeavesHasARow(t *testing.T) {
	var all []string
	for _, leaf := range []string{"pgwire", "tlsorigin"} {
		found := reasonConstants(t, leaf)
		if len(found) < 10 {
			t.Fatalf("%s: found only %v; has the type been renamed?", leaf, found)
		}
		for _, word := range found {
			r, ok := lookup(word)
			if !ok {
				t.Errorf("%s has the reason %q, which has no row in reasons.go", leaf, word)
			} else if leaf == "tlsorigin" && r.layer() == tlsorigin.LayerNone {
				t.Errorf("tlsorigin/errors.go: Reason.Layer lacks %q", word)
			}
			all = append(all, word)
		}
	}
	for _, word := range Words() {
		if !slices.Contains(all, word) {
			t.Errorf("reasons.go has a row for %q, which is a reason of no leaf", word)
		}
	}
}

// TestEveryCaseOfTheLeavesHasARow: a case without a row would have the cures of its reason.
func TestEveryCaseOfTheLeavesHasARow(t *testing.T) {
	declared := map[string]bool{}
	for _, leaf := range []string{"pgwire", "tlsorigin"} {
		eachFile(t, leaf, func(file *ast.File) {
			for name, word := range constantsOf(t, file, "Case") {
				if declared[word] {
					t.Errorf("%s: the case %q stands twice", name, word)
				}
				declared[word] = true
			}
		})
	}
	rows := map[string]bool{}
	for _, r := range reasons() {
		for _, c := range r.Cases {
			if !declared[c.Case] {
				t.Errorf("reasons.go: %s has the case %q, which no leaf has", r.Word, c.Case)
			}
			rows[c.Case] = true
		}
	}
	for word := range declared {
		if !rows[word] {
			t.Errorf("the case %q has no row in reasons.go", word)
		}
	}
}

// reasonConstants returns the values of the constants of type Reason in the Go files of a leaf.
func reasonConstants(t *testing.T, leaf string) []string {
	t.Helper()
	var words []string
	eachFile(t, leaf, func(file *ast.File) {
		words = slices.AppendSeq(words, maps.Values(reasonNames(t, file)))
	})
	return words
}

// reasonNames returns the constants of type Reason that a file declares with a word: words by name.
func reasonNames(t *testing.T, file *ast.File) map[string]string {
	t.Helper()
	return constantsOf(t, file, "Reason")
}

// constantsOf returns the constants of a type that a file declares with a word: words by name.
func constantsOf(t *testing.T, file *ast.File, typeName string) map[string]string {
	t.Helper()
	words := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !isNamed(spec.Type, typeName) {
			return true
		}
		for i, value := range spec.Values {
			if literal, ok := value.(*ast.BasicLit); ok {
				words[spec.Names[i].Name] = unquote(t, literal)
			}
		}
		return true
	})
	return words
}

// TestSQLStatesAreThoseOfPgwire compares the table with every Error that pgwire makes.
func TestSQLStatesAreThoseOfPgwire(t *testing.T) {
	constants := map[string]string{}
	made := map[string][]string{} // SQLSTATEs by word
	eachFile(t, "pgwire", func(file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Names) == len(spec.Values) {
				for i, name := range spec.Names {
					if literal, ok := spec.Values[i].(*ast.BasicLit); ok && literal.Kind == token.STRING {
						constants[name.Name] = unquote(t, literal)
					}
				}
			}
			return true
		})
	})
	eachFile(t, "pgwire", func(file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.CompositeLit); ok && isNamed(literal.Type, "Error") {
				if word := fieldValue(t, literal, "Kind", constants); word != "" {
					made[word] = append(made[word], fieldValue(t, literal, "State", constants))
				}
			}
			return true
		})
	})
	if len(made) < 10 {
		t.Fatalf("found only %v; has Error been changed?", made)
	}
	for word, states := range made {
		r, _ := lookup(word)
		for _, state := range states {
			known := slices.ContainsFunc(r.Ends, func(e end) bool {
				return e.SQLState == state || e.SQLState == serversOwn && state == noAnswer
			})
			if !known && (state != noAnswer || !onlyOfCancels(word)) {
				t.Errorf("pgwire ends sessions for %s with SQLSTATE %q, and the table has %v",
					word, state, r.Ends)
			}
		}
		for _, end := range r.Ends {
			if end.SQLState != serversOwn && r.layer() == tlsorigin.LayerNone &&
				!slices.Contains(states, end.SQLState) {
				t.Errorf("the table has SQLSTATE %q for %s, and pgwire makes only %q",
					end.SQLState, word, states)
			}
		}
	}
}

// onlyOfCancels reports whether pgwire gives no SQLSTATE for word to a cancel request alone, which never gets
// an answer.
func onlyOfCancels(word string) bool { return word == "too_many_sessions" || word == "login_timeout" }

// TestReasonsAreThoseOfDials: whatever a dial ends with, the table has its code.
func TestReasonsAreThoseOfDials(t *testing.T) {
	for _, word := range reasonConstants(t, "tlsorigin") {
		r, _ := lookup(word)
		state := (&tlsorigin.Error{Kind: tlsorigin.Reason(word)}).SQLState()
		if !slices.Contains(r.Ends, end{pgwire.PhaseDial, state}) {
			t.Errorf("a dial that ends for %s has SQLSTATE %s, and the table has %v", word, state, r.Ends)
		}
	}
}

// TestStagesAreThoseOfDiagnoses: check adds three stages to those of package diagnose.
func TestStagesAreThoseOfDiagnoses(t *testing.T) {
	ofCheck := []diagnose.Stage{diagnose.StageKeyExchange, StageAuthentication, StageLogin}
	for _, word := range reasonConstants(t, "tlsorigin") {
		r, _ := lookup(word)
		stages := slices.DeleteFunc(slices.Clone(r.Stages), func(s diagnose.Stage) bool {
			return slices.Contains(ofCheck, s)
		})
		if want := diagnose.StagesOf(tlsorigin.Reason(word)); !slices.Equal(stages, want) {
			t.Errorf("reasons.go: %s has the Stages %q, and StagesOf of tlsorigin/diagnose says %q",
				word, stages, want)
		}
	}
}

func TestSQLStatesOfTheDialPhase(t *testing.T) {
	for word, want := range map[string]end{
		"client_denied":    {pgwire.PhaseStartup, "28000"},
		"upstream_gone":    {pgwire.PhaseDial, "08001"},
		"upstream_refused": {pgwire.PhaseDial, "57P03"},
		"tls_refused":      {pgwire.PhaseDial, "08001"},
		"login_timeout":    {pgwire.PhaseDial, "57014"},
	} {
		if r, _ := lookup(word); !slices.Contains(r.Ends, want) {
			t.Errorf("%s ends with %v, want %v", word, r.Ends, want)
		}
	}
}

func TestClosedBy(t *testing.T) {
	for _, row := range []struct {
		word string
		end  end
		want pgwire.Closer
	}{
		{"ok", end{pgwire.PhaseRelay, noAnswer}, pgwire.ClosedByClient},
		{"cert_expired", end{pgwire.PhaseDial, cannotConnect}, pgwire.ClosedByPgorigin},
		{"tls_alert", end{pgwire.PhaseRelay, connectionLost}, pgwire.ClosedByUpstream},
		{"draining", end{pgwire.PhaseRelay, adminShutdown}, pgwire.ClosedByPgorigin},
		{"auth_rejected", end{pgwire.PhaseAuth, serversOwn}, pgwire.ClosedByUpstream},
		{"auth_rejected", end{pgwire.PhaseAuth, notAuthorized}, pgwire.ClosedByPgorigin},
	} {
		if r, _ := lookup(row.word); r.closedBy(row.end) != string(row.want) {
			t.Errorf("%s that ends as %v is closed by %s, want %s",
				row.word, row.end, r.closedBy(row.end), row.want)
		}
	}
}

// eachFile parses the Go files of a leaf and of the packages below it, without tests.
func eachFile(t *testing.T, leaf string, visit func(*ast.File)) {
	t.Helper()
	eachPath(t, leaf, func(path string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		visit(file)
	})
}

// eachPath visits the Go files in a folder of the repository and below it.
func eachPath(t *testing.T, folder string, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root+folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".go") {
			visit(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fieldValue returns the constant that a composite literal has for a field; it is empty if there is none.
func fieldValue(t *testing.T, literal *ast.CompositeLit, field string, constants map[string]string) string {
	t.Helper()
	for _, element := range literal.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok && isNamed(pair.Key, field) {
			switch value := pair.Value.(type) {
			case *ast.BasicLit:
				return unquote(t, value)
			case *ast.Ident:
				return constants[value.Name]
			case *ast.SelectorExpr:
				return constants[value.Sel.Name]
			}
		}
	}
	return ""
}

// isNamed reports whether an expression is that name, with or without a package.
func isNamed(e ast.Expr, name string) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == name
	case *ast.SelectorExpr:
		return e.Sel.Name == name
	}
	return false
}

func unquote(t *testing.T, literal *ast.BasicLit) string {
	t.Helper()
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
