package metrics

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/health"
)

// Clients that send scrapes without reading the answers do not keep a probe out.
func TestProbesBesideAFloodOfScrapes(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := health.Handler(new(health.Status), http.NotFoundHandler(), busyMetrics().Handler())
	server, served := health.NewServer(handler), make(chan error, 1)
	go func() { served <- health.Serve(server, ln) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	for _, reads := range []bool{true, true, false, false} {
		conn := dial()
		go func() {
			pipelined := strings.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 50)
			for err := error(nil); err == nil; {
				_, err = io.WriteString(conn, pipelined)
			}
		}()
		if reads {
			go func() { _, _ = io.Copy(io.Discard, conn) }()
		}
	}
	for range 20 {
		conn := dial()
		_ = conn.SetDeadline(time.Now().Add(time.Minute)) // a busy machine takes a while
		if _, err := io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("a probe gets %v, %v", response, err)
		}
		_ = conn.Close()
	}
}
