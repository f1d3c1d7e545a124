package pgwire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/test/hostiletext"
)

// readWriter reads a script and records what is answered.
type readWriter struct {
	io.Reader
	bytes.Buffer
}

func (rw *readWriter) Read(p []byte) (int, error)  { return rw.Reader.Read(p) }
func (rw *readWriter) Write(p []byte) (int, error) { return rw.Buffer.Write(p) }

func TestNegotiate(t *testing.T) {
	startup := pgtest.Startup("user", "app", "database", "shop")
	longKey := "\x00\x00\x10\x01" + strings.Repeat("k", 256)
	tests := map[string]struct {
		in      []byte
		answer  string
		packet  []byte // nil: an error
		rest    string
		errText string
		state   string
	}{
		"plain startup":              {in: startup, packet: startup},
		"pipelined bytes are kept":   {in: join(startup, []byte("more")), packet: startup, rest: "more"},
		"SSLRequest":                 {in: join(pgtest.SSLRequest(), startup), answer: "N", packet: startup},
		"GSSENCRequest":              {in: join(pgtest.GSSENCRequest(), startup), answer: "N", packet: startup},
		"both":                       {in: join(pgtest.SSLRequest(), pgtest.GSSENCRequest(), startup), answer: "NN", packet: startup},
		"both, GSS first":            {in: join(pgtest.GSSENCRequest(), pgtest.SSLRequest(), startup), answer: "NN", packet: startup},
		"cancel":                     {in: pgtest.CancelRequest("pid4key4"), packet: pgtest.CancelRequest("pid4key4")},
		"cancel behind SSLRequest":   {in: join(pgtest.SSLRequest(), pgtest.CancelRequest("pid4key4")), answer: "N", packet: pgtest.CancelRequest("pid4key4")},
		"cancel with a 256 byte key": {in: pgtest.CancelRequest(longKey), packet: pgtest.CancelRequest(longKey)},
		"protocol 3.2":               {in: pgtest.StartupVersion(3, 2, "user", "app"), packet: pgtest.StartupVersion(3, 2, "user", "app")},
		"protocol 3.9999":            {in: pgtest.StartupVersion(3, 9999, "_pq_.x", "1"), packet: pgtest.StartupVersion(3, 9999, "_pq_.x", "1")},
		"no parameters":              {in: pgtest.Startup(), packet: pgtest.Startup()},
		"largest":                    {in: sized(10004), packet: sized(10004)},

		"two SSLRequests":            {in: join(pgtest.SSLRequest(), pgtest.SSLRequest()), answer: "N", errText: "second SSLRequest", state: "08P01"},
		"two GSSENCRequests":         {in: join(pgtest.GSSENCRequest(), pgtest.GSSENCRequest()), answer: "N", errText: "second GSSENCRequest", state: "08P01"},
		"SSLRequest with a body":     {in: withLength(join(pgtest.SSLRequest(), []byte("x"))), errText: "body of 1", state: "08P01"},
		"protocol 2":                 {in: pgtest.StartupVersion(2, 0), errText: "protocol 2.0", state: "08P01"},
		"protocol 4":                 {in: pgtest.StartupVersion(4, 0), errText: "protocol 4.0", state: "08P01"},
		"name without end":           {in: withLength(append(make([]byte, 8), "\x00\x03\x00\x00user"...)[4:]), errText: "no end", state: "08P01"},
		"name without value":         {in: badBody("user\x00"), errText: "no value", state: "08P01"},
		"no terminator":              {in: badBody("user\x00app\x00"), errText: "terminator", state: "08P01"},
		"bytes behind terminator":    {in: badBody("user\x00app\x00\x00x"), errText: "terminator", state: "08P01"},
		"nothing":                    {errText: "closed the connection"},
		"insists on TLS":             {in: pgtest.SSLRequest(), answer: "N", errText: "request for TLS was refused"},
		"insists on GSSAPI":          {in: pgtest.GSSENCRequest(), answer: "N", errText: "GSSAPI encryption was refused"},
		"half a length":              {in: startup[:2], errText: "ends after 2 of at least 4"},
		"half a packet":              {in: startup[:11], errText: "ends after 11 of"},
		"too short":                  {in: []byte{0, 0, 0, 7, 0, 3, 0}, errText: "impossible length 7"},
		"too long":                   {in: sized(10005), errText: "impossible length 10005", rest: "*"},
		"HTTP":                       {in: []byte("GET / HTTP/1.1\r\n\r\n"), errText: "HTTP request", rest: "*"},
		"ClientHello":                {in: []byte("\x16\x03\x01\x02\x00\x01"), errText: "no TLS for clients", rest: "*"},
		"cancel with a short key":    {in: pgtest.CancelRequest("pid4key"), errText: "key of 3 bytes"},
		"cancel with too long a key": {in: pgtest.CancelRequest(longKey + "k"), errText: "key of 257 bytes"},
	}
	for name, tt := range tests {
		for _, chunking := range []string{"whole", "one byte at a time"} {
			t.Run(name+"/"+chunking, func(t *testing.T) {
				in := bytes.NewReader(tt.in)
				rw := &readWriter{Reader: in}
				if chunking != "whole" {
					rw.Reader = iotest.OneByteReader(in)
				}
				packet, refused, err := negotiate(rw, nil)
				if got := rw.String(); got != tt.answer {
					t.Errorf("answered %q, want %q", got, tt.answer)
				}
				if refused != (tt.answer != "") {
					t.Errorf("reports encryption refused: %v", refused)
				}
				if tt.packet == nil {
					if err == nil {
						t.Fatal("no error")
					}
					contains(t, err.Error(), tt.errText)
					if d, ok := AsFailure(err); !ok || d.SQLState() != tt.state {
						t.Errorf("error %v has not SQLSTATE %q", err, tt.state)
					}
					return
				}
				if err != nil || !bytes.Equal(packet.raw, tt.packet) {
					t.Errorf("got %q (%v), want %q", packet.raw, err, tt.packet)
				}
				if rest, _ := io.ReadAll(in); string(rest) != tt.rest {
					t.Errorf("left %q unread, want %q", rest, tt.rest)
				}
			})
		}
	}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// withLength corrects the length word of a packet.
func withLength(p []byte) []byte {
	binary.BigEndian.PutUint32(p, uint32(len(p)))
	return p
}

// badBody returns a 3.0 startup packet with any body.
func badBody(body string) []byte { return withLength([]byte("????\x00\x03\x00\x00" + body)) }

// sized returns a valid startup packet of n bytes.
func sized(n int) []byte {
	empty := len(pgtest.Startup("options", ""))
	return pgtest.Startup("options", strings.Repeat("x", n-empty))
}

func TestSessionInfoDescribe(t *testing.T) {
	long := strings.Repeat("d", 100)
	tests := map[string]struct {
		params []string
		want   [3]string // user, database, application_name
	}{
		"all three":           {[]string{"user", "u", "database", "d", "application_name", "a"}, [3]string{"u", "d", "a"}},
		"database defaults":   {[]string{"user", "u"}, [3]string{"u", "u", ""}},
		"others are not kept": {[]string{"options", "-c x=y", "user", "u", "replication", "true"}, [3]string{"u", "u", ""}},
		"the last one counts": {[]string{"user", "first", "user", "second"}, [3]string{"second", "second", ""}},
		"empty application":   {[]string{"user", "u", "application_name", "", "database", "d"}, [3]string{"u", "d", ""}},
		"control characters":  {[]string{"user", "u\n\x1b[31m\u2028", "database", "\xff\x00"[:1]}, [3]string{"u\ufffd\ufffd[31m\ufffd", "\ufffd", ""}},
		"too long":            {[]string{"user", "u", "database", long}, [3]string{"u", long[:64], ""}},
		"nothing at all":      {nil, [3]string{}},
		"value called user":   {[]string{"database", "user", "user", "u"}, [3]string{"u", "user", ""}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			packet, err := readPacket(bytes.NewReader(pgtest.Startup(tt.params...)), false)
			if err != nil {
				t.Fatal(err)
			}
			var i SessionInfo
			i.describe(packet)
			if got := [3]string{i.User, i.Database, i.ApplicationName}; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Bad clients meet the whole server: nothing is dialled, and whoever does not
// speak Postgres gets no answer.
func TestBadClients(t *testing.T) {
	tests := map[string]struct {
		sends [][]byte
		state string // of the ErrorResponse; "" for a close without an answer
		want  Reason
	}{
		"oversized":         {sends: [][]byte{sized(10005)}, want: ReasonClientProtocol},
		"unknown version":   {sends: [][]byte{pgtest.StartupVersion(7, 1)}, state: "08P01", want: ReasonClientProtocol},
		"two SSLRequests":   {sends: [][]byte{pgtest.SSLRequest(), pgtest.SSLRequest()}, state: "08P01", want: ReasonClientProtocol},
		"malformed":         {sends: [][]byte{badBody("user\x00")}, state: "08P01", want: ReasonClientProtocol},
		"garbage":           {sends: [][]byte{[]byte("\xde\xad\xbe\xef and more of the kind")}, want: ReasonClientProtocol},
		"HTTP":              {sends: [][]byte{[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")}, want: ReasonClientProtocol},
		"TLS ClientHello":   {sends: [][]byte{[]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")}, want: ReasonClientProtocol},
		"truncated":         {sends: [][]byte{pgtest.Startup("user", "app")[:9], nil}, want: ReasonClientProtocol},
		"port check":        {sends: [][]byte{nil}, want: ReasonClientGone},
		"bad cancel":        {sends: [][]byte{pgtest.CancelRequest("short")}, want: ReasonClientProtocol},
		"leaves after an N": {sends: [][]byte{pgtest.SSLRequest(), nil}, want: ReasonClientGone},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newTCPRig(t, nil)
			client := r.connect()
			for k, send := range tt.sends {
				if send == nil {
					client.CloseWrite()
					break
				}
				client.Send(send)
				if bytes.Equal(send, pgtest.SSLRequest()) && k == 0 {
					client.Expect([]byte("N"))
				}
			}
			if tt.state != "" {
				e := client.ExpectError(tt.state)
				contains(t, e.Message, "pgorigin: ")
				contains(t, e.Detail, "session 1")
			}
			client.ExpectEOF()
			_ = client.Close()
			if e := r.expectEnd(tt.want); e.SessionResult.Phase != PhaseStartup {
				t.Errorf("ended in phase %v", e.SessionResult.Phase)
			} else if failure := new(Error); errors.As(e.SessionResult.Err, &failure) && (failure.Case == CaseHTTPRequest) != (name == "HTTP") {
				t.Errorf("the case is %q", failure.Case)
			}
			r.expectNoDial()
		})
	}
}

func TestSanitizeKeepsOrdinaryText(t *testing.T) {
	for _, s := range []string{"", "app", "Größe €", "名前", fmt.Sprintf("%064d", 1)} {
		if got := sanitize(s); got != s {
			t.Errorf("sanitize(%q) = %q", s, got)
		}
	}
}

func TestSanitizeHostileTexts(t *testing.T) { hostiletext.Test(t, sanitize, 3*maxLoggedName, false) }

func TestSanitizeReplacesWhatDoesNotShow(t *testing.T) {
	for in, want := range map[string]string{
		"a\nb\x1b[2J": "a\ufffdb\ufffd[2J", "a\u202eb\u200fc": "a\ufffdb\ufffdc", "\u2028\u200b": "\ufffd\ufffd", "\xff": "\ufffd",
	} {
		if got := sanitize(in); got != want {
			t.Errorf("sanitize(%q) = %q, want %q", in, got, want)
		}
	}
}
