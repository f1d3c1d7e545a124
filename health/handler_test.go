package health

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// lives are those that a process can lead, in the order of the golden file.
func lives() []life {
	started := func(s *Status, _ *Prober) { s.Started() }
	tried := func(times int, problem *Problem) func(*Prober) {
		return func(p *Prober) {
			p.Observed(nil, time.Second)
			for range times {
				pass(15 * time.Second)
				p.Observed(problem, time.Second)
			}
			pass(4 * time.Second)
		}
	}
	expired := &Problem{Reason: "cert_expired", Text: `upstream db:6432: certificate "db" expired 1999-12-31T21:00:00Z, 3 hours ago`}
	return []life{
		{"starting", func(*Status, *Prober) {}},
		{"ready", started},
		{"ready, the upstream is down", func(s *Status, p *Prober) {
			s.Started()
			tried(3, refused)(p)
			s.AddNote("upstream", p.Note)
		}},
		{"ready, our certificate has expired", func(s *Status, _ *Prober) {
			s.Started()
			s.AddNote("certificates", func() string { return `client certificate "app" has expired 3 hours ago` })
		}},
		{"starting, waits for the upstream", func(s *Status, p *Prober) {
			s.AddStartup("upstream", p.Verified)
			s.AddReadiness("upstream", p.Verified)
			s.Started()
		}},
		{"readiness=upstream, up", func(s *Status, p *Prober) {
			s.AddReadiness("upstream", p.Up)
			s.Started()
			tried(0, nil)(p)
		}},
		{"readiness=upstream, one failure", func(s *Status, p *Prober) {
			s.AddReadiness("upstream", p.Up)
			s.Started()
			tried(1, refused)(p)
		}},
		{"readiness=upstream, down", func(s *Status, p *Prober) {
			s.AddReadiness("upstream", p.Up)
			s.Started()
			tried(3, refused)(p)
		}},
		{"readiness=upstream, its certificate has expired", func(s *Status, p *Prober) {
			s.AddReadiness("upstream", p.Up)
			s.Started()
			tried(3, expired)(p)
		}},
		{"draining", func(s *Status, _ *Prober) { s.Started(); s.Drain() }},
		{"told to stop while starting", func(s *Status, _ *Prober) { s.Drain() }},
		{"the accept loop is stuck", func(s *Status, _ *Prober) {
			s.AddLiveness("accept", func() (string, error) { return "", errors.New("clients have waited for 12s") })
			s.Started()
		}},
	}
}

type life struct {
	name  string
	enter func(*Status, *Prober)
}

// handler serves a process that leads this life. It has to be called within a bubble.
func (l life) handler() http.Handler {
	s := new(Status)
	l.enter(s, new(Prober))
	return Handler(s, http.NotFoundHandler(), http.NotFoundHandler())
}

// The golden file has every answer in every state, to be read by whoever changes one.
func TestEndpointsByState(t *testing.T) {
	var out strings.Builder
	for _, l := range lives() {
		synctest.Test(t, func(t *testing.T) {
			h := l.handler()
			fmt.Fprintf(&out, "==== %s\n", l.name)
			for _, target := range []string{
				"/startupz", "/startupz?verbose", "/livez", "/livez?verbose", "/readyz", "/readyz?verbose",
				"/readyz?verbose&exclude=upstream", "/readyz?format=json", "/healthz?verbose",
			} {
				got := ask(t, h, http.MethodGet, target)
				fmt.Fprintf(&out, "GET %s\n%d %s\n%s\n", target, got.code, got.header.Get("Content-Type"), got.body)
				head := ask(t, h, http.MethodHead, target)
				if head.code != got.code || head.body != "" || !reflect.DeepEqual(head.header, got.header) {
					t.Errorf("HEAD %s differs: %d %v", target, head.code, head.header)
				}
				if got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("GET %s: header is %v", target, got.header)
				}
			}
		})
	}
	golden(t, "testdata/endpoints.golden", out.String())
}

// golden compares, or writes the file if the tests run with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the text differs from %s (run with -update and read the diff):\n%s", file, got)
	}
}

// The status code is the same in every form of the answer; these are the promises, apart from their wording.
func TestCodesByState(t *testing.T) {
	for name, want := range map[string][3]int{ // startupz, livez, readyz
		"starting":                                        {503, 200, 503},
		"ready":                                           {200, 200, 200},
		"ready, the upstream is down":                     {200, 200, 200},
		"ready, our certificate has expired":              {200, 200, 200},
		"starting, waits for the upstream":                {503, 200, 503},
		"readiness=upstream, up":                          {200, 200, 200},
		"readiness=upstream, one failure":                 {200, 200, 200},
		"readiness=upstream, down":                        {200, 200, 503},
		"readiness=upstream, its certificate has expired": {200, 200, 503},
		"draining":                                        {200, 200, 503},
		"told to stop while starting":                     {503, 200, 503},
		"the accept loop is stuck":                        {200, 503, 200},
	} {
		i := slices.IndexFunc(lives(), func(l life) bool { return l.name == name })
		if i < 0 {
			t.Fatalf("no life %q", name)
		}
		synctest.Test(t, func(t *testing.T) {
			h := lives()[i].handler()
			for j, path := range []string{"/startupz", "/livez", "/readyz"} {
				for _, query := range []string{"", "?verbose", "?format=json"} {
					if got := ask(t, h, http.MethodGet, path+query); got.code != want[j] {
						t.Errorf("%s: %s = %d, want %d", name, path+query, got.code, want[j])
					}
				}
			}
			if got := ask(t, h, http.MethodGet, "/healthz"); got.code != want[2] {
				t.Errorf("%s: /healthz = %d, want %d", name, got.code, want[2])
			}
			if got := ask(t, h, http.MethodGet, "/statusz"); got.code != http.StatusOK {
				t.Errorf("%s: /statusz = %d", name, got.code)
			}
		})
	}
}

func TestExcludedConditionsDoNotCount(t *testing.T) {
	h := handlerIn(t, "draining")
	for query, want := range map[string]int{
		"?exclude=draining": 200, "?exclude=listener": 503, "?exclude=listener&exclude=draining": 200, "?exclude=": 503,
	} {
		if got := ask(t, h, http.MethodGet, "/readyz"+query); got.code != want {
			t.Errorf("/readyz%s = %d, want %d", query, got.code, want)
		}
	}
}

// JSON is for who asks for it. A browser, which takes anything, gets what people can read.
func TestFormats(t *testing.T) {
	h := handlerIn(t, "ready")
	for _, row := range []struct{ target, accept, want string }{
		{"/readyz", "", "text/plain; charset=utf-8"},
		{"/readyz", "*/*", "text/plain; charset=utf-8"},
		{"/readyz", "text/html,application/xhtml+xml,*/*;q=0.8", "text/plain; charset=utf-8"},
		{"/readyz", "application/json", "application/json; charset=utf-8"},
		{"/livez?verbose", "application/json, text/plain;q=0.5", "application/json; charset=utf-8"},
		{"/readyz?format=json", "text/plain", "application/json; charset=utf-8"},
		{"/readyz?format=text", "application/json", "text/plain; charset=utf-8"},
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, row.target, http.NoBody)
		req.Header.Set("Accept", row.accept)
		if got := do(h, req); got.header.Get("Content-Type") != row.want || got.header.Get("Vary") != "Accept" {
			t.Errorf("%s with Accept %q: %v, want %s", row.target, row.accept, got.header, row.want)
		}
	}
}

func TestUnknownPaths(t *testing.T) {
	h := handlerIn(t, "ready")
	for _, path := range []string{"/readyz/", "/readyz/upstream", "/quitquitquit", "/debug/pprof/"} {
		got := ask(t, h, http.MethodGet, path)
		if want := "not found; there are /startupz, /livez, /readyz, /healthz, /statusz and /metrics\n"; got.code != 404 || got.body != want {
			t.Errorf("%s = %d %q", path, got.code, got.body)
		}
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
}

func handlerIn(t *testing.T, name string) http.Handler {
	t.Helper()
	for _, l := range lives() {
		if l.name == name {
			return l.handler()
		}
	}
	t.Fatalf("no life %q", name)
	return nil
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
