package advice

import (
	"slices"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// A word of the user's stays what it is, also when a field of tlsorigin.Config has the same name.
func TestWarningsRepeatUserDataUnchanged(t *testing.T) {
	warning := tlsorigin.Warning{Field: "CAFile", Text: `certificate "PostQuantum Test CA" expired`}
	want := `PGORIGIN_TLS_CA_FILE: certificate "PostQuantum Test CA" expired`
	if got := Warning(new(config.Origin), warning); got != want {
		t.Errorf("warning is %q, want %q", got, want)
	}
}

// TestVerificationSaysWhatIsVerified: the line is what people read in the log, /statusz and the page to know
// what the upstream has to prove. Where the roots come from is said by Roots, beside it.
func TestVerificationSaysWhatIsVerified(t *testing.T) {
	others := map[string]string{
		"TLS_SERVER_NAME": "other.internal",
		"TLS_VERIFY":      "verify-ca",
		"TLS_CRL_FILE":    "/crl.pem",
		"TLS_PINS":        "sha256/a=",
	}
	elsewhere := []string{"TLS_CA_FILE", "TLS_CA_PEM"}
	line := func(env ...string) string {
		s, _, problems := config.Load(append(env, "PGORIGIN_UPSTREAM_ADDR=db.internal"))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return Verification(&s.Origin)
	}
	verify, _ := config.Lookup("TLS_VERIFY")
	before := line()
	for _, v := range config.Variables() {
		if v.Section != verify.Section || slices.Contains(elsewhere, v.Word) {
			continue
		}
		value, ok := others[v.Word]
		if !ok {
			t.Errorf("%s has no row: give it another value, and say in Verification what it demands", v.Word)
			continue
		}
		if line(v.Name()+"="+value) == before {
			t.Errorf("%s=%s does not show in %q", v.Word, value, before)
		}
	}
}
