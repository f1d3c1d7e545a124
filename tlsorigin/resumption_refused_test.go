package tlsorigin

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// TestServerThatCannotResume: it has handed out what it does not take back. No connection is lost by that.
func TestServerThatCannotResume(t *testing.T) {
	r := newResuming(t, nil)
	var unwrapped atomic.Int32
	r.server.UnwrapSession = func([]byte, tls.ConnectionState) (*tls.SessionState, error) {
		unwrapped.Add(1)
		return nil, errors.New("there is no context")
	}
	for range 4 {
		if r.connect(t) {
			t.Error("it has resumed after all")
		}
	}
	if unwrapped.Load() != 1 || len(r.attempts) != 5 || r.attempts[1].Err == nil {
		t.Errorf("a session was offered %d times, in %d attempts", unwrapped.Load(), len(r.attempts))
	}
	if _, known := r.only(t); known.state != nil || time.Until(known.until) <= 0 {
		t.Errorf("what is left is %+v, want a bar for a while", known)
	}
}

// Nor does it last if the server complains of a resumption only after its handshake.
func TestServerThatComplainsLater(t *testing.T) {
	r := newResuming(t, nil)
	r.server.VerifyConnection = func(cs tls.ConnectionState) error {
		if cs.DidResume {
			return errors.New("not like this")
		}
		return nil
	}
	r.connect(t)
	conn, err := r.dialer.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var failure *Error
	if _, err := conn.Read(make([]byte, 1)); !errors.As(err, &failure) {
		t.Errorf("%v, want an alert", err)
	}
	if r.connect(t) {
		t.Error("a session is offered again")
	}
}
