package e2e

import (
	"testing"
)

// TestEmptyPassword: a bridge has no words of its own for an empty password. The server refuses it as it does without
// a bridge.
func TestEmptyPassword(t *testing.T) {
	ctx := testContext(t)
	for name, upstream := range map[string]string{"postgres": shared.postgres.Addr, "pgbouncer": shared.bouncer.Addr} {
		want := refusal(ctx, t, startOrigin(t, upstream).Addr, "password=''", "passfile=/dev/null")
		got := refusal(ctx, t, startOrigin(t, upstream, bridgeMode).Addr, "password=''", "passfile=/dev/null")
		if got.Code != want.Code || got.Message != want.Message {
			t.Errorf("%s: a bridge refuses with %s %q, without it is %s %q", name, got.Code, got.Message, want.Code, want.Message)
		}
	}
}
