//go:build hostile

package hostile

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// TestAbandonedLogins: clients that leave want their upstream connections to stay. They go at once, and do not stay for
// LOGIN_TIMEOUT.
func TestAbandonedLogins(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		env  []string
		ask  bool // the upstream asks for SCRAM before it falls silent
	}{
		{"strip", nil, false},
		{"strip, asked", nil, true},
		{"strip, spares", []string{"PGORIGIN_WARM_SPARES=4"}, false},
		{"bridge", []string{"PGORIGIN_AUTH_CHANNEL_BINDING=bridge"}, false},
		{"bridge, asked", []string{"PGORIGIN_AUTH_CHANNEL_BINDING=bridge"}, true},
		{"bridge, spares", []string{"PGORIGIN_AUTH_CHANNEL_BINDING=bridge", "PGORIGIN_WARM_SPARES=4"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			im := newImpostor(t)
			var open atomic.Int64
			im.script("abandoned", func(c *caller) {
				open.Add(1)
				defer open.Add(-1)
				if row.ask {
					c.send(askSASL("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"))
				}
				for range c.messages { // silent until it is left
				}
			})
			origin := startOrigin(t, im.addr, row.env...)
			var clients []*client
			for range 10 {
				c := dialClient(t, origin.Addr)
				c.send(startupPacket("user", servers.User, "database", servers.Database, "application_name", "abandoned"))
				if row.ask {
					c.read()
					if strings.HasPrefix(row.name, "bridge") {
						c.send(frame('p', servers.Password+"\x00"))
					}
				}
				clients = append(clients, c)
			}
			if !eventually(func() bool { return open.Load() == 10 }) {
				t.Fatalf("%d of 10 logins have arrived", open.Load())
			}
			began := time.Now()
			for _, c := range clients {
				_ = c.Close()
			}
			if !eventually(func() bool { return open.Load() == 0 }) {
				t.Errorf("%s after the clients have left, %d upstream connections are still there", patience, open.Load())
			}
			t.Logf("after %s all were gone", time.Since(began).Round(10*time.Millisecond))
		})
	}
}
