package pgwire

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

func startupSeeds() [][]byte {
	return [][]byte{
		pgtest.Startup("user", "app", "database", "shop"),
		pgtest.StartupVersion(3, 2, "user", "app", "_pq_.x", "1"),
		pgtest.SSLRequest(), pgtest.GSSENCRequest(), pgtest.CancelRequest("pid4key4"),
		join(pgtest.SSLRequest(), pgtest.GSSENCRequest(), pgtest.Startup("user", "app")),
		[]byte("GET / HTTP/1.1\r\n\r\n"), []byte("\x16\x03\x01\x02\x00"), badBody("user\x00"),
		{0, 0, 0, 7},
	}
}

// Consumed bytes are the packet's, within the limit, however the input is cut.
func FuzzReadPacket(f *testing.F) {
	for _, seed := range startupSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		pgtest.Watchdog(t)
		r := bytes.NewReader(in)
		packet, err := readPacket(r, false)
		consumed := in[:len(in)-r.Len()]
		if len(consumed) > maxStartupPacket {
			t.Fatalf("read %d bytes", len(consumed))
		}
		if err == nil && !bytes.Equal(packet.raw, consumed) {
			t.Fatalf("packet %q is not what was read, %q", packet.raw, consumed)
		}
		again, errAgain := readPacket(iotest.OneByteReader(bytes.NewReader(in)), false)
		if !bytes.Equal(again.raw, packet.raw) || (err == nil) != (errAgain == nil) {
			t.Fatalf("cut into bytes it is %q (%v), whole %q (%v)", again.raw, errAgain, packet.raw, err)
		}
	})
}

// The client hears nothing but N, at most twice, and a packet that is let
// through is one that may be forwarded as it is.
func FuzzNegotiate(f *testing.F) {
	for _, seed := range startupSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		pgtest.Watchdog(t)
		rw := &readWriter{Reader: bytes.NewReader(in)}
		packet, _, err := negotiate(rw, nil)
		if answer := rw.String(); answer != "NN"[:min(len(answer), 2)] {
			t.Fatalf("answered %q", answer)
		}
		if err != nil {
			if d, ok := AsFailure(err); !ok || d.Reason() == "" {
				t.Fatalf("error %v has no reason", err)
			}
			return
		}
		if !bytes.Contains(in, packet.raw) {
			t.Fatalf("packet %q is not part of %q", packet.raw, in)
		}
		if packet.code != codeCancelRequest {
			if packet.code>>16 != majorVersion || packet.raw[len(packet.raw)-1] != 0 {
				t.Fatalf("let %q through", packet.raw)
			}
			var i SessionInfo
			i.describe(packet)
			for _, s := range []string{i.User, i.Database, i.ApplicationName} {
				if strings.ContainsAny(s, "\n\r\x1b\x00") || len(s) > 3*maxLoggedName {
					t.Fatalf("name %q is not fit for a log", s)
				}
			}
		}
	})
}

// A whole session survives any bytes from either side, ends, and sends nothing
// upstream but what the client sent, from a valid startup packet on.
func FuzzSession(f *testing.F) {
	for _, seed := range startupSeeds() {
		f.Add(seed, pgtest.Login("pid4key4"))
		f.Add(join(seed, pgtest.Terminate()), pgtest.ErrorResponse("28P01", "no"))
	}
	f.Fuzz(func(t *testing.T, fromClient, fromUpstream []byte) {
		pgtest.Watchdog(t)
		fuzzSession(context.Background(), t, fromClient, fromUpstream)
	})
}

// readPacket reads one packet.
func readPacket(r io.Reader, refused bool) (startupPacket, error) {
	n := negotiation{sawSSL: refused, refused: refused}
	head, err := n.readHead(r)
	if err != nil {
		return startupPacket{}, err
	}
	return n.readBody(r, head)
}
