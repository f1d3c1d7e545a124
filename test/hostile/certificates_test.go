//go:build hostile

package hostile

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// Budgets for a peer that has proved nothing. The promise is 50 ms on a quiet machine; a busy one spends more on the same.
const (
	processorBudget = 150 * time.Millisecond
	textBudget      = 2 << 10
	lineBudget      = 4 << 10 // of the log: the text with all the other fields
	nastyLogins     = 5
)

// stranger is a listener that presents one certificate, and counts.
type stranger struct {
	addr string
	seen atomic.Int64
}

func newStranger(t *testing.T, chain tls.Certificate) *stranger {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stranger{addr: ln.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				if _, err := conn.Read(make([]byte, 8)); err != nil {
					return
				}
				s.seen.Add(1)
				_, _ = conn.Write([]byte("S"))
				server := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{chain}})
				if server.Handshake() == nil {
					_, _ = server.Read(make([]byte, 1))
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		running.Wait()
	})
	return s
}

// processorTime is what a process has used so far.
func processorTime(t *testing.T, p *servers.Process) time.Duration {
	t.Helper()
	used, err := p.ProcessorTime()
	if err != nil {
		t.Fatal(err)
	}
	return used
}

// TestUnverifiedPeer: somebody without a valid certificate wants the processor, the log, or the cure that pgorigin
// advises. A refusal costs little, says little, says the right thing, and psql prints it.
func TestUnverifiedPeer(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	for _, n := range nastyCertificates(shared.lab.CA) {
		t.Run(n.name, func(t *testing.T) {
			t.Parallel()
			peer := newStranger(t, n.chain)
			origin := startOrigin(t, peer.addr)
			before := processorTime(t, origin.Process)
			for range nastyLogins {
				c := dialClient(t, origin.Addr)
				c.send(startupPacket("user", servers.User, "database", servers.Database))
				m := c.read()
				if m.kind != 'E' || len(m.body) > textBudget {
					t.Fatalf("the client got %q with %d bytes: %.300q", m.kind, len(m.body), m.body)
				}
			}
			spent := (processorTime(t, origin.Process) - before) / nastyLogins
			if spent > processorBudget {
				t.Errorf("%s of processor time per connection", spent)
			}
			v := psql(ctx, nil, servers.DSN(origin.Addr))
			if v.Connected || !strings.Contains(v.Error, "pgorigin: ") || len(v.Error) > textBudget {
				t.Errorf("psql printed %d bytes: %.300q", len(v.Error), v.Error)
			}
			checkRefusal(t, origin, n, v.Error)
			t.Logf("%s a connection, psql prints %d bytes", spent, len(v.Error))
		})
	}
}

// checkRefusal looks at what the log says, and at what it advises.
func checkRefusal(t *testing.T, origin *servers.Origin, n nasty, said string) {
	t.Helper()
	origin.Stop() // the log is written behind the session
	lines := origin.Log.Lines(`"session ended"`)
	for _, line := range origin.Log.Lines("") {
		if len(line) > lineBudget {
			t.Errorf("a line of the log has %d bytes: %.300s", len(line), line)
		}
	}
	if len(lines) == 0 {
		t.Fatal("no session in the log")
	}
	var fields struct{ Reason string }
	if err := json.Unmarshal([]byte(lines[0]), &fields); err != nil {
		t.Fatal(err)
	}
	if n.stranger && !slices.Contains([]string{"cert_unknown_authority", "chain_incomplete", "cert_invalid"}, fields.Reason) {
		t.Errorf("the reason is %s, want cert_unknown_authority", fields.Reason)
	}
	if n.stranger && strings.Contains(said, "TLS_SERVER_NAME") {
		t.Errorf("a stranger's certificate advises on the name: %s", said)
	}
	if strings.HasPrefix(n.name, "self-signed") && fields.Reason != "cert_unknown_authority" {
		t.Errorf("the reason is %s, want cert_unknown_authority", fields.Reason)
	}
}

// TestUnverifiedPeerOfSpares: the same without a client, by the spares and probes that pgorigin keeps trying.
func TestUnverifiedPeerOfSpares(t *testing.T) {
	t.Parallel()
	unknown := tlstest.NewCA("a stranger's authority", tlstest.P256)
	for _, n := range []nasty{
		{name: "10,000 names", chain: unknown.Issue(serverLeaf(func(c *x509.Certificate) { c.Subject = units(10000) })).TLS()},
		fakeAuthorities(shared.lab.CA, "for clients", forClients),
	} {
		t.Run(n.name, func(t *testing.T) {
			t.Parallel()
			peer := newStranger(t, n.chain)
			origin, err := shared.lab.Launch(shared.binary, peer.addr, noWait, "PGORIGIN_WARM_SPARES=4",
				"PGORIGIN_READINESS=upstream", "PGORIGIN_PROBE_INTERVAL=1s")
			if err != nil {
				t.Fatal(err)
			}
			defer endOrigin(t, origin.Process)
			time.Sleep(8 * time.Second)
			spent, seen := processorTime(t, origin.Process), peer.seen.Load()
			t.Logf("%s of processor time and %d connections in 8 s without a client", spent, seen)
			if seen == 0 || seen > 80 {
				t.Errorf("%d connections in 8 s", seen)
			}
			if limit := 300*time.Millisecond + time.Duration(seen)*processorBudget; spent > min(limit, 4*time.Second) {
				t.Errorf("%s of processor time for %d connections", spent, seen)
			}
		})
	}
}
