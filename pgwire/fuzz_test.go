package pgwire

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/jackc/pgproto3/v2"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// watchdog fails a target that does not return: an endless loop is a finding too.
func watchdog(t *testing.T) {
	timer := time.AfterFunc(10*time.Second, func() { panic("fuzz target hangs: " + t.Name()) })
	t.Cleanup(func() { timer.Stop() })
}

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
		watchdog(t)
		r := bytes.NewReader(in)
		packet, err := readPacket(r)
		consumed := in[:len(in)-r.Len()]
		if len(consumed) > maxStartupPacket {
			t.Fatalf("read %d bytes", len(consumed))
		}
		if err == nil && !bytes.Equal(packet.raw, consumed) {
			t.Fatalf("packet %q is not what was read, %q", packet.raw, consumed)
		}
		again, errAgain := readPacket(iotest.OneByteReader(bytes.NewReader(in)))
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
		watchdog(t)
		rw := &readWriter{Reader: bytes.NewReader(in)}
		packet, _, err := negotiate(rw)
		if answer := rw.String(); answer != "NN"[:min(len(answer), 2)] {
			t.Fatalf("answered %q", answer)
		}
		if err != nil {
			if d, ok := asDescribed(err); !ok || d.Reason() == "" {
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

// What is forwarded equals the input except inside SASL offers, the cut does
// not matter, little is held, and it ends.
func FuzzAuthFilter(f *testing.F) {
	offer := pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
	for _, seed := range [][]byte{
		pgtest.Login("pid4key4"), join(offer, pgtest.Login("pid4key4"), []byte("behind")), offer[:len(offer)-1],
		join(pgtest.Message('N', "SNOTICE\x00\x00"), pgtest.ErrorResponse("28P01", "no")),
		[]byte("R\x00\x00\x00\x0a\x00\x00\x00\x0aab"), []byte("S\xff\xff\xff\xff"), pgtest.Message('v', "\x00\x00\x00\x02\x00\x00\x00\x00"),
	} {
		f.Add(seed, uint8(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, chunk uint8) {
		watchdog(t)
		filter, out, rest, err := feedAll(in, len(in)+1)
		cut, cutOut, cutRest, cutErr := feedAll(in, int(chunk)+1)
		if !bytes.Equal(out, cutOut) || (err == nil) != (cutErr == nil) || err == nil && !bytes.Equal(rest, cutRest) {
			t.Fatalf("in chunks of %d: %q, %q (%v); whole: %q, %q (%v)", int(chunk)+1, cutOut, cutRest, cutErr, out, rest, err)
		}
		if len(cut.held) > max(maxHeldError, maxSASLOffer) {
			t.Fatalf("holds %d bytes", len(cut.held))
		}
		if bytes.Contains(out, []byte("SCRAM-SHA-256-PLUS")) && !bytes.Contains(in, []byte{'R'}) {
			t.Fatal("made up a mechanism")
		}
		if err != nil {
			return
		}
		// Undo the only change there may be: with the offers' removed bytes
		// accounted for, everything that came in has come out or is held.
		if missing := len(in) - len(out) - len(rest) - len(filter.held); missing < 0 {
			t.Fatalf("%d bytes more came out than went in", -missing)
		} else if missing == 0 && !bytes.Equal(join(out, filter.held, rest), in) {
			t.Fatalf("changed without a removal: %q became %q", in, out)
		} else if missing > 0 && !bytes.Contains(in, []byte("-PLUS\x00")) {
			t.Fatalf("%d bytes were dropped from %q", missing, in)
		}
	})
}

// Stripping twice is stripping once; what is left is in order, without -PLUS,
// and what pgproto3 would encode.
func FuzzWithoutChannelBinding(f *testing.F) {
	for _, seed := range []string{
		"SCRAM-SHA-256-PLUS\x00SCRAM-SHA-256\x00\x00", "SCRAM-SHA-256\x00\x00", "\x00", "", "ab", "a\x00", "a\x00b-PLUS\x00\x00", "-PLUS\x00\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, list []byte) {
		watchdog(t)
		kept, err := withoutChannelBinding(list)
		if err != nil {
			return
		}
		again, err := withoutChannelBinding(kept)
		if err != nil || !bytes.Equal(again, kept) {
			t.Fatalf("%q becomes %q, then %q (%v)", list, kept, again, err)
		}
		var want []string
		for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00\x00"), "\x00") {
			if !strings.HasSuffix(name, "-PLUS") {
				want = append(want, name)
			}
		}
		encoded, err := (&pgproto3.AuthenticationSASL{AuthMechanisms: want}).Encode(nil)
		if err != nil || !bytes.Equal(kept, encoded[messageHeader+4:]) {
			t.Fatalf("%q becomes %q, want %q (%v)", list, kept, encoded[messageHeader+4:], err)
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
		watchdog(t)
		fuzzSession(context.Background(), t, fromClient, fromUpstream)
	})
}
