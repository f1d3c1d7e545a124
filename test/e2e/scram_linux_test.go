package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

// TestBridgeRemembersSaltedPasswords: with many iterations, they are nearly all that the first login takes of the processor.
func TestBridgeRemembersSaltedPasswords(t *testing.T) {
	ctx := testContext(t)
	createRole(ctx, t, "salty", scramSecret(t, servers.Password, 200_000))
	origin := startOrigin(t, shared.postgres.Addr, bridgeMode)
	login := func() (ticks int) {
		before := processorTicks(t, origin.Process)
		if user := ask[string](ctx, t, connect(ctx, t, origin.Addr, "user=salty"), "SELECT current_user"); user != "salty" {
			t.Errorf("logged in as %q", user)
		}
		return processorTicks(t, origin.Process) - before
	}
	first, second := login(), login()
	t.Logf("%d ticks of the processor, then %d", first, second)
	if first < 10 || second > first/2 {
		t.Errorf("the first login took %d ticks of the processor and the second %d", first, second)
	}
}

// processorTicks is what a process has taken of the processor, in hundredths of a second.
func processorTicks(t *testing.T, p *servers.Process) int {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, behindName, _ := strings.Cut(string(stat), ") ")
	var user, system int
	if _, err := fmt.Sscan(strings.Join(strings.Fields(behindName)[11:13], " "), &user, &system); err != nil {
		t.Fatal(err)
	}
	return user + system
}
