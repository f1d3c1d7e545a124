//go:build hostile

package hostile

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// TestProofsAreBounded: a verified upstream wants pgorigin to compute for it, by challenges that never end and by large
// iteration counts, also when the client has left. There is one proof a login, and a bound on what it costs.
func TestProofsAreBounded(t *testing.T) {
	t.Parallel()
	const logins, budget = 4, 400 * time.Millisecond // of processor time a login: a proof of 100,000 iterations is 30 ms
	im := newImpostor(t)
	for _, iterations := range []string{"4096", "100000", "1048576", "16777216", "2147483647"} {
		t.Run(iterations, func(t *testing.T) {
			t.Parallel()
			origin := startOrigin(t, im.addr, "PGORIGIN_AUTH_CHANNEL_BINDING=bridge")
			before := processorTime(t, origin.Process)
			for i := range logins {
				name := fmt.Sprintf("proofs/%s/%d", iterations, i)
				im.script(name, func(c *caller) {
					s := scram{password: servers.Password, iterations: iterations}
					c.send(askSASL("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"))
					first := saslInitial(c.await(patience).body)
					for range 39 {
						c.send(saslFirst(s.challenge(first)))
					}
					c.linger()
				})
				c := dialClient(t, origin.Addr)
				c.send(startupPacket("user", servers.User, "database", servers.Database, "application_name", name))
				if m := c.read(); m.kind != 'R' {
					t.Fatalf("the first message is %q", m.kind)
				}
				c.send(frame('p', servers.Password+"\x00"))
				if i%2 == 0 {
					_ = c.Close() // it has left
				} else if !c.ends() {
					t.Error("the login goes on")
				}
				if _, over := im.recordOf(name); !over {
					t.Error("the upstream connection stays")
				}
			}
			if spent := (processorTime(t, origin.Process) - before) / logins; spent > budget {
				t.Errorf("%s of processor time a login", spent)
			}
		})
	}
}
