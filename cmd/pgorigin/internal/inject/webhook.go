package inject

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// maxReview is above the size of one object that an API server accepts, with room for the review around
	// it.
	maxReview = 4 << 20
	// maxReviews bounds the reviews in memory at a time. More of them wait until their time is over.
	maxReviews = 8
	// reviewTimeout bounds reading a request, and answering it. An API server gives up after ten seconds or
	// less.
	reviewTimeout = 5 * time.Second
)

// Webhook is the HTTP side of injection: POST /inject for an API server, GET /livez and /readyz for a
// kubelet.
type Webhook struct {
	// Injector returns the injector of a review. It is called for each review, because the defaults may
	// change. While it returns an error, the webhook refuses pods that ask for injection, and /readyz fails.
	// /readyz also fails while API servers refuse the certificate.
	Injector func() (*Injector, error)
	// Reviewed is called after each review, with an error if the request could not be answered. It may be
	// nil.
	Reviewed func(Decision, error)

	draining atomic.Bool
}

// Drain makes /readyz fail, so that Kubernetes sends no more reviews. The webhook still answers reviews.
func (w *Webhook) Drain() { w.draining.Store(true) }

// Server returns a server that answers for w with the certificate of pair. The caller runs it with ServeTLS,
// without files, and shuts it down.
func (w *Webhook) Server(pair *KeyPair) *http.Server {
	slots := make(chan struct{}, maxReviews)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /inject", func(rw http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			w.serveReview(rw, r)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("GET /livez", writeOK)
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, _ *http.Request) { w.serveReady(rw, pair) })
	return &http.Server{
		Handler: mux, TLSConfig: pair.config(), MaxHeaderBytes: 16 << 10,
		ReadHeaderTimeout: reviewTimeout, ReadTimeout: reviewTimeout,
		WriteTimeout: 2 * reviewTimeout, IdleTimeout: 90 * time.Second,
	}
}

// serveReview answers one AdmissionReview.
func (w *Webhook) serveReview(rw http.ResponseWriter, r *http.Request) {
	answer, decision, err := w.review(http.MaxBytesReader(rw, r.Body, maxReview))
	if w.Reviewed != nil {
		w.Reviewed(decision, err)
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	_, _ = rw.Write(answer)
}

func (w *Webhook) review(body io.Reader) ([]byte, Decision, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, Decision{}, fmt.Errorf("read request: %w", err)
	}
	injector, err := w.Injector()
	if err != nil {
		injector = &Injector{broken: err}
	}
	return injector.review(text)
}

func (w *Webhook) serveReady(rw http.ResponseWriter, pair *KeyPair) {
	if w.draining.Load() {
		http.Error(rw, "draining", http.StatusServiceUnavailable)
		return
	}
	_, err := w.Injector()
	if err := errors.Join(pair.Usable(), err); err != nil {
		http.Error(rw, oneLine(err), http.StatusServiceUnavailable)
		return
	}
	writeOK(rw, nil)
}

func writeOK(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "ok\n") }

// oneLine joins the lines of joined errors.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
