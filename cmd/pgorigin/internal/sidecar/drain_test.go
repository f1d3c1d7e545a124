package sidecar

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/observe"
	"github.com/pgorigin/pgorigin/health"
)

// ending is a Sidecar without listeners, in a bubble with a clock of its own.
type ending struct {
	*Sidecar
	log     bytes.Buffer
	signals chan os.Signal
	failed  chan error
	code    chan int
}

func newEnding(s config.Config) *ending {
	e := &ending{signals: make(chan os.Signal, 2), failed: make(chan error), code: make(chan int, 1)}
	e.Sidecar = &Sidecar{
		settings: s, status: new(health.Status), quit: make(chan struct{}, 1), idle: observe.NewIdleTimer(s.ExitWhenIdle),
		log: observe.NewLogger(&e.log, config.FormatJSON, zapcore.InfoLevel, nil),
	}
	e.status.Started()
	go func() { e.code <- e.awaitEnd(context.Background(), e.signals, e.failed) }()
	return e
}

// wantEnd checks that the drain begins, and as nothing is there to drain, ends, after exactly that time.
func (e *ending) wantEnd(t *testing.T, after time.Duration, cause string) {
	t.Helper()
	began := time.Now()
	if code := <-e.code; code != cli.ExitOK {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(began); took != after {
		t.Errorf("it ended after %v, want %v", took, after)
	}
	if !strings.Contains(e.log.String(), `"cause":"`+cause+`"`) {
		t.Errorf("no cause %q in %s", cause, e.log.String())
	}
}

func TestShutdownDelay(t *testing.T) {
	delayed := config.Config{ShutdownDelay: 5 * time.Second, ShutdownTimeout: time.Second, ExitWhenIdle: time.Minute}
	for _, row := range []struct {
		story string
		act   func(e *ending)
		after time.Duration
		cause string
	}{
		{"a signal", func(e *ending) { e.signals <- syscall.SIGTERM }, 5 * time.Second, "terminated"},
		{"a second one goes on", func(e *ending) {
			e.signals <- syscall.SIGTERM
			time.Sleep(2 * time.Second)
			e.signals <- os.Interrupt
		}, 0, "terminated"},
		{"so does somebody who is done", func(e *ending) {
			e.signals <- os.Interrupt
			time.Sleep(2 * time.Second)
			e.requestEnd()
		}, 0, "interrupt"},
		{"whoever asks is done and needs no delay", func(e *ending) { e.requestEnd(); e.requestEnd() }, 0, "asked by /quitquitquit"},
		{"nor does anybody if nobody is there", func(e *ending) {
			e.idle.SessionBegan()
			e.idle.LoggedIn()
			e.idle.SessionEnded()
		}, time.Minute, "no session for 1m0s"},
	} {
		t.Run(row.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnding(delayed)
				if err := e.status.Ready(); err != nil {
					t.Fatal(err)
				}
				row.act(e)
				e.wantEnd(t, row.after, row.cause)
				if e.status.Ready() == nil {
					t.Error("still ready")
				}
			})
		})
	}
}

// TestUnreadyFromTheFirstSignal: while the delay lasts, clients are served as before and probes are told already.
func TestUnreadyFromTheFirstSignal(t *testing.T) {
	r := start(t, append(cmdtest.StartUpstream(t), "PGORIGIN_SHUTDOWN_DELAY=1h")...)
	r.signals <- syscall.SIGTERM
	r.Stderr.Wait(t, "shutting down")
	if code, _ := r.Get(t, "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz = %d in the delay", code)
	}
	if code, _ := r.Get(t, "/livez"); code != http.StatusOK {
		t.Errorf("/livez = %d in the delay", code)
	}
	client := r.Login(t) // a new client
	r.signals <- syscall.SIGTERM
	r.Stderr.Wait(t, "draining")
	r.signals <- syscall.SIGTERM
	_ = client.Close()
	select {
	case <-r.Code: // 0 or 1: the client may have been faster than the cut
	case <-time.After(cmdtest.Patience):
		t.Fatal("it does not end")
	}
}

// TestExitWhenIdle counts the sessions of every origin, and neither refused nor silent clients.
func TestExitWhenIdle(t *testing.T) {
	other := cmdtest.FreeAddr(t)
	env := cmdtest.StartUpstream(t)
	upstream := strings.TrimPrefix(env[0], "PGORIGIN_UPSTREAM_ADDR=")
	r := start(t, append(env, "PGORIGIN_EXIT_WHEN_IDLE=10ms", "PGORIGIN_ORIGINS=other",
		"PGORIGIN_OTHER_UPSTREAM_ADDR="+upstream, "PGORIGIN_OTHER_LISTEN_ADDR="+other)...)
	_ = r.Connect(t).Close() // a port check
	first := r.Login(t)
	second := (&cmdtest.Running{Listen: other}).Login(t)
	_ = first.Close()
	if line := r.Stderr.Wait(t, "session ended"); line["origin"] != "default" {
		t.Errorf("line is %v", line)
	}
	select {
	case code := <-r.Code:
		t.Fatalf("it ended with %d while the other origin has a session", code)
	case <-time.After(100 * time.Millisecond):
	}
	_ = second.Close()
	r.WantExit(t, cli.ExitOK)
	if line := r.Stderr.Wait(t, "shutting down"); line["cause"] != "no session for 10ms" {
		t.Errorf("line is %v", line)
	}
}
