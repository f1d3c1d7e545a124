package health

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A server behind a real connection refuses what never reaches a handler, too.
func TestServerOnTheWire(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := NewServer(handlerIn(t, "ready"))
	served := make(chan error, 1)
	go func() { served <- Serve(srv, ln) }()
	defer func() { srv.Close(); <-served }()
	for request, want := range map[string]string{
		"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n":                                               "200 OK",
		"HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n":                                              "200 OK",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n":                                                 "405 Method Not Allowed",
		"POST /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n":                         "405 Method Not Allowed",
		"GET /readyz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n":     "431 Request Header Fields Too Large",
		"GET /readyz?exclude=" + strings.Repeat("a", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n":   "431 Request Header Fields Too Large",
		"\x00\x00\x00\x08\x04\xd2\x16\x2fGET / HTTP/1.1\r\nHost: x\r\n\r\n":                     "400 Bad Request", // SSLRequest
		"GET /readyz?exclude=%1b%5b2J&verbose HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n": "200 OK",
	} {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(conn, request) }() // the server may hang up before it has read all
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%.40q: %v", request, err)
		}
		if response.Status != want {
			t.Errorf("%.40q: %s, want %s", request, response.Status, want)
		}
		if strings.HasPrefix(request, "GET") {
			if body, _ := io.ReadAll(response.Body); strings.Contains(string(body), "\x1b") {
				t.Errorf("the answer repeats a control character: %q", body)
			}
		}
		conn.Close()
	}
}
