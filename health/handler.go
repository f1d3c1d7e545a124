package health

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Bounds of the health server. Probes are small and frequent, and a client that dawdles here must not cost anything.
const (
	readHeaderTimeout = 2 * time.Second
	readTimeout       = 3 * time.Second
	writeTimeout      = 10 * time.Second
	idleTimeout       = 30 * time.Second
	maxHeaderBytes    = 8 << 10
)

// Handler serves the endpoints in the package comment. Only GET and HEAD are answered: nothing here changes anything.
func Handler(s *Status, m *Metrics) http.Handler {
	live := func() []outcome { return []outcome{{name: "process"}} }
	mux := http.NewServeMux()
	mux.Handle("/livez", conditions("livez", live))
	mux.Handle("/startupz", conditions("startupz", s.startup))
	mux.Handle("/readyz", conditions("readyz", s.readiness))
	mux.Handle("/healthz", conditions("healthz", s.readiness))
	mux.Handle("/statusz", statusz(s))
	mux.Handle("/metrics", m.handler())
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusNotFound, "not found; there are /startupz, /livez, /readyz, /healthz, /statusz and /metrics\n")
	})
	return readOnly(mux)
}

// NewServer returns a server with short timeouts for h. Serving, and closing it in the end, is the caller's.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
}

// readOnly refuses every method but GET and HEAD and keeps answers out of caches.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			answer(w, http.StatusMethodNotAllowed, "method not allowed; use GET or HEAD\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// conditions answers 200 when every condition holds and 503 else. Machines read the status code; the body is for
// people, and ?verbose lists every condition the way kube-apiserver does, and notes in a similar way.
func conditions(name string, read func() []outcome) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code := http.StatusOK
		var reasons, lines strings.Builder
		for _, o := range read() {
			switch {
			case o.note != "":
				fmt.Fprintf(&lines, "[!]%s: %s\n", o.name, o.note)
				continue
			case o.err == nil:
				fmt.Fprintf(&lines, "[+]%s ok\n", o.name)
				continue
			}
			code = http.StatusServiceUnavailable
			fmt.Fprintf(&reasons, "%v\n", o.err)
			fmt.Fprintf(&lines, "[-]%v\n", o.err)
		}
		switch {
		case r.URL.Query().Has("verbose") && code == http.StatusOK:
			answer(w, code, lines.String()+name+" check passed\n")
		case r.URL.Query().Has("verbose"):
			answer(w, code, lines.String()+name+" check failed\n")
		case code == http.StatusOK:
			answer(w, code, "ok\n")
		default:
			answer(w, code, reasons.String())
		}
	})
}

// answer writes a whole plain-text response. A failed write means that the prober left, which is nobody's problem.
func answer(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(body))
}
