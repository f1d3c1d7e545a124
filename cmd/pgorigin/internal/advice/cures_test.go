package advice

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// documented is the closed vocabulary of reasons as the design has it, in its order.
const documented = `ok client_protocol client_gone client_timeout client_denied too_many_sessions draining
	upstream_dns upstream_refused upstream_unreachable upstream_timeout upstream_gone upstream_lost upstream_protocol
	tls_refused tls_injection tls_protocol tls_timeout tls_alert tls_alpn
	cert_unknown_authority cert_name_mismatch cert_expired cert_not_yet_valid cert_revoked cert_pin_mismatch cert_usage cert_invalid
	client_cert_rejected auth_rejected auth_channel_binding login_timeout`

func TestReasonsAreTheDocumentedOnes(t *testing.T) {
	if want := strings.Fields(documented); !slices.Equal(Reasons(), want) {
		t.Errorf("reasons are %v,\nwant %v", Reasons(), want)
	}
}

// TestEveryReasonOfTheLeavesHasARow reads the constants from the source, so that a new one cannot be forgotten.
func TestEveryReasonOfTheLeavesHasARow(t *testing.T) {
	for _, leaf := range []string{"pgwire", "tlsorigin"} {
		found := reasonConstants(t, "../../../../"+leaf)
		if len(found) < 10 {
			t.Fatalf("%s: found only %v; has the type been renamed?", leaf, found)
		}
		for _, reason := range found {
			if !slices.Contains(Reasons(), reason) {
				t.Errorf("%s has the reason %q, which has no row in cures.go", leaf, reason)
			}
			if leaf == "tlsorigin" && !slices.Contains(DialReasons(), reason) {
				t.Errorf("a dial may end with %q, which is no dial reason", reason)
			}
		}
	}
}

// reasonConstants returns the values of the constants of type Reason in the Go files of dir.
func reasonConstants(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no Go files in %s: %v", dir, err)
	}
	var reasons []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != "Reason" {
				return true
			}
			for _, value := range spec.Values {
				word, err := strconv.Unquote(value.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				reasons = append(reasons, word)
			}
			return true
		})
	}
	return reasons
}

// TestCuresNameSettings: a cure names only variables of this version, and one sentence at least says what to do.
func TestCuresNameSettings(t *testing.T) {
	variable := regexp.MustCompile(`PGORIGIN_[A-Z_]+`)
	nothingToDo := []string{"ok", "client_gone"}
	for _, row := range cures() {
		if (row.cure == "") != slices.Contains(nothingToDo, row.reason) {
			t.Errorf("%s: cure %q", row.reason, row.cure)
		}
		if row.cure != "" && !strings.HasSuffix(row.cure, ".") {
			t.Errorf("%s: a hint is a sentence: %q", row.reason, row.cure)
		}
		for _, name := range variable.FindAllString(row.cure, -1) {
			if !slices.Contains(config.Names(), name) {
				t.Errorf("%s: %s is no setting of this version", row.reason, name)
			}
		}
		blamesUpstream := strings.HasPrefix(row.reason, "upstream_") || strings.HasPrefix(row.reason, "cert_") || strings.HasPrefix(row.reason, "tls_")
		if blamesUpstream && !variable.MatchString(row.cure) {
			t.Errorf("%s: the cure names no variable", row.reason)
		}
	}
}

func TestHint(t *testing.T) {
	for _, row := range []struct {
		err  error
		want string
	}{
		{&tlsorigin.Error{Kind: tlsorigin.ReasonCertNameMismatch}, "PGORIGIN_TLS_SERVER_NAME"},
		{fmt.Errorf("dial: %w", &tlsorigin.Error{Kind: tlsorigin.ReasonCertUnknownAuthority}), "PGORIGIN_TLS_CA_FILE"},
		{&pgwire.Error{Kind: pgwire.ReasonTooManySessions}, "PGORIGIN_MAX_SESSIONS"},
		{&pgwire.Error{Kind: pgwire.ReasonUpstreamUnreached, Err: errors.New("x")}, "PGORIGIN_UPSTREAM_ADDR"},
	} {
		if got := Hint(row.err); !strings.Contains(got, row.want) {
			t.Errorf("hint(%v) = %q, want %s in it", row.err, got, row.want)
		}
	}
	for _, err := range []error{nil, errors.New("x"), &pgwire.Error{Kind: pgwire.ReasonClientGone}, &pgwire.Error{Kind: "new"}} {
		if got := Hint(err); got != "" {
			t.Errorf("hint(%v) = %q", err, got)
		}
	}
}
