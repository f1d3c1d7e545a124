package sidecar

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/health"
)

const (
	quitPath = "/quitquitquit"

	// adminSocketMode lets nobody but our own user, and root, ask for the end of this process.
	adminSocketMode = 0o600

	defaultProfile = 30 * time.Second // as long as "go tool pprof" expects
	maxProfile     = 5 * time.Minute
	profileGrace   = 10 * time.Second // to write what was recorded
)

// adminHandler serves quitPath, which calls quit, and the profiles of Go's runtime under /debug/pprof/.
func adminHandler(quit func()) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(quitPath, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "method not allowed; use POST, for links and previews are followed by GET",
				http.StatusMethodNotAllowed)
			return
		}
		const answer = "ok, running sessions may finish\n"
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = io.WriteString(w, answer)
		// without sessions the end comes at once, for this connection, too
		_ = http.NewResponseController(w).Flush()
		quit()
	})
	mux.HandleFunc("GET /debug/pprof/profile", serveCPUProfile)
	mux.HandleFunc("GET /debug/pprof/{name}", serveProfile)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w,
			"not found; there are POST "+quitPath+" and /debug/pprof/ with profile, "+
				strings.Join(profileNames(), ", "), http.StatusNotFound)
	})
	return localOnly(mux)
}

// localOnly refuses what a web page can make a browser on this machine send. Being bound to loopback does not
// keep that out: a browser sends a cross-origin POST without asking, but then with an Origin header; and a
// page whose own name was rebound to 127.0.0.1 is of the same origin, but then the Host header has that name.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case r.Header.Get("Origin") != "":
			http.Error(w, "refused: a web page asked for this (there is an Origin header)",
				http.StatusForbidden)
		case !isLocalHost(r.Host):
			http.Error(w, "refused: the Host header must be localhost, 127.0.0.1 or [::1]",
				http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isLocalHost reports whether a Host header is a name of this machine that no DNS server can give to another
// one.
func isLocalHost(header string) bool {
	host, _, err := net.SplitHostPort(header)
	if err != nil { // no port
		host = strings.Trim(header, "[]")
	}
	ip, _ := config.LocalIP(host)
	return ip.IsLoopback()
}

func profileNames() []string {
	var names []string
	for _, p := range pprof.Profiles() {
		names = append(names, p.Name())
	}
	return names
}

// serveProfile writes one of the runtime's profiles; with ?debug=1, or 2 for goroutines, as text. This and
// serveCPUProfile are net/http/pprof without its traces and index, which are half a megabyte.
func serveProfile(w http.ResponseWriter, r *http.Request) {
	p := pprof.Lookup(r.PathValue("name"))
	if p == nil {
		http.Error(w, "no such profile; there are profile, "+strings.Join(profileNames(), ", "),
			http.StatusNotFound)
		return
	}
	debug, _ := strconv.Atoi(r.URL.Query().Get("debug")) // what is no number is the binary form
	if debug > 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	if r.URL.Query().Get("gc") == "1" { // so that what is in the heap is in use
		runtime.GC()
	}
	_ = p.WriteTo(w, debug) // a failed write means that the reader left
}

// serveCPUProfile records for ?seconds=30.
func serveCPUProfile(w http.ResponseWriter, r *http.Request) {
	length := defaultProfile
	if text := r.URL.Query().Get("seconds"); text != "" {
		seconds, err := strconv.Atoi(text)
		length = time.Duration(seconds) * time.Second
		if err != nil || length <= 0 || length > maxProfile {
			http.Error(w,
				fmt.Sprintf("seconds: expected a whole number from 1 to %d", maxProfile/time.Second),
				http.StatusBadRequest)
			return
		}
	}
	// The server's own timeouts are for short answers. The one for reading would end the request's context.
	end := time.Now().Add(length + profileGrace)
	conn := http.NewResponseController(w)
	if err := errors.Join(conn.SetReadDeadline(end), conn.SetWriteDeadline(end)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if err := pprof.StartCPUProfile(w); err != nil { // there is one at a time
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	defer pprof.StopCPUProfile()
	select {
	case <-time.After(length):
	case <-r.Context().Done():
	}
}

// newAdminServer has the short timeouts of the health server.
func newAdminServer(quit func()) *http.Server { return health.NewServer(adminHandler(quit)) }
