//go:build unchanged

package unchanged

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

// parallel is how many drivers are at work at a time.
const parallel = 2

// The columns of the table.
const (
	bouncerStrip = "pgbouncer, `strip`"
	pgStrip      = "PostgreSQL, `strip`"
	pgBridge     = "PostgreSQL, `bridge`"
	execPort     = "`exec`, port"
	execSocket   = "`exec`, socket"
)

// cure is what an error of pgorigin names when channel binding is in the way.
const cure = "PGORIGIN_AUTH_CHANNEL_BINDING=bridge"

func TestUnchanged(t *testing.T) {
	ctx := testContext(t)
	table := newTable(shared.drivers())
	t.Run("directly", func(t *testing.T) { directly(ctx, t) })
	t.Run("intercepted", func(t *testing.T) {
		intercepted(ctx, t, table, bouncerStrip, netBouncer, "strip")
		intercepted(ctx, t, table, pgStrip, netStrip, "strip")
		intercepted(ctx, t, table, pgBridge, netBridge, "bridge")
		withSecret(ctx, t)
	})
	t.Run("exec", func(t *testing.T) { underExec(ctx, t, table) })
	if t.Failed() {
		return // what failed has no place on the page
	}
	t.Run("page", func(t *testing.T) { table.compare(t) })
}

// each calls do for every driver, some at a time.
func each(do func(d driver)) {
	var all sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for _, d := range shared.drivers() {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			do(d)
		})
	}
	all.Wait()
}

// allModes are URLs with each sslmode, and what else the driver needs to know a CA.
func (d driver) allModes(caFile string) (urls, env []string) {
	for i, sslmode := range sslmodes {
		file := ""
		if i == verifyFull {
			file = caFile
		}
		urls = append(urls, d.url(sslmode, file))
	}
	if d.caVariable != "" {
		env = append(env, d.caVariable+"="+caFile)
	}
	return urls, env
}

// directly shows that the server demands TLS, and that the programs and their URLs are right.
func directly(ctx context.Context, t *testing.T) {
	each(func(d driver) {
		urls, env := d.allModes(shared.lab.CAFile)
		said, err := d.run(ctx, shared.pods[netPlain], nil, env, urls...)
		if err != nil {
			t.Error(err)
			return
		}
		for i, answer := range said {
			refused := strings.Contains(answer, "no encryption")
			if plain := sslmodes[i] == "disable"; plain && !refused || !plain && answer != works {
				t.Errorf("%s, %s: %s", d.name, sslmodes[i], answer)
			}
		}
	})
}

// intercepted runs all drivers in a pod where the real name leads to a pgorigin.
func intercepted(ctx context.Context, t *testing.T, table *table, column string, network int, mode string) {
	t.Helper()
	p := shared.pods[network]
	variables, err := p.inject(ctx, "pgorigin/channel-binding: "+mode, ownCA)
	if err != nil {
		t.Fatal(err)
	}
	where, err := p.command(ctx, nil, "/usr/bin/getent", "hosts", realName).Output()
	if err != nil || !strings.HasPrefix(string(where), "127.0.0.1 ") {
		t.Fatalf("in the pod, the real name leads to %q, %v", where, err)
	}
	origin := startOrigin(ctx, t, p, variables)
	var began, encrypted int
	var mu sync.Mutex
	each(func(d driver) {
		urls, env := d.allModes(p.caFile())
		said, err := d.run(ctx, p, nil, env, urls...)
		if err != nil {
			t.Errorf("%s: %v", column, err)
			return
		}
		for i, answer := range said {
			switch {
			case answer == works:
				table.add(d, column, true, "")
				mu.Lock()
				began += 2
				if i >= require {
					encrypted += 2
				}
				mu.Unlock()
			case column == pgStrip && sslmodes[i] != "disable" && strings.Contains(answer, cure):
				table.add(d, column, false, "the driver expects channel binding; the error names the cure, `bridge`")
			default:
				t.Errorf("%s: %s, %s: %s", column, d.name, sslmodes[i], answer)
			}
		}
	})
	origin.Stop()
	ended, endedTLS := origin.Log.Lines(`"session ended"`), origin.Log.Lines(`"session ended"`, `"client_tls"`)
	if len(ended) < began || len(endedTLS) < encrypted {
		t.Errorf("%s: %d sessions went through pgorigin, %d of them with TLS; want at least %d and %d",
			column, len(ended), len(endedTLS), began, encrypted)
	}
}

// withSecret gives pgorigin a certificate from the CA of the real server, which applications have in their URL already.
func withSecret(ctx context.Context, t *testing.T) {
	t.Helper()
	p := shared.pods[netBridge]
	variables, err := p.inject(ctx, "pgorigin/channel-binding: bridge", fromSecret)
	if err := errors.Join(err, p.addSecret(realCertificate())); err != nil {
		t.Fatal(err)
	}
	startOrigin(ctx, t, p, variables)
	each(func(d driver) {
		urls, env := d.allModes(shared.lab.CAFile)
		said, err := d.run(ctx, p, nil, env, urls[verifyFull])
		if err != nil || said[0] != works {
			t.Errorf("%s, with a certificate of the real CA: %v, %v", d.name, said, err)
		}
	})
}

// startOrigin starts a pgorigin in a pod.
func startOrigin(ctx context.Context, t *testing.T, p *pod, env []string) *servers.Process {
	t.Helper()
	program, err := p.program(shared.binary)
	if err != nil {
		t.Fatal(err)
	}
	origin, err := shared.lab.StartOrigin(program, append(env, "PGORIGIN_LOG_FORMAT=json")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		origin.Stop()
		checkLog(t, origin.Log.String())
		if t.Failed() {
			t.Logf("pgorigin ends with:\n%s", origin.Log.Tail(5))
		}
	})
	if err := origin.Await(ctx, `"ready"`); err != nil {
		t.Fatal(err)
	}
	return origin
}

// checkLog checks what must hold whatever the drivers did.
func checkLog(t *testing.T, log string) {
	t.Helper()
	for _, never := range []string{"DATA RACE", "panic:", password, escaped(password), "SCRAM-SHA-256$"} {
		if strings.Contains(log, never) {
			t.Errorf("pgorigin's log contains %q", never)
		}
	}
}

// underExec runs all drivers under "pgorigin exec", with nothing but DATABASE_URL and what the driver itself needs.
func underExec(ctx context.Context, t *testing.T, table *table) {
	ca := "PGORIGIN_TLS_CA_FILE=" + shared.lab.CAFile
	each(func(d driver) {
		lax := []string{"DATABASE_URL=" + d.databaseURL("require", shared.lab.CAFile)}
		if !strings.Contains(lax[0], "sslrootcert") {
			lax = append(lax, ca) // no URL of this driver has a CA file
		}
		for _, way := range []struct {
			column, listen string
			env            []string
		}{
			{execPort, "tcp", lax},
			{execPort, "auto", []string{ca, "DATABASE_URL=" + d.databaseURL("verify-full", "")}},
			{execSocket, "socket", lax},
		} {
			if way.column == execSocket && d.noSocket != "" {
				table.add(d, execSocket, false, d.noSocket)
				continue
			}
			prefix := []string{shared.binary, "exec", "--listen", way.listen, "--"}
			said, err := d.run(ctx, shared.pods[netPlain], prefix, append(way.env, d.own...))
			switch {
			case err != nil:
				t.Errorf("%s: %v", way.listen, err)
			case said[0] != works:
				t.Errorf("%s, %s: %s", d.name, way.listen, said[0])
			default:
				table.add(d, way.column, true, d.execNote)
			}
		}
	})
}

// databaseURL is what DATABASE_URL has for this driver.
func (d driver) databaseURL(sslmode, caFile string) string {
	if d.own != nil {
		return libpqURL(sslmode, caFile)
	}
	return d.url(sslmode, caFile)
}
