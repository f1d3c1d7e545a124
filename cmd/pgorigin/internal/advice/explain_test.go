package advice

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

// TestEverythingIsExplained: each word has a page that fits a terminal and that leaves no placeholder.
func TestEverythingIsExplained(t *testing.T) {
	for _, word := range append(Words(), config.Names()...) {
		var page strings.Builder
		if err := Explain(&page, word); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(page.String(), word+"\n\n") || strings.ContainsAny(page.String(), "{}") {
			t.Errorf("%s:\n%s", word, page.String())
		}
		for line := range strings.Lines(page.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > safetext.Columns {
				t.Errorf("%s: a line of %d characters: %s", word, n, line)
			}
		}
	}
}

func TestExplain(t *testing.T) {
	for word, want := range map[string][]string{
		"cert_name_mismatch": {
			"not valid for the name", "dial      08001             pgorigin", "that fail with it: name.",
			"- Set PGORIGIN_TLS_SERVER_NAME to",
		},
		"tls_server_name": {
			"PGORIGIN_TLS_SERVER_NAME\n", "Scope     each origin", "Cures     upstream_dns, tls_server_name, cert_name_mismatch",
		},
		"tls_timeout":                    {"57P03 means that the failure may pass"},
		"PGORIGIN_REPORTING_LISTEN_ADDR": {"PGORIGIN_LISTEN_ADDR\n"},
		"DIAL_TIMEOUT":                   {"Default   10s", "Scope     the whole process", "tls_timeout"},
	} {
		var page strings.Builder
		if err := Explain(&page, word); err != nil {
			t.Fatal(err)
		}
		for _, part := range want {
			if !strings.Contains(page.String(), part) {
				t.Errorf("%s lacks %q:\n%s", word, part, page.String())
			}
		}
	}
	for word, nearest := range map[string]string{
		"cert_expird": "cert_expired", "PGORIGIN_TLS_CAFILE": "PGORIGIN_TLS_CA_FILE",
		"tls_cafile": "PGORIGIN_TLS_CA_FILE", "PGORIGIN_LOG_TLS_CA_FILE": "PGORIGIN_TLS_CA_FILE",
		"": "", "\x1b[2J": "",
	} {
		var page strings.Builder
		var unknown *UnknownWordError
		err := Explain(&page, word)
		if !errors.As(err, &unknown) || unknown.Nearest != nearest || page.Len() > 0 {
			t.Errorf("%q: %v, %q", word, err, page.String())
		}
	}
}
