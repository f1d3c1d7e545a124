package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/health"
)

// TestWaitForOneThatIsYetToStart: first nobody listens, then it is starting, then it is up.
func TestWaitForOneThatIsYetToStart(t *testing.T) {
	addr := freeAddr(t)
	ended := make(chan outcome, 1)
	go func() {
		ended <- runWith(t, []string{"PGORIGIN_HEALTH_ADDR=" + addr}, "wait", "--timeout", patience.String())
	}()
	stillWaiting := func(story string) {
		t.Helper()
		select {
		case got := <-ended:
			t.Fatalf("%s: it ended with %+v", story, got)
		case <-time.After(3 * waitPeriod):
		}
	}
	stillWaiting("nobody listens")
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	status := new(health.Status)
	srv := &http.Server{Handler: health.Handler(status, http.NotFoundHandler(), http.NotFoundHandler())}
	go func() { _ = srv.Serve(ln) }()
	defer srv.Close()
	stillWaiting("it is starting")
	status.Started()
	select {
	case got := <-ended:
		if got != (outcome{}) {
			t.Errorf("%+v, want silence and 0", got)
		}
	case <-time.After(patience):
		t.Fatal("it does not notice")
	}
}

func TestWaitSaysWhatItSawLast(t *testing.T) {
	status := new(health.Status)
	srv := httptest.NewServer(health.Handler(status, http.NotFoundHandler(), http.NotFoundHandler()))
	defer srv.Close()
	starting := strings.TrimPrefix(srv.URL, "http://")
	for _, row := range []struct {
		addr string
		code int
		want string
	}{
		{starting, exitFailed, "not up after 2s: http://" + starting + "/startupz answered 503: listener: not bound yet"},
		{freeAddr(t), exitFailed, "connection refused\nIs it running, with PGORIGIN_HEALTH_ADDR="},
		{"off", exitFailed, "PGORIGIN_HEALTH_ADDR=off: there is nothing to ask"},
		{"nowhere", exitConfig, "PGORIGIN_HEALTH_ADDR: saw"},
	} {
		got := runWith(t, []string{"PGORIGIN_HEALTH_ADDR=" + row.addr}, "wait", "--timeout=2s")
		if got.code != row.code || got.stdout != "" || !strings.Contains(got.stderr, row.want) {
			t.Errorf("%s: %+v, want %d and %q", row.addr, got, row.code, row.want)
		}
	}
	if got := runWith(t, nil, "wait", "--timeout=0s"); got.code != exitUsage {
		t.Errorf("%+v, want %d", got, exitUsage)
	}
}

// TestPollKeepsTheLastReason: that the time is over says nothing about why.
func TestPollKeepsTheLastReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tries := 0
		err := poll(t.Context(), time.Second, func(ctx context.Context) error {
			if tries++; tries < 3 {
				return &net.AddrError{Err: "the reason"}
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if err == nil || !strings.Contains(err.Error(), "the reason") || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestShutdownCommand(t *testing.T) {
	admin := freeAddr(t)
	env := []string{"PGORIGIN_ADMIN_ADDR=" + admin}
	for _, row := range []struct {
		env  []string
		args []string
		code int
		want string
	}{
		{env, nil, exitFailed, "connection refused\nIs it running, with PGORIGIN_ADMIN_ADDR=" + admin},
		{nil, nil, exitFailed, "PGORIGIN_ADMIN_ADDR=off: there is nothing to ask"},
		{[]string{"PGORIGIN_ADMIN_ADDR=0.0.0.0:1"}, nil, exitConfig, "expected a loopback address"},
		{env, []string{"--wait=-1s"}, exitUsage, "--wait must be above zero"},
	} {
		got := runWith(t, row.env, append([]string{"shutdown"}, row.args...)...)
		if got.code != row.code || !strings.Contains(got.stderr, row.want) {
			t.Errorf("%v %v: %+v, want %d and %q", row.env, row.args, got, row.code, row.want)
		}
	}

	r := start(t, append(startUpstream(t), env...)...)
	client := r.begin(t)
	for range 2 { // asking again does no harm
		if got := runWith(t, env, "shutdown"); got != (outcome{}) {
			t.Errorf("%+v, want silence and 0", got)
		}
	}
	r.stderr.wait(t, "draining")
	for _, wait := range []string{"--wait=1ns", "--wait=150ms"} { // time that is over before it looks says nothing, either
		if got := runWith(t, env, "shutdown", wait); got.code != exitFailed || !strings.Contains(got.stderr, "PGORIGIN_SHUTDOWN_TIMEOUT") {
			t.Errorf("%s: %+v while a transaction is open", wait, got)
		}
	}
	_ = client.Close()
	r.wantExit(t, exitOK)
}
