package e2e

import (
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// TestBridgeRemembersSaltedPasswords: with many iterations, they are nearly all that the first login takes of the processor.
func TestBridgeRemembersSaltedPasswords(t *testing.T) {
	ctx := testContext(t)
	createRole(ctx, t, "salty", scramSecret(t, servers.Password, 200_000))
	origin := startOrigin(t, shared.postgres.Addr, bridgeMode)
	login := func() time.Duration {
		before := processorTime(t, origin.Process)
		if user := ask[string](ctx, t, connect(ctx, t, origin.Addr, "user=salty"), "SELECT current_user"); user != "salty" {
			t.Errorf("logged in as %q", user)
		}
		return processorTime(t, origin.Process) - before
	}
	first, second := login(), login()
	t.Logf("%s of the processor, then %s", first, second)
	if first < 100*time.Millisecond || second > first/2 {
		t.Errorf("the first login took %s of the processor and the second %s", first, second)
	}
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
