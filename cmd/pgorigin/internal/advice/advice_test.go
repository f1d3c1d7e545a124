package advice

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

func TestHint(t *testing.T) {
	origin := new(config.Origin)
	origin.Auth.PasswordFile = "/run/secrets/password"
	cures := NewCures(origin)
	for _, row := range []struct {
		err  error
		want string
	}{
		{&pgwire.Error{Kind: pgwire.ReasonAuthRejected, Case: pgwire.CaseStalePassword}, "/run/secrets/password"},
		{&pgwire.Error{Kind: pgwire.ReasonAuthRejected, Case: pgwire.CasePasswordUnreadable}, "/run/secrets/password"},
		{&tlsorigin.Error{Kind: tlsorigin.ReasonCertNameMismatch}, "Set PGORIGIN_TLS_SERVER_NAME"},
		{
			fmt.Errorf("dial: %w", &tlsorigin.Error{Kind: tlsorigin.ReasonCertUnknownAuthority}),
			"Set PGORIGIN_TLS_CA_FILE",
		},
		{&tlsorigin.Error{Kind: tlsorigin.ReasonUpstreamRefused, Waited: 14 * time.Second}, "raise PGORIGIN_UPSTREAM_WAIT"},
		{&pgwire.Error{Kind: pgwire.ReasonTooManySessions, Case: pgwire.CaseMaxSessions}, "PGORIGIN_MAX_SESSIONS"},
		{&pgwire.Error{Kind: pgwire.ReasonUpstreamUnreached, Err: errors.New("x")}, "PGORIGIN_UPSTREAM_ADDR"},
	} {
		if got := cures.Hint(row.err); !strings.Contains(got, row.want) {
			t.Errorf("hint(%v) = %q, want %s in it", row.err, got, row.want)
		}
	}
	for what, err := range map[string]error{
		"has not waited":                  &tlsorigin.Error{Kind: tlsorigin.ReasonUpstreamRefused},
		"cannot be helped by a long wait": &tlsorigin.Error{Kind: tlsorigin.ReasonCertUnknownAuthority, Waited: 2 * time.Second},
	} {
		if got := cures.Hint(err); strings.Contains(got, "UPSTREAM_WAIT") {
			t.Errorf("a client that %s is told %q", what, got)
		}
	}
	if got := cures.Hint(&pgwire.Error{Kind: pgwire.ReasonClientProtocol}); strings.Contains(got, "TLS") {
		t.Errorf("a client that has TLS already is told %q", got)
	}
	for _, err := range []error{
		nil, errors.New("x"), &pgwire.Error{Kind: pgwire.ReasonClientGone}, &pgwire.Error{Kind: "new"},
	} {
		if got := cures.Hint(err); got != "" {
			t.Errorf("hint(%v) = %q", err, got)
		}
	}
}

func TestWithCause(t *testing.T) {
	cause := errors.New("EOF")
	for _, row := range []struct {
		name string
		err  error
		want string
	}{
		{"nothing hidden", fmt.Errorf("read: %w", cause), "read: EOF"},
		{"of a session", &pgwire.Error{Text: "the client is gone", Err: cause}, "the client is gone: EOF"},
		{
			"of a dial", fmt.Errorf("dial: %w", &tlsorigin.Error{Addr: "db:1", Text: "is gone", Err: cause}),
			"dial: upstream db:1: is gone: EOF",
		},
		{"no cause", &pgwire.Error{Text: "the client is gone"}, "the client is gone"},
		{
			"a certificate, which the text explains",
			&tlsorigin.Error{Addr: "db:1", Text: "is for others", Err: cause, Peer: new(tlsorigin.PeerCertificate)},
			"upstream db:1: is for others",
		},
	} {
		if got := WithCause(row.err); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}
