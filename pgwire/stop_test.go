package pgwire

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// An upstream that asks for a password behind the login gets no answer: not one byte of the request reaches
// the client, however it is cut.
func TestAuthenticationRequestInRelay(t *testing.T) {
	request := pgtest.Message('R', "\x00\x00\x00\x03")
	before := pgtest.Message('N', "SNOTICE\x00\x00")
	tests := map[string][][]byte{
		"alone":            {request},
		"behind a message": {join(before, request)},
		"in pieces":        {join(before, request[:1]), request[1:]},
		"behind half":      {before[:7], join(before[7:], request, pgtest.ReadyForQuery('I'))},
	}
	for name, said := range tests {
		t.Run(name, func(t *testing.T) {
			eachRelay(t, func(_ *testing.T, r *rig) {
				client, upstream := r.login("pid4key4")
				for i, p := range said {
					upstream.Send(p)
					if i == 0 && name == "behind half" {
						client.Expect(p)
					}
				}
				switch name {
				case "behind half":
					client.Expect(before[7:])
				case "behind a message", "in pieces":
					client.Expect(before)
				}
				e := client.ExpectError("08P01")
				contains(r.t, e.Message, "authentication")
				client.ExpectEOF()
				_ = client.Close()
				r.expectEnd(ReasonUpstreamProtocol)
			})
		})
	}
}

// The same in the read that ended the login.
func TestAuthenticationRequestBehindReadyForQuery(t *testing.T) {
	eachRelay(t, func(_ *testing.T, r *rig) {
		client := r.connect()
		startup := pgtest.Startup("user", "app")
		client.Send(startup)
		upstream := <-r.upstreams
		upstream.Expect(startup)
		upstream.Send(pgtest.Login("pid4key4"), pgtest.Message('R', "\x00\x00\x00\x03"))
		client.Expect(pgtest.Login("pid4key4"))
		client.ExpectError("08P01")
		client.ExpectEOF()
		_ = client.Close()
		r.expectEnd(ReasonUpstreamProtocol)
	})
}

// drainNow begins a drain. It returns when each session has been asked to end, if it is idle.
func (r *rig) drainNow() {
	r.t.Helper()
	over, cancel := context.WithCancel(context.Background())
	cancel()
	_ = r.server.Shutdown(over)
}

// A replication stream is ended between two messages, and its client is told so.
func TestDrainEndsReplication(t *testing.T) {
	begin := pgtest.Message('Q', "START_REPLICATION 0/0\x00")
	both := pgtest.Message('W', "\x00\x00\x00")
	wal := pgtest.Message('d', "w"+strings.Repeat("x", 3000))
	eachRelay(t, func(_ *testing.T, r *rig) {
		client, upstream := r.login("pid4key4")
		client.Send(begin)
		upstream.Expect(begin)
		upstream.Send(both, wal, wal[:10])
		client.Expect(both, wal, wal[:10])
		r.drainNow()
		upstream.Send(wal[10:], wal, wal)
		client.Expect(wal[10:])
		client.ExpectError("57P01")
		client.ExpectEOF()
		_ = client.Close()
		r.expectEnd(ReasonDraining)
	})
	eachRelay(t, func(_ *testing.T, r *rig) { // at rest
		client, upstream := r.login("pid4key4")
		client.Send(begin)
		upstream.Expect(begin)
		upstream.Send(both)
		client.Expect(both)
		r.drainNow()
		client.ExpectError("57P01")
		client.ExpectEOF()
		_ = client.Close()
		r.expectEnd(ReasonDraining)
	})
}

// A client that reads slowly gets the whole message, then it is told.
func TestDrainEndsReplicationOfASlowReader(t *testing.T) {
	begin := pgtest.Message('Q', "START_REPLICATION 0/0\x00")
	both := pgtest.Message('W', "\x00\x00\x00")
	wal := pgtest.Message('d', "w"+strings.Repeat("x", 100_000))
	eachRelay(t, func(t *testing.T, r *rig) {
		client, upstream := r.login("pid4key4")
		client.Send(begin)
		upstream.Expect(begin)
		go func() { // until the session has ended
			for _, err := upstream.Write(both); err == nil; {
				_, err = upstream.Write(wal)
			}
		}()
		client.Expect(both, wal)
		r.drainNow()
		rest := client.ExpectClosed()
		for bytes.HasPrefix(rest, wal) {
			rest = rest[len(wal):]
		}
		if len(rest) == 0 || rest[0] != 'E' || !bytes.Contains(rest, []byte("57P01")) {
			t.Errorf("behind the last whole message came %d bytes, %.40q", len(rest), rest)
		}
		_ = client.Close()
		r.expectEnd(ReasonDraining)
	})
}

// What needs no answer makes a session idle without a word of the upstream.
func TestDrainBehindFlush(t *testing.T) {
	flush := pgtest.Message('H', "")
	eachRelay(t, func(_ *testing.T, r *rig) {
		client, upstream := r.login("pid4key4")
		client.Send(flush, flush[:2])
		upstream.Expect(flush, flush[:2])
		r.drainNow()
		client.Send(flush[2:])
		upstream.Expect(flush[2:])
		client.ExpectError("57P01")
		client.ExpectEOF()
		_ = client.Close()
		r.expectEnd(ReasonDraining)
	})
}

// A client whose statement failed, and that has not sent its Sync, is told of the end all the same.
func TestCloseBehindAnError(t *testing.T) {
	eachRelay(t, func(_ *testing.T, r *rig) {
		client, upstream := r.login("pid4key4")
		parse := join(pgtest.Message('P', "\x00nonsense\x00\x00\x00"), pgtest.Message('H', ""))
		failed := pgtest.ErrorResponse("42601", "syntax error")
		client.Send(parse)
		upstream.Expect(parse)
		upstream.Send(failed)
		client.Expect(failed)
		r.drainNow()
		go r.server.Close()
		client.ExpectError("57P01")
		client.ExpectEOF()
		_ = client.Close()
		r.expectEnd(ReasonDraining)
	})
}
