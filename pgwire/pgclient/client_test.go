package pgclient

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// saidConn is a connection whose far end has said everything already.
type saidConn struct {
	pgwire.Upstream
	said io.Reader
	sent bytes.Buffer
}

func (c *saidConn) Read(p []byte) (int, error)  { return c.said.Read(p) }
func (c *saidConn) Write(p []byte) (int, error) { return c.sent.Write(p) }

func TestGreet(t *testing.T) {
	request := func(body string) []byte { return pgtest.Message('R', body) }
	sasl := pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
	both := []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}
	for name, row := range map[string]struct {
		said []byte
		want []string
		err  string // in the text; empty: none
	}{
		"trust":                        {pgtest.AuthenticationOk(), []string{"none"}, ""},
		"cleartext":                    {request("\x00\x00\x00\x03"), []string{"password"}, ""},
		"md5":                          {request("\x00\x00\x00\x05salt"), []string{"md5"}, ""},
		"gss":                          {request("\x00\x00\x00\x07"), []string{"gss"}, ""},
		"unknown request":              {request("\x00\x00\x00\x63"), nil, "authentication request 99, which"},
		"scram":                        {sasl, both, ""},
		"behind a notice":              {slices.Concat(pgtest.Message('N', "SNOTICE\x00Mhello\x00\x00"), sasl), both, ""},
		"behind a protocol version":    {slices.Concat(pgtest.Message('v', "\x00\x03\x00\x00\x00\x00\x00\x00"), sasl), both, ""},
		"mechanism of control letters": {request("\x00\x00\x00\x0a\x1b[2J\x00\x00"), []string{"??2J"}, ""},
		"refusal":                      {pgtest.ErrorResponse("28000", "no\x1b entry"), nil, "SQLSTATE 28000: no"},
		"no code":                      {request("\x00"), nil, "malformed"},
		"list without end":             {request("\x00\x00\x00\x0aab"), nil, "malformed"},
		"empty list":                   {request("\x00\x00\x00\x0a\x00"), nil, "malformed"},
		"empty name":                   {request("\x00\x00\x00\x0a\x00\x00"), nil, "malformed"},
		"too many names":               {request("\x00\x00\x00\x0a" + strings.Repeat("A\x00", 30) + "\x00"), nil, "malformed"},
		"length below its own size":    {[]byte("R\x00\x00\x00\x03"), nil, "impossible length"},
		"huge length":                  {[]byte("R\x7f\xff\xff\xff"), nil, "impossible length"},
		"negative length":              {[]byte("R\xff\xff\xff\xff"), nil, "impossible length"},
		"unexpected message":           {pgtest.ReadyForQuery('I'), nil, "type 'Z' in place of 'R'"},
		"notices without end":          {bytes.Repeat(pgtest.Message('N', "\x00"), 1000), nil, "too many messages"},
		"nothing":                      {nil, nil, "EOF"},
		"cut in the header":            {[]byte("R\x00"), nil, "EOF"},
		"cut in the body":              {[]byte("R\x00\x00\x00\x0c\x00"), nil, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, said := range []io.Reader{bytes.NewReader(row.said), iotest.OneByteReader(bytes.NewReader(row.said))} {
				conn := &saidConn{said: said}
				c, err := Greet(conn, "app", "db", "test")
				if row.err != "" {
					if err == nil || !strings.Contains(err.Error(), row.err) {
						t.Errorf("error %v, want %q in it", err, row.err)
					}
				} else if err != nil || !slices.Equal(c.Methods(), row.want) {
					t.Errorf("%+v, %v; want %v", c, err, row.want)
				}
				want := pgtest.Startup("user", "app", "database", "db", "application_name", "test")
				if !bytes.Equal(conn.sent.Bytes(), want) {
					t.Errorf("sent %q, want %q", conn.sent.Bytes(), want)
				}
			}
		})
	}
}

// clientRig greets a scripted server, which has begun to play.
func clientRig(t *testing.T, endPoint []byte, server func(*pgtest.SCRAMServer)) (*Client, error) {
	t.Helper()
	ours, theirs := net.Pipe()
	s := &pgtest.SCRAMServer{Peer: pgtest.NewPeer(t, theirs), Password: "secret", EndPoint: endPoint}
	done := make(chan struct{})
	t.Cleanup(func() { _ = ours.Close(); <-done })
	go func() {
		defer close(done)
		defer theirs.Close()
		s.Expect(pgtest.Startup("user", "app", "database", "db", "application_name", "test"))
		server(s)
	}()
	upstream := pgtest.NewUpstream(ours)
	upstream.EndPoint = endPoint
	return Greet(upstream, "app", "db", "test")
}

func TestClientLogin(t *testing.T) {
	onlySCRAM, err := pgwire.ParseAuthMethods("scram-sha-256")
	if err != nil {
		t.Fatal(err)
	}
	welcome := pgtest.Login("key")
	endPoint := bytes.Repeat([]byte{7}, 32)
	for name, row := range map[string]struct {
		endPoint  []byte
		server    func(*pgtest.SCRAMServer)
		allowed   pgwire.AuthMethods
		mechanism string
		err       string
	}{
		"trust":     {nil, func(s *pgtest.SCRAMServer) { s.Send(welcome) }, 0, "", ""},
		"cleartext": {nil, func(s *pgtest.SCRAMServer) { askFor(s, "\x00\x00\x00\x03", "secret\x00", welcome) }, 0, "", ""},
		"md5": {nil, func(s *pgtest.SCRAMServer) {
			askFor(s, "\x00\x00\x00\x05salt", "md57f097e06031b34893c20e25a0e68242c\x00", welcome)
		}, 0, "", ""},
		"scram": {nil, func(s *pgtest.SCRAMServer) {
			if s.Authenticate("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256") {
				s.Send(welcome)
			}
		}, onlySCRAM, "SCRAM-SHA-256", ""},
		"bound scram": {endPoint, func(s *pgtest.SCRAMServer) {
			if s.Authenticate("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256") {
				s.Send(welcome)
			}
		}, 0, "SCRAM-SHA-256-PLUS", ""},
		"refused password": {nil, func(s *pgtest.SCRAMServer) {
			askFor(s, "\x00\x00\x00\x03", "secret\x00", pgtest.ErrorResponse("28P01", "no"))
		}, 0, "", "28P01"},
		"method that is not allowed": {nil, func(s *pgtest.SCRAMServer) { s.Send(pgtest.Message('R', "\x00\x00\x00\x03")) }, onlySCRAM, "", "but pgorigin allows only scram-sha-256"},
		"method without password":    {nil, func(s *pgtest.SCRAMServer) { s.Send(pgtest.Message('R', "\x00\x00\x00\x07")) }, 0, "", "asks for gss"},
		"request of the future":      {nil, func(s *pgtest.SCRAMServer) { s.Send(pgtest.Message('R', "\x00\x00\x00\x63")) }, 0, "", "authentication request 99"},
		"continued from nothing":     {nil, func(s *pgtest.SCRAMServer) { s.Send(pgtest.Message('R', "\x00\x00\x00\x0br=x")) }, 0, "", "out of turn"},
		"unproven": {nil, func(s *pgtest.SCRAMServer) {
			s.Send(pgtest.AuthenticationSASL("SCRAM-SHA-256"))
			s.ReadResponse()
			s.Send(pgtest.AuthenticationOk())
		}, 0, "", "without proving"},
		"gone": {nil, func(s *pgtest.SCRAMServer) { s.Send(pgtest.AuthenticationOk()) }, 0, "", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := clientRig(t, row.endPoint, row.server)
			if err == nil {
				err = c.Login(t.Context(), "secret", row.allowed)
			}
			if (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
				t.Fatalf("error %v, want %q in it", err, row.err)
			}
			if err == nil && (c.ServerVersion() != "15.18" || c.Mechanism() != row.mechanism) {
				t.Errorf("version %q by %q, want 15.18 by %q", c.ServerVersion(), c.Mechanism(), row.mechanism)
			}
		})
	}
}

// askFor asks for a password, of which it wants one form, and then has the last word.
func askFor(s *pgtest.SCRAMServer, request, want string, last []byte) {
	s.Send(pgtest.Message('R', request))
	s.Expect(pgtest.Message('p', want))
	s.Send(last)
}

func TestClientQuery(t *testing.T) {
	ready := pgtest.ReadyForQuery('I')
	row := func(columns string) []byte { return pgtest.Message('D', columns) }
	for name, test := range map[string]struct {
		answer []byte
		want   string
		err    string
	}{
		"one row":        {slices.Concat(pgtest.Message('T', "\x00\x00"), row("\x00\x01\x00\x00\x00\x01t"), pgtest.Message('C', "SELECT 1\x00"), ready), "t", ""},
		"two rows":       {slices.Concat(row("\x00\x01\x00\x00\x00\x01a"), row("\x00\x01\x00\x00\x00\x01b"), ready), "a", ""},
		"NULL":           {slices.Concat(row("\x00\x01\xff\xff\xff\xff"), ready), "", ""},
		"no row":         {slices.Concat(pgtest.Message('I', ""), ready), "", ""},
		"no column":      {slices.Concat(row("\x00\x00"), ready), "", ""},
		"impossible row": {slices.Concat(row("\x00\x01\x00\x00\x00\x09a"), ready), "", ""},
		"error":          {slices.Concat(pgtest.ErrorResponse("42601", "syntax"), ready), "", "42601"},
		"COPY":           {pgtest.Message('G', "\x00\x00\x00"), "", "type 'G' in place of 'Z'"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := &saidConn{said: bytes.NewReader(test.answer)}
			c := &Client{conn: conn}
			got, err := c.Query("SELECT it")
			if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q, %v; want %q, %q", got, err, test.want, test.err)
			}
			var refused *pgwire.Error
			if name == "error" && (!errors.As(err, &refused) || refused.Server.SQLState != "42601") {
				t.Errorf("error %#v", err)
			}
			c.Terminate()
			if want := slices.Concat(pgtest.Message('Q', "SELECT it\x00"), pgtest.Terminate()); !bytes.Equal(conn.sent.Bytes(), want) {
				t.Errorf("sent %q, want %q", conn.sent.Bytes(), want)
			}
		})
	}
}

// TestARefusalHasItsReason: a refused login has the reason that a session has.
func TestARefusalHasItsReason(t *testing.T) {
	starting := pgtest.ErrorResponse("57P03", "the database system is starting up")
	_, err := Greet(&saidConn{said: bytes.NewReader(starting)}, "app", "shop", "test")
	var refused *pgwire.Error
	if !errors.As(err, &refused) || refused.Kind != pgwire.ReasonServerStarting {
		t.Errorf("refused with %v", err)
	}
}

// TestLoginTimeout: a pooler without a server accepts the password, and then makes the client wait.
func TestLoginTimeout(t *testing.T) {
	for name, accepts := range map[string]bool{"before the password is accepted": false, "after that": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wait := make(chan struct{})
				defer close(wait)
				c, err := clientRig(t, nil, func(s *pgtest.SCRAMServer) {
					s.Send(pgtest.Message('R', "\x00\x00\x00\x03"))
					s.Expect(pgtest.Message('p', "secret\x00"))
					if accepts {
						s.Send(pgtest.AuthenticationOk())
					}
					<-wait
				})
				if err != nil {
					t.Fatal(err)
				}
				_ = c.conn.SetDeadline(time.Now().Add(time.Second))
				err = c.Login(t.Context(), "secret", 0)
				var own *pgwire.Error
				waits := errors.As(err, &own) && own.Case == pgwire.CasePoolerWaits
				if waits != accepts || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("error %v, of a pooler that waits: %v", err, waits)
				}
			})
		})
	}
}
