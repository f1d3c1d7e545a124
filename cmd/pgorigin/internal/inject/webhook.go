package inject

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/keypair"
	"github.com/pgorigin/pgorigin/health"
)

const (
	// placeSize is what one connection may hold in bytes: the buffers of TLS and HTTP, and an answer. Longer bodies
	// take more places.
	placeSize = 64 << 10
	// buffers is the part of a place that a body cannot have.
	buffers = 48 << 10
	// maxPlaces bounds connections and bodies together, to 16 MiB.
	maxPlaces = 256
	// maxReviews bounds the reviews of at most placeSize that are decided at a time. One takes a millisecond.
	maxReviews = 2
	// maxLargeReviews bounds the others. One takes 8 MiB at most, and 20 ms. So they do not delay the former, which
	// are those of nearly all pods.
	maxLargeReviews = 1
	// maxHandshakes bounds the handshakes that are computed at a time. An RSA key takes 1.5 ms for each.
	maxHandshakes = 2
	// reviewTimeout bounds reading a request. An API server gives up after five seconds.
	reviewTimeout = 5 * time.Second
)

// Webhook is the HTTP side of injection: POST /inject for an API server, GET /livez and /readyz for a
// kubelet.
type Webhook struct {
	// Injector returns the injector of a review. It is called for each review, because the defaults may
	// change. While it returns an error, the webhook refuses pods that ask for injection, and /readyz fails.
	// /readyz also fails while API servers refuse the certificate.
	Injector func(context.Context) (*Injector, error)
	// Reviewed is called after each review, with an error if the request could not be answered. It may be
	// nil.
	Reviewed func(Decision, error)

	draining atomic.Bool
}

// Drain makes /readyz fail, so that Kubernetes sends no more reviews. The webhook still answers reviews.
func (w *Webhook) Drain() { w.draining.Store(true) }

// Server returns a server that answers for w with the certificate of pair. The caller runs it with ServeTLS,
// without files, and shuts it down.
func (w *Webhook) Server(pair *keypair.Pair) *http.Server {
	reviews, large := newTurns(maxReviews), newTurns(maxLargeReviews)
	mux := http.NewServeMux()
	review := func(rw http.ResponseWriter, r *http.Request) {
		if r.ContentLength > placeSize {
			w.serveReview(rw, r, large)
			return
		}
		w.serveReview(rw, r, reviews)
	}
	mux.HandleFunc("POST /inject", review)
	mux.HandleFunc("POST /inject/required", review) // for namespaces where each pod is to have the sidecar
	mux.HandleFunc("GET /livez", writeOK)
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, r *http.Request) { w.serveReady(rw, r, pair) })
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // so that one connection is one request
	config := serverConfig(pair)
	newTurns(maxHandshakes).sign(config)
	return &http.Server{
		Handler: mux, TLSConfig: config, MaxHeaderBytes: 16 << 10, Protocols: protocols,
		ReadHeaderTimeout: reviewTimeout, ReadTimeout: reviewTimeout,
		WriteTimeout: 2 * reviewTimeout, IdleTimeout: 2 * time.Minute, // an API server closes after 90 seconds
	}
}

// errLeft ends a request whose connection is closed.
var errLeft = errors.New("the connection was closed by the client, or for a newer one")

// claimKey is the key of a func(places int) bool in the context of a request.
type claimKey struct{}

// Limit returns ln with a bound for what the connections of server hold together. It sets ConnState and
// ConnContext of the server.
func Limit(server *http.Server, ln net.Listener) net.Listener {
	limited := health.NewLimitListener(ln, maxPlaces)
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateActive {
			state = http.StateIdle // its body may be slow to come, and its answer to be read
		}
		limited.Changed(conn, state)
	}
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, claimKey{}, func(places int) bool { return limited.Claim(conn, places) })
	}
	return limited
}

// serveReview answers one AdmissionReview. It waits for its turn after it has the whole request.
func (w *Webhook) serveReview(rw http.ResponseWriter, r *http.Request, reviews *turns) {
	var answer []byte
	var decision Decision
	body, code, err := readBody(r)
	if err == nil {
		injector, broken := w.Injector(r.Context())
		if broken != nil {
			injector = &Injector{broken: broken}
		}
		work := func() { answer, decision, err = injector.review(body, r.URL.Path != "/inject") }
		if !reviews.do(r.Context().Done(), addressOf(r.RemoteAddr), work) {
			err = errLeft
		}
	}
	if w.Reviewed != nil {
		w.Reviewed(decision, err)
	}
	switch {
	case errors.Is(err, errLeft):
		panic(http.ErrAbortHandler) // or net/http would keep it, and its places, for another half second
	case err != nil:
		http.Error(rw, err.Error(), code)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	_, _ = rw.Write(answer)
}

// readBody reads a request to its end. code is the status of the answer if that fails.
func readBody(r *http.Request) (body []byte, code int, err error) {
	claim, bounded := r.Context().Value(claimKey{}).(func(int) bool)
	defer func() {
		if err != nil && bounded && !claim(0) {
			err = errLeft // whatever else it says
		}
	}()
	switch {
	case r.ContentLength < 0:
		return nil, http.StatusLengthRequired, errors.New("expected a request with its Content-Length")
	case r.ContentLength > maxReview:
		_, _ = io.Copy(io.Discard, r.Body)          // a client that still writes may not read the answer
		return nil, http.StatusInternalServerError, // API servers show the text of no other code
			fmt.Errorf("the review has %d bytes: pgorigin reads at most %d", r.ContentLength, maxReview)
	}
	if bounded && !claim(int(r.ContentLength+buffers)/placeSize) {
		return nil, http.StatusServiceUnavailable, errLeft
	}
	body = make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		return nil, http.StatusBadRequest, fmt.Errorf("read request: %w", err)
	}
	return body, http.StatusBadRequest, nil
}

func (w *Webhook) serveReady(rw http.ResponseWriter, r *http.Request, pair *keypair.Pair) {
	if w.draining.Load() {
		http.Error(rw, "draining", http.StatusServiceUnavailable)
		return
	}
	_, err := w.Injector(r.Context())
	if err := errors.Join(pair.Usable(), err); err != nil {
		http.Error(rw, oneLine(err), http.StatusServiceUnavailable)
		return
	}
	writeOK(rw, nil)
}

func writeOK(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "ok\n") }

// oneLine joins the lines of joined errors.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// serverConfig looks at the files of pair for each new connection, so a new certificate needs no restart. It
// refuses versions below TLS 1.3. Every API server that knows native sidecars has TLS 1.3.
func serverConfig(pair *keypair.Pair) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			_ = pair.Load(hello.Context()) // reported by then
			return pair.Certificate(), nil
		},
	}
}
