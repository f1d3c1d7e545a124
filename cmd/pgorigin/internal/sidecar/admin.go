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

	// adminSocketMode lets only the user of this process, and root, end it.
	adminSocketMode = 0o600

	defaultProfile = 30 * time.Second // as long as "go tool pprof" expects
	maxProfile     = 5 * time.Minute
	profileGrace   = 10 * time.Second // time to write the profile
)

// newAdminServer has the short timeouts of the health server.
func newAdminServer(quit func()) *http.Server { return health.NewServer(adminHandler(quit)) }

// adminHandler calls quit at POST quitPath. Under /debug/pprof/ it serves the profiles of Go's runtime.
func adminHandler(quit func()) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(quitPath, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "method not allowed; use POST, because previews follow links by GET",
				http.StatusMethodNotAllowed)
			return
		}
		const answer = "ok, running sessions may finish\n"
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = io.WriteString(w, answer)
		_ = http.NewResponseController(w).Flush() // without sessions, the process ends at once
		quit()
	})
	mux.HandleFunc("GET /debug/pprof/profile", serveCPUProfile)
	mux.HandleFunc("GET /debug/pprof/{name}", serveProfile)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		text := "not found; there are POST " + quitPath + " and /debug/pprof/ with profile, "
		http.Error(w, text+strings.Join(profileNames(), ", "), http.StatusNotFound)
	})
	return localOnly(mux)
}

// localOnly refuses requests that a web page makes a browser on this machine send. Loopback alone does not
// stop them. A cross-origin POST has an Origin header. A page whose own name was rebound to 127.0.0.1 sends
// no such header, but its name is in the Host header.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case r.Header.Get("Origin") != "":
			const text = "refused: a web page asked for this (there is an Origin header)"
			http.Error(w, text, http.StatusForbidden)
		case !isLocalHost(r.Host):
			const text = "refused: the Host header must be localhost, 127.0.0.1 or [::1]"
			http.Error(w, text, http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isLocalHost reports whether a Host header names this machine, independent of any DNS server.
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

// serveProfile writes a profile of the runtime. ?debug=1 makes it text, and for goroutines ?debug=2.
// serveProfile and serveCPUProfile replace net/http/pprof, which would add half a megabyte for traces and
// an index.
func serveProfile(w http.ResponseWriter, r *http.Request) {
	p := pprof.Lookup(r.PathValue("name"))
	if p == nil {
		text := "no such profile; there are profile, " + strings.Join(profileNames(), ", ")
		http.Error(w, text, http.StatusNotFound)
		return
	}
	debug, _ := strconv.Atoi(r.URL.Query().Get("debug")) // without a number, the profile is binary
	if debug > 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	if r.URL.Query().Get("gc") == "1" { // then the heap holds only what is in use
		runtime.GC()
	}
	_ = p.WriteTo(w, debug) // a write fails when the reader has left
}

// serveCPUProfile records for 30 seconds, or for ?seconds=N.
func serveCPUProfile(w http.ResponseWriter, r *http.Request) {
	length := defaultProfile
	if text := r.URL.Query().Get("seconds"); text != "" {
		seconds, err := strconv.Atoi(text)
		length = time.Duration(seconds) * time.Second
		if err != nil || length <= 0 || length > maxProfile {
			text := fmt.Sprintf("seconds: expected a whole number from 1 to %d", maxProfile/time.Second)
			http.Error(w, text, http.StatusBadRequest)
			return
		}
	}
	// The server's timeouts are for short answers. Its read timeout would end the context of the request.
	end := time.Now().Add(length + profileGrace)
	conn := http.NewResponseController(w)
	if err := errors.Join(conn.SetReadDeadline(end), conn.SetWriteDeadline(end)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if err := pprof.StartCPUProfile(w); err != nil { // another one is running
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	defer pprof.StopCPUProfile()
	select {
	case <-time.After(length):
	case <-r.Context().Done():
	}
}
