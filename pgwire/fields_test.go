package pgwire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// fieldRow has two values of a field of Server. A client sees another session with the one than with the
// other.
type fieldRow struct {
	one, other any           // nil means the zero value
	besides    func(*Server) // sets other fields; nil means none
}

func fieldRows() map[string]fieldRow {
	failure := errors.New("no")
	return map[string]fieldRow{
		"DialSession": {nil, func(context.Context, func(func())) (Opened, error) { return Opened{}, failure }, nil},
		"Hint": {
			nil, func(error) string { return "try another method" },
			func(s *Server) { s.RequireAuth = methodMD5 },
		},
		"Allow":          {nil, func(net.Conn) error { return failure }, nil},
		"ChannelBinding": {StripChannelBinding, PassChannelBinding, nil},
		"RequireAuth":    {nil, methodMD5, nil},
		"Password": {
			nil, func() (string, error) { return "secret", nil },
			func(s *Server) { s.ChannelBinding = BridgeChannelBinding },
		},
		"LoginTimeout": {time.Second, 2 * time.Second, nil},
		"MaxSessions":  {nil, 1, nil},
		"Capacity":     {nil, &Capacity{Sessions: 1, SessionsFrom: "the test"}, nil},
	}
}

// TestEveryFieldMatters finds a field that is documented and set, and never used. Dial, Trace and StartTLS have no
// row: without them other tests fail.
func TestEveryFieldMatters(t *testing.T) {
	rows := fieldRows()
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Server]()) {
		if !field.IsExported() || slices.Contains([]string{"Dial", "Trace", "StartTLS"}, field.Name) {
			continue
		}
		row, ok := rows[field.Name]
		if !ok {
			t.Errorf("%s has no row: show what it changes", field.Name)
			continue
		}
		delete(rows, field.Name)
		t.Run(field.Name, func(t *testing.T) {
			seen := func(value any) string {
				return secondOfTwo(t, func(s *Server) {
					if row.besides != nil {
						row.besides(s)
					}
					if value != nil {
						reflect.ValueOf(s).Elem().FieldByIndex(field.Index).Set(reflect.ValueOf(value))
					}
				})
			}
			if one, other := seen(row.one), seen(row.other); one == other {
				t.Errorf("%s changes nothing: two values of it, and both times %s", field.Name, one)
			}
		})
	}
	for name := range rows {
		t.Errorf("there is a row for %s, and no such field", name)
	}
}

// secondOfTwo returns what the second of two clients received, and when its connection was closed. The
// upstream offers SCRAM, and the clients do not answer.
func secondOfTwo(t *testing.T, configure func(*Server)) (seen string) {
	offer := pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
	synctest.Test(t, func(t *testing.T) {
		s, ln, served := &Server{Dial: func(context.Context, net.Addr) (Upstream, error) {
			near, far := halfClosablePipe()
			go func() { _, _ = far.Write(offer) }()
			go func() { _, _ = io.Copy(io.Discard, far); _ = far.Close() }()
			return pgtest.NewUpstream(near), nil
		}}, pgtest.NewListener(), make(chan error, 1)
		configure(s)
		go func() { served <- s.Serve(ln) }()
		connect := func() net.Conn {
			near, far := halfClosablePipe()
			ln.Hand(near)
			go func() { _, _ = far.Write(pgtest.Startup("user", "app")) }()
			synctest.Wait()
			return far
		}
		first, second := connect(), connect()
		go func() { _, _ = io.Copy(io.Discard, first) }()
		began := time.Now()
		received, _ := io.ReadAll(second)
		seen = fmt.Sprintf("%q in %v", received, time.Since(began))
		_, _ = first.Close(), second.Close()
		_ = s.Close()
		<-served
	})
	return seen
}
