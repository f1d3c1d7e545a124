// Package cmdtest runs a pgorigin, and an upstream for it, in the process of a test.
package cmdtest

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// Running is a pgorigin that runs in the process of the test.
type Running struct {
	Listen, Health string
	Stderr         *LogWatcher
	Stop           context.CancelFunc // does what SIGTERM does
	Code           chan int
}

// Start calls run with env and two free addresses. It returns when the log says "ready".
func Start(t *testing.T, env []string, run func(context.Context, cli.Process) int) *Running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &Running{
		Listen: FreeAddr(t), Health: FreeAddr(t), Stderr: NewLogWatcher(), Stop: stop,
		Code: make(chan int, 1),
	}
	env = append(env, "PGORIGIN_LISTEN_ADDR="+r.Listen, "PGORIGIN_HEALTH_ADDR="+r.Health)
	go func() {
		p := cli.Process{Env: env, Stdout: io.Discard, Stderr: r.Stderr, Build: cli.ReadBuild("", "", "")}
		r.Code <- run(ctx, p)
	}()
	r.Stderr.Wait(t, "ready")
	return r
}

// WantExit waits for the end and compares the exit code.
func (r *Running) WantExit(t *testing.T, want int) {
	t.Helper()
	WantCode(t, r.Code, want)
}

// Login opens a session and waits until bytes were relayed in both directions. The client learns of its login
// a moment before pgorigin does.
func (r *Running) Login(t *testing.T) *pgtest.Peer {
	t.Helper()
	client := r.Connect(t)
	client.Send(pgtest.Startup("user", "app", "database", "shop", "application_name", "serve_test"))
	key := pgtest.BackendKeyData("\x00\x00\x00\x01abcd")
	client.Expect(pgtest.AuthenticationOk(), key, pgtest.ReadyForQuery('I'))
	client.Send(pgtest.Message('S', ""))
	client.Expect(pgtest.ReadyForQuery('I'))
	return client
}

// Begin opens a session in a transaction. A drain waits for it.
func (r *Running) Begin(t *testing.T) *pgtest.Peer {
	t.Helper()
	client := r.Login(t)
	client.Send(pgtest.Message('Q', "BEGIN\x00"))
	client.Expect(pgtest.ReadyForQuery('T'))
	return client
}

// Connect opens a connection. The end of the test closes it.
func (r *Running) Connect(t *testing.T) *pgtest.Peer {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", r.Listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return pgtest.NewPeer(t, conn)
}

// Get returns the status code and the body of a health endpoint.
func (r *Running) Get(t *testing.T, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.Health+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// WantCode waits for an exit code and compares it.
func WantCode(t *testing.T, code <-chan int, want int) {
	t.Helper()
	select {
	case got := <-code:
		if got != want {
			t.Errorf("exit code %d, want %d", got, want)
		}
	case <-time.After(Patience):
		t.Fatal("it does not end")
	}
}
