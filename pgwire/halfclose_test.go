package pgwire

import (
	"io"
	"net"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// The half-close table of net/http/httputil: who ends which direction, and
// what the other direction still delivers.
func TestHalfClose(t *testing.T) {
	request, answer := []byte("request"), []byte("answer, given after the end")
	tests := map[string]func(t *testing.T, client, upstream *pgtest.Peer){
		"client closes write": func(_ *testing.T, client, upstream *pgtest.Peer) {
			client.Send(request)
			client.CloseWrite()
			upstream.Expect(request)
			upstream.ExpectEOF()
			upstream.Send(answer)
			_ = upstream.Close()
			client.Expect(answer)
			client.ExpectEOF()
		},
		"upstream closes write": func(_ *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(request)
			upstream.CloseWrite()
			client.Expect(request)
			client.ExpectEOF()
			upstream.ExpectClosed() // it answers nothing any more
		},
		"client closes read": func(t *testing.T, client, upstream *pgtest.Peer) {
			closeRead(t, client)
			_ = client.Close() // a peer learns of it only when it writes
			_, _ = upstream.Write(answer)
			upstream.ExpectClosed()
		},
		"upstream closes read": func(t *testing.T, client, upstream *pgtest.Peer) {
			closeRead(t, upstream)
			_ = upstream.Close()
			_, _ = client.Write(request)
			client.ExpectClosed()
		},
	}
	for name, play := range tests {
		t.Run(name, func(t *testing.T) {
			eachRelay(t, func(t *testing.T, r *rig) {
				client, upstream := r.login("pid4key4")
				play(t, client, upstream)
				_ = client.Close()
				_ = upstream.Close()
				<-r.ended
			})
		})
	}
}

func closeRead(t *testing.T, p *pgtest.Peer) {
	t.Helper()
	if err := p.Conn.(*net.TCPConn).CloseRead(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(p)
}
