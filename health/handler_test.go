package health

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// states are the lives that a process can be in, by the story of each.
func states() map[string]func(*Status) {
	return map[string]func(*Status){
		"starting": func(*Status) {},
		"ready":    func(s *Status) { s.Started() },
		"draining": func(s *Status) { s.Started(); s.Drain() },
		"check failing": func(s *Status) {
			s.Started()
			s.AddCheck("upstream", func() error { return errors.New("refused") })
		},
		"check passing": func(s *Status) {
			s.Started()
			s.AddCheck("upstream", func() error { return nil })
		},
		"told to stop while starting": func(s *Status) { s.Drain() },
	}
}

const (
	notBound     = "listener: not bound yet\n"
	drainingText = "draining: new clients are refused, running sessions may finish\n"
)

func TestEndpointByState(t *testing.T) {
	for _, row := range []struct {
		state, target string
		code          int
		body          string
	}{
		{"starting", "/startupz", 503, notBound},
		{"starting", "/livez", 200, "ok\n"},
		{"starting", "/readyz", 503, notBound},
		{"starting", "/healthz", 503, notBound},
		{"starting", "/readyz?verbose", 503, "[-]" + notBound + "readyz check failed\n"},
		{"ready", "/startupz", 200, "ok\n"},
		{"ready", "/livez", 200, "ok\n"},
		{"ready", "/readyz", 200, "ok\n"},
		{"ready", "/healthz", 200, "ok\n"},
		{"ready", "/readyz?verbose", 200, "[+]listener ok\nreadyz check passed\n"},
		{"ready", "/healthz?verbose=1", 200, "[+]listener ok\nhealthz check passed\n"},
		{"ready", "/livez?verbose", 200, "[+]process ok\nlivez check passed\n"},
		{"ready", "/startupz?verbose", 200, "[+]listener ok\nstartupz check passed\n"},
		{"draining", "/startupz", 200, "ok\n"},
		{"draining", "/livez", 200, "ok\n"},
		{"draining", "/readyz", 503, drainingText},
		{"draining", "/healthz", 503, drainingText},
		{"draining", "/readyz?verbose", 503, "[+]listener ok\n[-]" + drainingText + "readyz check failed\n"},
		{"check failing", "/startupz", 200, "ok\n"},
		{"check failing", "/livez", 200, "ok\n"},
		{"check failing", "/readyz", 503, "upstream: refused\n"},
		{"check failing", "/readyz?verbose", 503, "[+]listener ok\n[-]upstream: refused\nreadyz check failed\n"},
		{"check passing", "/readyz?verbose", 200, "[+]listener ok\n[+]upstream ok\nreadyz check passed\n"},
		{"told to stop while starting", "/readyz", 503, notBound + drainingText},
		{"ready", "/", 404, "not found; there are /startupz, /livez, /readyz, /healthz, /statusz and /metrics\n"},
		{"ready", "/readyz/", 404, "not found; there are /startupz, /livez, /readyz, /healthz, /statusz and /metrics\n"},
	} {
		t.Run(row.state+row.target, func(t *testing.T) {
			h := handlerIn(t, row.state)
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				got := ask(t, h, method, row.target)
				want := row.body
				if method == http.MethodHead {
					want = ""
				}
				if got.code != row.code || got.body != want {
					t.Errorf("%s %s = %d %q, want %d %q", method, row.target, got.code, got.body, row.code, want)
				}
				if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "text/plain; charset=utf-8" {
					t.Errorf("%s %s: header is %v", method, row.target, got.header)
				}
			}
		})
	}
}

func TestOnlyReadingMethodsAreAnswered(t *testing.T) {
	h := handlerIn(t, "ready")
	for _, path := range []string{"/startupz", "/livez", "/readyz", "/healthz", "/metrics", "/", "/quitquitquit"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"} {
			got := ask(t, h, method, path)
			if got.code != http.StatusMethodNotAllowed || got.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s = %d, header %v", method, path, got.code, got.header)
			}
			if got.body != "method not allowed; use GET or HEAD\n" {
				t.Errorf("%s %s: body %q", method, path, got.body)
			}
		}
	}
}

// TestServerHasTimeouts guards the fields whose zero value means "for ever".
func TestServerHasTimeouts(t *testing.T) {
	srv := NewServer(handlerIn(t, "ready"))
	if srv.ReadHeaderTimeout <= 0 || srv.ReadTimeout <= 0 || srv.WriteTimeout <= 0 || srv.IdleTimeout <= 0 {
		t.Errorf("a timeout is missing: %+v", srv)
	}
	if srv.MaxHeaderBytes <= 0 || srv.MaxHeaderBytes > 64<<10 {
		t.Errorf("MaxHeaderBytes = %d", srv.MaxHeaderBytes)
	}
	if srv.WriteTimeout <= scrapeTimeout {
		t.Error("a scrape that times out could not say so any more")
	}
}

func handlerIn(t *testing.T, state string) http.Handler {
	t.Helper()
	enter, ok := states()[state]
	if !ok {
		t.Fatalf("no state %q", state)
	}
	s := new(Status)
	enter(s)
	return Handler(s, NewMetrics(Options{Origins: []string{"default"}, Status: s}))
}

// answered is a response as a client sees it.
type answered struct {
	code   int
	header http.Header
	body   string
}

func ask(t *testing.T, h http.Handler, method, target string) answered {
	t.Helper()
	return do(h, httptest.NewRequestWithContext(t.Context(), method, target, http.NoBody))
}

// do drops the body of an answer to HEAD, as net/http does on the wire; a recorder keeps it.
func do(h http.Handler, req *http.Request) answered {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	if req.Method == http.MethodHead {
		rec.Body.Reset()
	}
	return answered{rec.Code, rec.Header(), rec.Body.String()}
}
