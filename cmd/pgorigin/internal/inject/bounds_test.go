package inject

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/keypair"
)

// A pod's author cannot make a refusal, or a line of the log, as long as they like.
func TestRefusalsAreShort(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	many := func(n int, item string) string { return strings.TrimSuffix(strings.Repeat(item+", ", n), ", ") }
	pod := func(annotations, spec string) string {
		return `{"metadata": {"name": "` + long + `", "labels": {"pgorigin/inject": "true"}, "annotations": {` + annotations + `}}, "spec": {` + spec + `}}`
	}
	var unknown []string
	for i := range 9000 {
		unknown = append(unknown, fmt.Sprintf(`"pgorigin/a%d": ""`, i))
	}
	for name, c := range map[string]struct{ object, want string }{
		"annotations":         {pod(strings.Join(unknown, ", "), ""), "it has 9000 annotations: pgorigin reads at most 1000"},
		"unknown annotations": {pod(strings.Join(unknown[:1000], ", "), ""), "annotation pgorigin/a0 and 999 more: no such annotation; known are pgorigin/intercept, "},
		"long annotation":     {pod(`"pgorigin/`+long+`": "x"`, ""), "xxx...: no such annotation; known are pgorigin/intercept, "},
		"long value":          {pod(`"pgorigin/ca-secret": "`+long+`!"`, ""), "annotation pgorigin/ca-secret: expected the name of a Secret"},
		"taken ports":         {pod("", `"containers": [{"name": "`+long+`", "ports": [`+many(5000, `{"containerPort": 6432}`)+`]}]`), "; and 4990 more problems"},
		"control characters":  {pod("", `"containers": [{"name": "`+strings.Repeat(`\u0000`, 5000)+`", "ports": [`+many(5000, `{"containerPort": 6432}`)+`]}]`), `container "..." has port 6432`},
		"values":              {pod("", `"volumes": [`+many(30000, "{}")+`]`), "pgorigin does not read such a pod"},
		"containers":          {pod("", `"containers": [`+many(1000, `{"name": "a"}`)+`]`), "it has too many containers for a patch"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, decision := ask(t, testInjector(t), reviewOf(c.object))
			if answer.Allowed || answer.Patch != nil || decision.Injected || !strings.Contains(answer.Status.Message, c.want) {
				t.Errorf("answer %+v, want %s", answer.Status, c.want)
			}
			if n := len(answer.Status.Message); n > maxMessage+len("...") {
				t.Errorf("%d bytes", n)
			}
			if len(decision.Object) > 2*maxName || len(decision.Problems) > maxProblems+1 {
				t.Errorf("the log gets %d problems of an object with %d bytes", len(decision.Problems), len(decision.Object))
			}
		})
	}
}

// A review that has a response too, as an answer has, costs no more than its text.
func TestReviewIgnoresResponse(t *testing.T) {
	body := []byte(`{"response": {"warnings": [` + strings.Repeat(`"",`, 600000) + `""]}, ` + reviewOf("null")[1:])
	injector := testInjector(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := injector.review(body, false); err != nil {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > uint64(len(body)) {
		t.Errorf("%d bytes allocated for a body of %d", n, len(body))
	}
}

// A connection that has to make room ends at once. An answer would keep its places for half a second.
func TestLeavingConnectionsGetNoAnswer(t *testing.T) {
	for name, claim := range map[string]func(int) bool{
		"at once":     func(int) bool { return false },
		"in its body": func(places int) bool { return places > 0 },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got := recover(); got != http.ErrAbortHandler { //nolint:errorlint // net/http compares so
					t.Errorf("%v", got)
				}
			}()
			ctx := context.WithValue(t.Context(), claimKey{}, claim)
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/inject", iotest.ErrReader(io.ErrUnexpectedEOF))
			r.ContentLength = 1 << 20
			new(Webhook).serveReview(httptest.NewRecorder(), r, newTurns(1))
		})
	}
}

func TestCountValues(t *testing.T) {
	for text, want := range map[string]int{
		`{"a": [1, 2, {"b": "],{[\",["}]}`: 5, `"\\", 1`: 1, `"\`: 0, ``: 0,
	} {
		if got := countValues([]byte(text)); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

// pipes is a listener for connections in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if conn, ok := <-p; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }

// servePipes serves without TLS until the end of the test.
func servePipes(t *testing.T) (dial func() net.Conn) {
	t.Helper()
	ln := make(pipes)
	w := &Webhook{Injector: func(context.Context) (*Injector, error) { return testInjector(t), nil }}
	server := w.Server(new(keypair.Pair))
	server.TLSConfig = nil
	limited := Limit(server, ln)
	go func() { _ = server.Serve(limited) }()
	t.Cleanup(func() {
		close(ln)
		_ = server.Close()
	})
	return func() net.Conn {
		near, far := net.Pipe()
		ln <- far
		return near
	}
}

func postOf(body string) string {
	return fmt.Sprintf("POST /inject HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// Nobody keeps a connection for long by being slow.
func TestSlowClientsAreLeft(t *testing.T) {
	whole := postOf(reviewOf(askedPods()["bare"]))
	for name, c := range map[string]struct {
		send  string
		reads bool
		ends  time.Duration
	}{
		"nothing comes":        {"", true, reviewTimeout},
		"half a head":          {"POST /inject HTTP/1.1\r\nHost: x\r\n", true, reviewTimeout},
		"no body":              {whole[:strings.Index(whole, "\r\n\r\n")+4], true, reviewTimeout},
		"a byte is missing":    {whole[:len(whole)-1], true, reviewTimeout},
		"answer is not read":   {whole, false, 2 * reviewTimeout},
		"nothing comes after":  {whole, true, 2 * time.Minute},
		"no length":            {strings.Replace(whole, "Content-Length", "X", 1), true, 2 * time.Minute},
		"a length without end": {"POST /inject HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", true, reviewTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := servePipes(t)()
				defer conn.Close()
				began := time.Now()
				go func() { _, _ = io.WriteString(conn, c.send) }()
				if !c.reads {
					time.Sleep(c.ends + time.Second)
				}
				_, _ = io.Copy(io.Discard, conn)
				if took := time.Since(began); took > c.ends+2*time.Second {
					t.Errorf("it was left after %v, want %v", took, c.ends)
				}
			})
		})
	}
}

// Posts that are slow to come take no slot of a review that is there.
func TestSlowPostsDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := servePipes(t)
		for range 2 * maxPlaces {
			slow := dial()
			defer slow.Close()
			go func() {
				_, _ = io.WriteString(slow, "POST /inject HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{")
			}()
			synctest.Wait()
			time.Sleep(time.Millisecond)
		}
		honest := dial()
		defer honest.Close()
		began := time.Now()
		go func() { _, _ = io.WriteString(honest, postOf(reviewOf(askedPods()["bare"]))) }()
		response, err := http.ReadResponse(bufio.NewReader(honest), nil)
		if err != nil || response.StatusCode != http.StatusOK || time.Since(began) > 0 {
			t.Errorf("got %v, %v after %v", response, err, time.Since(began))
		}
	})
}

// A client with many reviews delays its own. Another one waits for a turn of each client, and no longer.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reviews := newTurns(1)
		second := func() { time.Sleep(time.Second) }
		for range 100 {
			go func() { _ = reviews.do(t.Context().Done(), "192.0.2.1", second) }()
		}
		synctest.Wait()
		began := time.Now()
		if !reviews.do(t.Context().Done(), "192.0.2.2", second) || time.Since(began) != 2*time.Second {
			t.Errorf("its turn came after %v", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if reviews.do(ctx.Done(), "192.0.2.1", second) {
			t.Error("it had a turn in a long queue")
		}
		time.Sleep(2 * time.Minute)
		reviews.mu.Lock()
		defer reviews.mu.Unlock()
		if len(reviews.queue) > 0 || len(reviews.all) > 0 {
			t.Errorf("left: %v", reviews.queue)
		}
	})
}
