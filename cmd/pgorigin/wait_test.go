package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/health"
)

// TestWaitForOneThatIsYetToStart: nothing listens, then pgorigin starts, then it is up.
func TestWaitForOneThatIsYetToStart(t *testing.T) {
	addr := cmdtest.FreeAddr(t)
	ended := make(chan outcome, 1)
	go func() {
		ended <- runWith(t, []string{"PGORIGIN_HEALTH_ADDR=" + addr}, "wait", "--timeout", cmdtest.Patience.String())
	}()
	stillWaiting := func(story string) {
		t.Helper()
		select {
		case got := <-ended:
			t.Fatalf("%s: it ended with %+v", story, got)
		case <-time.After(300 * time.Millisecond):
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
	case <-time.After(cmdtest.Patience):
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
		{starting, cli.ExitFailed, "not up after 1s: http://" + starting + "/startupz answered 503: listener: not bound yet"},
		{cmdtest.FreeAddr(t), cli.ExitFailed, "connection refused\nIs it running, with PGORIGIN_HEALTH_ADDR="},
		{"off", cli.ExitFailed, "PGORIGIN_HEALTH_ADDR=off: there is nothing to ask"},
		{"nowhere", cli.ExitConfig, "PGORIGIN_HEALTH_ADDR: saw"},
	} {
		got := runWith(t, []string{"PGORIGIN_HEALTH_ADDR=" + row.addr}, "wait", "--timeout=1s")
		if got.code != row.code || got.stdout != "" || !strings.Contains(got.stderr, row.want) {
			t.Errorf("%s: %+v, want %d and %q", row.addr, got, row.code, row.want)
		}
	}
	for value, want := range map[string]string{
		"0s": "wait: --timeout: expected a duration above zero",
		"1":  "wait: --timeout: expected a duration with its unit, such as 500ms, 10s or 1m30s; did you mean 1s?",
	} {
		got := runWith(t, nil, "wait", "--timeout", value)
		if got.code != cli.ExitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %+v, want %d and %q", value, got, cli.ExitUsage, want)
		}
	}
}
