package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// A word of the user's stays what it is, also when a field of tlsorigin.Config has the same name.
func TestProblemsRepeatUserDataUnchanged(t *testing.T) {
	o := new(Origin)
	mismatch := errors.New(`does not fit the first certificate of "/etc/Groups/Pins/tls.crt"`)
	problems := o.DialerProblems(errors.Join(
		&tlsorigin.ConfigError{Field: "KeyFile", Value: "/etc/Groups/tls.key", Problem: tlsorigin.ProblemUnusable, Err: mismatch},
		&tlsorigin.ConfigError{Field: "CAPEM", Problem: tlsorigin.ProblemTwice, Others: []string{"CAFile"}},
	), nil)
	if len(problems) != 2 || !strings.Contains(problems[0].String(), `PGORIGIN_TLS_KEY_FILE: saw "/etc/Groups/tls.key": `+mismatch.Error()) {
		t.Fatalf("problems are %v", problems)
	}
	if want := "is set although PGORIGIN_TLS_CA_FILE is set, too"; !strings.Contains(problems[1].String(), want) {
		t.Errorf("%q lacks %q", problems[1], want)
	}
}
