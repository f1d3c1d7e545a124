package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgorigin/pgorigin/test/servers"
)

// TestEverySessionIsOnTheLoop: whatever the mode, the upstream and the way of arriving, an event loop relays every
// session from its first ReadyForQuery on. Half of the clients have sent a query before they are logged in.
func TestEverySessionIsOnTheLoop(t *testing.T) {
	const sessions = 12
	for _, mode := range []string{"strip", "pass", "bridge"} {
		for _, spares := range []int{0, 4} {
			t.Run(fmt.Sprintf("%s, %d spares", mode, spares), func(t *testing.T) {
				eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
					var clients []*pgconn.HijackedConn
					for i := range sessions {
						clients = append(clients, connectEagerly(ctx, t, origin.Addr, i%2 == 1))
					}
					expectSeries(ctx, t, origin, `pgorigin_sessions_open{origin="default"}`, sessions)
					expectSeries(ctx, t, origin, `pgorigin_sessions_off_loop{origin="default"}`, 0)
					expectLogins(ctx, t, origin, sessions)
					for _, client := range clients {
						if client.Frontend.Send(&pgproto3.Terminate{}); client.Frontend.Flush() != nil {
							t.Error("a client cannot say goodbye")
						}
					}
					awaitSeries(ctx, t, origin, `pgorigin_sessions_total{origin="default",reason="ok"}`, sessions)
				}, "PGORIGIN_AUTH_CHANNEL_BINDING="+mode, fmt.Sprint("PGORIGIN_WARM_SPARES=", spares))
			})
		}
	}
}

// connectEagerly logs in. An eager client has sent an empty query ahead, and hears the answer behind the login.
func connectEagerly(ctx context.Context, t *testing.T, addr string, eager bool) *pgconn.HijackedConn {
	t.Helper()
	config, err := pgconn.ParseConfig(servers.DSN(addr))
	if err != nil {
		t.Fatal(err)
	}
	if eager {
		dial := config.DialFunc
		config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			return eagerConn{conn}, err
		}
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	client, err := conn.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Conn.Close() })
	if !eager {
		client.Frontend.Send(&pgproto3.Query{})
		if err := client.Frontend.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []pgproto3.BackendMessage{&pgproto3.EmptyQueryResponse{}, &pgproto3.ReadyForQuery{}} {
		got, err := client.Frontend.Receive()
		if err != nil || fmt.Sprintf("%T", got) != fmt.Sprintf("%T", want) {
			t.Fatalf("eager %v: got %T (%v), want %T", eager, got, err, want)
		}
	}
	return client
}

// expectLogins checks that every login is counted, by SCRAM.
func expectLogins(ctx context.Context, t *testing.T, origin *servers.Origin, want float64) {
	t.Helper()
	var logins float64
	for _, method := range []string{"scram-sha-256", "scram-sha-256-plus"} {
		n, err := series(ctx, origin, `pgorigin_logins_total{method="`+method+`",origin="default"}`)
		if err != nil {
			t.Fatal(err)
		}
		logins += n
	}
	if logins != want {
		t.Errorf("%v logins by SCRAM are counted, want %v", logins, want)
	}
}

// eagerConn sends an empty query right behind the last response of a login, in one piece with it.
type eagerConn struct{ net.Conn }

// Write implements net.Conn.
func (e eagerConn) Write(p []byte) (int, error) {
	const header = 5
	proof := len(p) > header+2 && p[0] == 'p' && string(p[header:header+2]) == "c="
	if !proof && string(p[min(header, len(p)):]) != servers.Password+"\x00" {
		return e.Conn.Write(p)
	}
	if _, err := e.Conn.Write(append(bytes.Clone(p), "Q\x00\x00\x00\x05\x00"...)); err != nil {
		return 0, err
	}
	return len(p), nil
}
