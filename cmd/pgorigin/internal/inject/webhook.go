package inject

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// maxReview is more than an API server takes for one object, with room for the review around it.
	maxReview = 4 << 20
	// maxReviews bounds how many reviews are in memory at a time. More wait for their turn, as long as they have time.
	maxReviews = 8
	// reviewTimeout is for reading a request, and again for answering it. An API server gives up after ten seconds or less.
	reviewTimeout = 5 * time.Second
)

// Webhook is the HTTP side of injection: POST /inject for an API server, GET /livez and /readyz for a kubelet.
type Webhook struct {
	// Injector returns what a review is answered with. It is called for each, since defaults may change. While it has an
	// error, pods that ask for injection are refused with it, and /readyz fails.
	Injector func() (*Injector, error)
	// Reviewed is called behind each review, with an error if the request could not be answered. Nil: nobody is watching.
	Reviewed func(Verdict, error)

	draining atomic.Bool
}

// Drain makes /readyz fail, so that no more reviews are sent here. Those that come are answered all the same.
func (w *Webhook) Drain() { w.draining.Store(true) }

// Server returns a server that answers for w, and shows the certificate that is in the files of pair. The caller runs it with
// ServeTLS, without files, and shuts it down.
func (w *Webhook) Server(pair *KeyPair) *http.Server {
	turns := make(chan struct{}, maxReviews)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /inject", func(rw http.ResponseWriter, r *http.Request) {
		select {
		case turns <- struct{}{}:
			defer func() { <-turns }()
			w.serveReview(rw, r)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("GET /livez", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "ok\n") })
	mux.HandleFunc("GET /readyz", w.serveReady)
	return &http.Server{
		Handler: mux, TLSConfig: pair.config(), MaxHeaderBytes: 16 << 10,
		ReadHeaderTimeout: reviewTimeout, ReadTimeout: reviewTimeout, WriteTimeout: 2 * reviewTimeout, IdleTimeout: 90 * time.Second,
	}
}

// serveReview answers one AdmissionReview.
func (w *Webhook) serveReview(rw http.ResponseWriter, r *http.Request) {
	answer, verdict, err := w.review(http.MaxBytesReader(rw, r.Body, maxReview))
	if w.Reviewed != nil {
		w.Reviewed(verdict, err)
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	_, _ = rw.Write(answer)
}

func (w *Webhook) review(body io.Reader) ([]byte, Verdict, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, Verdict{}, fmt.Errorf("read request: %w", err)
	}
	injector, err := w.Injector()
	if err != nil {
		injector = &Injector{broken: err}
	}
	return injector.review(text)
}

func (w *Webhook) serveReady(rw http.ResponseWriter, _ *http.Request) {
	if w.draining.Load() {
		http.Error(rw, "draining", http.StatusServiceUnavailable)
		return
	}
	if _, err := w.Injector(); err != nil {
		http.Error(rw, oneLine(err), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(rw, "ok\n")
}

// oneLine puts joined errors behind one another.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
