package main

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
)

// TestContradictingKeyExchange: tlsorigin finds the contradiction, and the report names the variables.
func TestContradictingKeyExchange(t *testing.T) {
	for _, row := range []struct{ settings, want string }{
		{
			"PGORIGIN_TLS_POST_QUANTUM=require PGORIGIN_TLS_GROUPS=X25519MLKEM768,X25519",
			`PGORIGIN_TLS_GROUPS: saw "X25519": is classical although PGORIGIN_TLS_POST_QUANTUM is require; leave it out`,
		},
		{
			"PGORIGIN_TLS_POST_QUANTUM=off PGORIGIN_TLS_GROUPS=X25519MLKEM768",
			`PGORIGIN_TLS_GROUPS: saw "X25519MLKEM768": is a hybrid group although PGORIGIN_TLS_POST_QUANTUM is off; leave it out`,
		},
		{"PGORIGIN_TLS_GROUPS=P-256,P-256", `PGORIGIN_TLS_GROUPS: saw "P-256": is there twice`},
	} {
		env := append([]string{cmdtest.Upstream}, strings.Fields(row.settings)...)
		got := runWith(t, env)
		if got.code != cli.ExitConfig || !strings.Contains(got.stderr, row.want) {
			t.Errorf("%s: %+v, want %s", row.settings, got, row.want)
		}
	}
}

func TestRequireThatCannotBeHonoured(t *testing.T) {
	t.Setenv("GODEBUG", "tlsmlkem=0")
	got := runWith(t, []string{cmdtest.Upstream, "PGORIGIN_TLS_POST_QUANTUM=require"})
	want := `PGORIGIN_TLS_POST_QUANTUM: saw "require": cannot be honoured: GODEBUG or FIPS 140`
	if got.code != cli.ExitConfig || !strings.Contains(got.stderr, want) {
		t.Errorf("%+v, want %s", got, want)
	}
}

func TestHelloIsLoggedAtStart(t *testing.T) {
	stderr := cmdtest.NewLogWatcher()
	env := append(cmdtest.StartUpstream(t), "PGORIGIN_LISTEN_ADDR="+cmdtest.FreeAddr(t), "PGORIGIN_HEALTH_ADDR=off", "PGORIGIN_TLS_GROUPS=P-256")
	code := make(chan int, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() { code <- run(ctx, nil, env, io.Discard, stderr) }()
	line := stderr.Wait(t, "client hello")
	groups, shares := line["groups"].([]any), line["key_shares"].([]any)
	if line["bytes"].(float64) < 200 || len(groups) != 1 || groups[0] != "P-256" || len(shares) != 1 || shares[0] != "P-256" {
		t.Errorf("line is %v", line)
	}
	stderr.Wait(t, "ready")
	stop()
	cmdtest.WantCode(t, code, cli.ExitOK)
}
