package tlsorigin

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func TestQuote(t *testing.T) {
	for _, row := range []struct{ name, in, want string }{
		{"plain", "db.internal", `"db.internal"`},
		{"empty", "", `""`},
		{"escape sequence", "\x1b[2J\x1b]0;owned\x07db", `"�[2J�]0;owned�db"`},
		{"C1 control", "a\u009b31mb", `"a�31mb"`},
		{"lines", "a\r\nFATAL: b\x00c", `"a�FATAL: b�c"`},
		{"quotes cannot end the quote", `a", not "b`, `"a', not 'b"`},
		{"right-to-left and zero-width", "a\u202eb\u200bc\u2028d", `"a�b�c�d"`},
		{"invalid UTF-8", "a\xff\xc3(b", `"a�(b"`},
		{"other scripts stay", "дб-日本", `"дб-日本"`},
		{"long", strings.Repeat("x", 10_000), `"` + strings.Repeat("x", maxQuoted) + `…"`},
		{"just fits", strings.Repeat("x", maxQuoted), `"` + strings.Repeat("x", maxQuoted) + `"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := quote(row.in); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"", "db.internal", "\x1b[31m\"\n\u202e\xff", strings.Repeat("日", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if problem := unfit(quote(s)); problem != "" {
			t.Errorf("quote(%q) = %q: %s", s, quote(s), problem)
		}
	})
}

// unfit says why a quoted text should not be shown.
func unfit(q string) string {
	inner, quoted := strings.CutPrefix(q, `"`)
	inner, ended := strings.CutSuffix(inner, `"`)
	switch {
	case !quoted || !ended || strings.Contains(inner, `"`):
		return "quotes"
	case !utf8.ValidString(q):
		return "invalid UTF-8"
	case utf8.RuneCountInString(inner) > maxQuoted+1:
		return "too long"
	case strings.ContainsFunc(q, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "unprintable"
	}
	return ""
}

// hostileNames try to end a line, paint a terminal, forge a second field and fill a log.
func hostileNames() []string {
	return []string{
		"\x1b[2J\x1b[31mFATAL",
		"a\nreason=ok\r\nb",
		strings.Repeat("A", 10_000),
		"x\xff\xfe\x80y",
		`db.test", trust me "`,
		"\u202etset.bd\u200f",
	}
}

func checkSafe(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("text %q has characters that must not be shown", text)
	}
	if len(text) > maxErrorText {
		t.Errorf("text has %d bytes", len(text))
	}
	if strings.Count(text, `"`)%2 != 0 {
		t.Errorf("text %q has a quote too many", text)
	}
}

func TestHostileCertificateTexts(t *testing.T) {
	now := time.Now()
	for _, name := range hostileNames() {
		many := strings.Split(strings.Repeat(name+"|", 20), "|")
		certs := []*x509.Certificate{
			{Subject: pkix.Name{CommonName: name}, Issuer: pkix.Name{CommonName: name}, RawSubject: []byte("a"), RawIssuer: []byte("b")},
			{Subject: pkix.Name{Organization: many}, Issuer: pkix.Name{Organization: many}, RawSubject: []byte("a"), RawIssuer: []byte("b")},
			{DNSNames: many, RawSubject: []byte("a"), RawIssuer: []byte("a")},
			{DNSNames: many, IPAddresses: []net.IP{nil, []byte(name)[:2]}},
		}
		for _, cert := range certs {
			cert.NotAfter = now.Add(-time.Hour)
			sent := []*x509.Certificate{cert, cert}
			checkSafe(t, nameText(cert, testName))
			checkSafe(t, authorityText(sent))
			for _, err := range []error{x509.UnhandledCriticalExtension{}, net.ErrClosed} {
				checkSafe(t, explain(err, sent, now).text)
			}
			for reason := x509.NotAuthorizedToSign; reason <= x509.NoValidChains+1; reason++ {
				checkSafe(t, explain(x509.CertificateInvalidError{Cert: cert, Reason: reason, Detail: name}, sent, now).text)
			}
		}
	}
}

func TestHostileNamesOverTheWire(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	for _, name := range hostileNames() {
		if !utf8.ValidString(name) {
			continue // cannot be encoded by crypto/x509; TestHostileCertificateTexts has it
		}
		evil := tlstest.NewCA(name, tlstest.P256)
		for _, pair := range []*tlstest.Pair{
			ca.Issue(tlstest.Leaf{CommonName: name}),
			evil.Issue(tlstest.Leaf{CommonName: name, DNSNames: []string{testName}}),
			ca.Issue(tlstest.Leaf{CommonName: name, DNSNames: []string{testName}, NotAfter: time.Now().Add(-time.Hour)}),
			ca.Issue(tlstest.Leaf{CommonName: name, DNSNames: []string{testName}, KeyUsage: x509.KeyUsageKeyEncipherment}),
		} {
			p := startPeer(t, presents(pair))
			failure := dialFailure(t, newTestDialer(t, ca, nil, p.addr))
			if failure.Kind.layer() != layerCertificate {
				t.Errorf("%q: reason %s, want one about certificates", name, failure.Kind)
			}
			checkSafe(t, failure.Error())
		}
	}
}
