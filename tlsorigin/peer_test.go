package tlsorigin

import (
	"errors"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

const testName = peertest.Name

// newTestDialer returns a Dialer for addr that trusts ca and expects testName, changed by change.
func newTestDialer(t testing.TB, ca *tlstest.CA, change func(*Config), addrs ...string) *Dialer {
	t.Helper()
	cfg := Config{Addrs: addrs, ServerName: testName, CAPEM: string(ca.PEM())}
	if change != nil {
		change(&cfg)
	}
	d, err := NewDialer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// dialFailure dials and returns the *Error that comes of it.
func dialFailure(t *testing.T, d *Dialer) *Error {
	t.Helper()
	conn, err := d.Dial(t.Context(), nil)
	if err == nil {
		conn.Close()
		t.Fatal("Dial succeeded")
	}
	var failure *Error
	if !errors.As(err, &failure) {
		t.Fatalf("Dial returned a %T (%v), want an *Error", err, err)
	}
	return failure
}
