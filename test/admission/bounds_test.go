//go:build admission

package admission

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

const (
	// webhookMemory is the memory limit of the chart's webhook.
	webhookMemory = 64 << 20
	// honestReviews are those that an API server asks for during an attack, one every honestPause.
	honestReviews = 50
	honestPause   = 50 * time.Millisecond
)

// TestWebhookBounds attacks a webhook that has as much memory as the chart gives it, as any pod of a cluster can, and as
// the author of a pod can. Meanwhile, an API server asks for reviews.
func TestWebhookBounds(t *testing.T) {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nunder 64 MiB\thonest reviews\tp50\tp99\tanswer\tpeak\tprocess")
	for _, attack := range attacks() {
		t.Run(attack.name, func(t *testing.T) {
			v := startVictim(t)
			ctx, stop := context.WithCancel(within(t, 5*time.Minute))
			var running sync.WaitGroup
			for range max(1, attack.width) {
				running.Go(func() { attack.run(ctx, v) })
			}
			answered, times := v.askHonestly(ctx, t)
			stop()
			running.Wait()
			lives := "lives"
			select {
			case <-v.process.Ended():
				lives = "killed"
			default:
			}
			p50, p99 := times[len(times)/2], times[len(times)*99/100]
			fmt.Fprintf(w, "%s\t%d of %d\t%.1f ms\t%.1f ms\t%d B\t%.0f MiB\t%s\n", attack.name, answered, honestReviews,
				p50.Seconds()*1e3, p99.Seconds()*1e3, v.answer, float64(v.group.Peak())/(1<<20), lives)
			// On a busy machine, a review may take longer than the five seconds that an API server waits.
			if answered < honestReviews*9/10 || lives != "lives" {
				t.Errorf("%d of %d honest reviews were answered, and the webhook %s; its log ends with:\n%s",
					answered, honestReviews, lives, v.process.Log.Tail(5))
			}
			if peak := v.group.Peak(); peak > webhookMemory*95/100 {
				t.Errorf("it took %d MiB of 64", peak>>20)
			}
			if v.answer > 128<<10 {
				t.Errorf("an answer had %d bytes", v.answer)
			}
		})
	}
	_ = w.Flush() // to memory
	fmt.Fprint(&shared.table, text.String())
}

// victim is a confined webhook.
type victim struct {
	process  *servers.Process
	group    servers.MemoryGroup
	addr     string
	ca       *tlstest.CA
	defaults string

	mu     sync.Mutex
	answer int // size of the largest answer to an attacker
}

func startVictim(t *testing.T) *victim {
	t.Helper()
	v := &victim{ca: tlstest.NewCA("webhook", tlstest.P256)}
	folder := t.TempDir()
	leaf := tlstest.Leaf{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Key: tlstest.RSA2048} // as the chart makes one
	cert, key, err := v.ca.Issue(leaf).WriteFiles(folder, "webhook")
	if err != nil {
		t.Fatal(err)
	}
	v.defaults = filepath.Join(folder, "defaults")
	check(t, os.Mkdir(v.defaults, 0o700))
	for word, value := range map[string]string{"image": "registry.example/pgorigin:v1", "upstream": "db.prod:6432"} {
		check(t, os.WriteFile(filepath.Join(v.defaults, word), []byte(value), 0o600))
	}
	v.group, err = servers.NewMemoryGroup(webhookMemory)
	check(t, err)
	t.Cleanup(func() { check(t, v.group.Remove()) })
	script, err := v.group.Confine(folder, shared.binary)
	check(t, err)
	port, err := shared.lab.Port()
	check(t, err)
	v.addr = "127.0.0.1:" + port
	v.process, err = shared.lab.StartCommand(script, []string{"webhook"},
		"PGORIGIN_WEBHOOK_LISTEN_ADDR="+v.addr, "PGORIGIN_WEBHOOK_CERT_FILE="+cert, "PGORIGIN_WEBHOOK_KEY_FILE="+key,
		"PGORIGIN_WEBHOOK_DEFAULTS_DIR="+v.defaults, "PGORIGIN_WEBHOOK_SHUTDOWN_DELAY=0s")
	check(t, err)
	t.Cleanup(v.process.Stop)
	check(t, v.process.Await(testContext(t), `"ready"`))
	return v
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// askHonestly asks for reviews as an API server does, with connections that it keeps. It returns how many were answered
// well, and how long they took, the shortest first.
func (v *victim) askHonestly(ctx context.Context, t *testing.T) (answered int, times []time.Duration) {
	t.Helper()
	client := v.client("127.0.0.1")
	client.Timeout = 5 * time.Second // as the chart says
	time.Sleep(500 * time.Millisecond)
	for range honestReviews {
		began := time.Now()
		text, err := v.post(ctx, client, review(honestPod))
		times = append(times, time.Since(began))
		if err == nil && strings.Contains(text, `"patch":`) {
			answered++
		}
		time.Sleep(honestPause)
	}
	slices.Sort(times)
	return answered, times
}

// client comes from an address of its own.
func (v *victim) client(from string) *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return &http.Client{Transport: &http.Transport{
		DialContext: dialer.DialContext, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 25,
		TLSClientConfig: v.config(),
	}}
}

func (v *victim) config() *tls.Config {
	return &tls.Config{RootCAs: v.ca.Pool(), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13}
}

// attacker is the address of whoever attacks.
const attacker = "127.0.0.2"

// dial connects an attacker who speaks HTTP/1.1.
func (v *victim) dial(ctx context.Context) (*tls.Conn, error) {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(attacker)}, Timeout: 5 * time.Second}
	conn, err := (&tls.Dialer{NetDialer: dialer, Config: v.config()}).DialContext(ctx, "tcp", v.addr)
	if err != nil {
		return nil, err
	}
	return conn.(*tls.Conn), nil
}

func (v *victim) post(ctx context.Context, client *http.Client, body []byte) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+v.addr+"/inject", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

// review wraps a pod as an API server does.
func review(object string) []byte {
	return []byte(`{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u-1", "namespace": "shop",
		"operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "object": ` + object + `}}`)
}

const honestPod = `{"metadata": {"generateName": "web-", "labels": {"pgorigin/inject": "true"}}, "spec": {"containers": [{"name": "web", "image": "a"}]}}`

// hostilePod is a pod that asks, with more metadata and more of a spec.
func hostilePod(metadata, spec string) string {
	return `{"metadata": {"name": "x", "labels": {"pgorigin/inject": "true"}` + metadata + `}, "spec": {"containers": [{"name": "a"}]` + spec + `}}`
}

// attack runs until the end of its context, width times at once.
type attack struct {
	name  string
	width int
	run   func(ctx context.Context, v *victim)
}

// many joins n texts made from their numbers.
func many(n int, text func(i int) string) string {
	var all []string
	for i := range n {
		all = append(all, text(i))
	}
	return strings.Join(all, ", ")
}

// posting posts one body again and again, over a connection that is kept.
func posting(body []byte) func(context.Context, *victim) { return postingFrom(attacker, body) }

// postingFromEach posts one body from so many addresses.
func postingFromEach(addresses int, body []byte) func(context.Context, *victim) {
	return func(ctx context.Context, v *victim) {
		var all sync.WaitGroup
		for i := range addresses {
			all.Go(func() { postingFrom(fmt.Sprintf("127.0.1.%d", i+1), body)(ctx, v) })
		}
		all.Wait()
	}
}

func postingFrom(address string, body []byte) func(context.Context, *victim) {
	return func(ctx context.Context, v *victim) {
		client := v.client(address)
		defer client.CloseIdleConnections()
		for ctx.Err() == nil {
			text, err := v.post(ctx, client, body)
			if err != nil {
				time.Sleep(10 * time.Millisecond)
			}
			v.mu.Lock()
			v.answer = max(v.answer, len(text))
			v.mu.Unlock()
		}
	}
}

// connecting opens connections until n are there, does something on each, and replaces those that the webhook closes.
func connecting(n int, then func(ctx context.Context, v *victim, conn *tls.Conn)) func(context.Context, *victim) {
	return func(ctx context.Context, v *victim) {
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				for ctx.Err() == nil {
					conn, err := v.dial(ctx)
					if err != nil {
						time.Sleep(10 * time.Millisecond)
						continue
					}
					stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
					then(ctx, v, conn)
					stop()
					_ = conn.Close()
				}
			})
		}
		all.Wait()
	}
}

const head = "POST /inject HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

// await returns when the other side closes the connection.
func await(_ context.Context, _ *victim, conn *tls.Conn) { _, _ = io.Copy(io.Discard, conn) }

// slowly writes so many bytes for every second.
func slowly(ctx context.Context, conn *tls.Conn, bytes int) {
	chunk := strings.Repeat(" ", bytes)
	for ctx.Err() == nil {
		if _, err := io.WriteString(conn, chunk); err != nil {
			return
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

func attacks() []attack {
	list := func(n int, item string) string { return many(n, func(int) string { return item }) }
	unknown := func(n int) string {
		return `, "annotations": {` + many(n, func(i int) string { return fmt.Sprintf(`"pgorigin/a%d": "x"`, i) }) + `}`
	}
	name := strings.Repeat("x", 200<<10)
	return []attack{
		{"nothing", 0, func(ctx context.Context, _ *victim) { <-ctx.Done() }},
		{"90,000 unknown annotations", 1, posting(review(hostilePod(unknown(90000), "")))},
		{"8 × 90,000 unknown annotations", 8, posting(review(hostilePod(unknown(90000), "")))},
		{"80,000 unknown annotations from 7 pods", 1, postingFromEach(7, review(hostilePod(unknown(80000), "")))},
		{"690,000 warnings from 2 pods", 1, postingFromEach(2, []byte(`{"response": {"warnings": [`+strings.Repeat(`"",`, 690000)+`""]}}`))},
		{"184 KB of unknown annotations", 1, posting(review(hostilePod(unknown(8600), "")))},
		{"64 × 184 KB of unknown annotations", 64, posting(review(hostilePod(unknown(8600), "")))},
		{"90,000 taken ports", 8, posting(review(hostilePod("", `, "initContainers": [{"name": "p", "ports": [`+list(90000, `{"containerPort": 6432}`)+`]}]`)))},
		{"90,000 containers", 8, posting(review(hostilePod("", `, "initContainers": [`+many(90000, func(i int) string { return fmt.Sprintf(`{"name": "c%d"}`, i) })+`]`)))},
		{"4 MB of empty containers", 8, posting(review(hostilePod("", `, "initContainers": [`+list(1<<20, `{}`)+`]`)))},
		{"60 KB of empty containers, 64 times", 64, posting(review(hostilePod("", `, "initContainers": [`+strings.Repeat("{},", 20000)+`{}]`)))},
		{"90,000 volumes in the way", 8, posting(review(hostilePod("", `, "volumes": [`+list(90000, `{"name": "pgorigin-ca"}`)+`]`)))},
		{"names of 200 KB", 8, posting(review(`{"metadata": {"name": "` + name + `", "labels": {"pgorigin/inject": "true"}, "annotations": {"pgorigin/` + name + `": "a", "pgorigin/ca-secret": "` +
			name + `!"}}, "spec": {"containers": [{"name": "` + name + `", "ports": [{"containerPort": 6432}]}]}}`))},
		{"nested 9,000 deep", 8, posting(review(hostilePod("", `, "x": `+strings.Repeat("[", 9000)+strings.Repeat("]", 9000))))},
		{"no object", 8, posting(review("null"))},
		{"1,000 objects", 8, posting([]byte(strings.Replace(string(review("{}")), `"object": {}`, many(1000, func(int) string { return `"object": ` + hostilePod("", "") }), 1)))},
		{"4 MiB of escapes, 64 times", 64, posting(review(hostilePod(`, "annotations": {"pgorigin/upstream": "`+strings.Repeat(`\u0000`, 690000)+`"}`, "")))},
		{"an upstream of 4 MB of commas", 8, posting(review(hostilePod(`, "annotations": {"pgorigin/upstream": "`+strings.Repeat(`a,`, 2<<20-500)+`"}`, "")))},
		{"no review, 64 times", 64, posting([]byte(strings.Repeat("x", 1000)))},
		{"16 slow posts", 1, connecting(16, func(ctx context.Context, _ *victim, conn *tls.Conn) {
			_, _ = io.WriteString(conn, head+"Content-Length: 60000\r\n\r\n{")
			slowly(ctx, conn, 1)
		})},
		{"1,000 slow posts", 1, connecting(1000, func(ctx context.Context, _ *victim, conn *tls.Conn) {
			_, _ = io.WriteString(conn, head+"Content-Length: 2000000\r\n\r\n{")
			slowly(ctx, conn, 1)
		})},
		{"1,000 slow posts that are too long", 1, connecting(1000, func(ctx context.Context, _ *victim, conn *tls.Conn) {
			_, _ = io.WriteString(conn, head+"Content-Length: 4000000\r\n\r\n{")
			slowly(ctx, conn, 1)
		})},
		{"1,000 slow posts of 60 KB a second", 1, connecting(1000, func(ctx context.Context, _ *victim, conn *tls.Conn) {
			_, _ = io.WriteString(conn, head+"Content-Length: 4000000\r\n\r\n{")
			slowly(ctx, conn, 60000)
		})},
		{"500 posts without a body", 1, connecting(500, func(ctx context.Context, v *victim, conn *tls.Conn) {
			_, _ = io.WriteString(conn, head+"Content-Length: 60000\r\n\r\n")
			await(ctx, v, conn)
		})},
		{"500 posts that lack a byte", 1, connecting(500, func(ctx context.Context, v *victim, conn *tls.Conn) {
			_, _ = io.WriteString(conn, head+"Content-Length: 60000\r\n\r\n"+strings.Repeat(" ", 59999))
			await(ctx, v, conn)
		})},
		{"1,000 idle connections", 1, connecting(1000, await)},
		{"1,000 half handshakes", 1, func(ctx context.Context, v *victim) {
			dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(attacker)}}
			for range 1000 {
				conn, err := dialer.DialContext(ctx, "tcp", v.addr)
				if err != nil {
					return
				}
				defer func() { _ = conn.Close() }()
				_, _ = conn.Write(append([]byte{22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xf0}, make([]byte, 12000)...))
			}
			<-ctx.Done()
		}},
		{"handshakes all the time", 1, connecting(64, func(context.Context, *victim, *tls.Conn) {})},
		{"HTTP/2: 250 streams of 4 MB each", 4, func(ctx context.Context, v *victim) {
			client := v.client(attacker)
			var all sync.WaitGroup
			for range 250 {
				all.Go(func() { _, _ = v.post(ctx, client, append(review("null"), make([]byte, 4<<20)...)) })
			}
			all.Wait()
			<-ctx.Done()
		}},
		{"huge headers", 64, connecting(4, func(ctx context.Context, v *victim, conn *tls.Conn) {
			_, _ = io.WriteString(conn, "POST /inject HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 12<<10))
			await(ctx, v, conn)
		})},
		{"250 slow readers", 1, connecting(250, func(ctx context.Context, v *victim, conn *tls.Conn) {
			body := review(hostilePod("", `, "initContainers": [`+strings.Repeat("{},", 3000)+`{}]`))
			for ctx.Err() == nil {
				if _, err := fmt.Fprintf(conn, head+"Content-Length: %d\r\n\r\n%s", len(body), body); err != nil {
					return
				}
			}
		})},
		{"readyz all the time", 64, func(ctx context.Context, v *victim) {
			client := v.client(attacker)
			for ctx.Err() == nil {
				response, err := client.Get("https://" + v.addr + "/readyz")
				if err != nil {
					if errors.Is(err, context.Canceled) {
						return
					}
					continue
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		}},
	}
}
