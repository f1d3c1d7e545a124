package health

import (
	"net/http"
	"time"
)

// Bounds of the health server. Requests are small, so a slow client gets no time.
const (
	readHeaderTimeout = 2 * time.Second
	readTimeout       = 3 * time.Second
	writeTimeout      = 10 * time.Second
	idleTimeout       = 30 * time.Second
	maxHeaderBytes    = 8 << 10
)

// Handler serves the endpoints of the package comment. Page serves /, metrics serves /metrics. Methods other
// than GET and HEAD are refused, because no endpoint changes anything.
func Handler(s *Status, page, metrics http.Handler) http.Handler {
	silent := func() []Note { return []Note{} }
	mux := http.NewServeMux()
	mux.Handle("/livez", conditions("livez", s.liveConditions, silent))
	mux.Handle("/startupz", conditions("startupz", s.startConditions, silent))
	mux.Handle("/readyz", conditions("readyz", s.readyConditions, s.allNotes))
	mux.Handle("/healthz", conditions("healthz", s.readyConditions, s.allNotes))
	mux.Handle("/statusz", statusz(s))
	mux.Handle("/metrics", metrics)
	mux.Handle("/{$}", page)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusNotFound,
			"not found; there are /startupz, /livez, /readyz, /healthz, /statusz and /metrics\n")
	})
	return readOnly(mux)
}

// NewServer returns a server for h with short timeouts. The caller runs it with Serve and closes it.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,

		DisableGeneralOptionsHandler: true, // "OPTIONS *" is refused like every other method
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

// statusz answers 200 whatever the state. It is for reading, not for probes.
func statusz(s *Status) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, s.Snapshot())
	})
}
