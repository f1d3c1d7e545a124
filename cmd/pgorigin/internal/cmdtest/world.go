package cmdtest

import (
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// Upstream is the only variable that a configuration needs.
const Upstream = "PGORIGIN_UPSTREAM_ADDR=db.internal"

// LogWatcher is the stderr of a program under test. A test can wait for its lines.
type LogWatcher struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

// NewLogWatcher returns an empty one.
func NewLogWatcher() *LogWatcher { return &LogWatcher{changed: make(chan struct{})} }

// Write adds to the text and wakes all that wait.
func (w *LogWatcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
	return w.text.Write(p)
}

// Text returns what was written, and a channel that the next write closes.
func (w *LogWatcher) Text() (text string, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String(), w.changed
}

// Wait waits for a line of JSON with that message and returns its fields.
func (w *LogWatcher) Wait(t *testing.T, message string) map[string]any {
	t.Helper()
	limit := time.After(Patience)
	for {
		text, changed := w.Text()
		for line := range strings.Lines(text) {
			var fields map[string]any
			if json.Unmarshal([]byte(line), &fields) == nil && fields["message"] == message {
				return fields
			}
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("no log line %q in\n%s", message, text)
		}
	}
}

// FreeAddr returns a free loopback address. Its port is below those that the system gives to clients.
func FreeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(20000))
		if ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr); err == nil {
			_ = ln.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// StartUpstream serves logins over TLS. It closes a connection after Terminate. It returns the variables that
// lead there.
func StartUpstream(t *testing.T) (env []string) {
	t.Helper()
	return StartUpstreamOf(t, serveLogin)
}

// StartUpstreamOf runs serve for each connection, after SSLRequest. It returns the variables that lead there.
func StartUpstreamOf(t *testing.T, serve func(*tls.Conn)) (env []string) {
	t.Helper()
	ca := tlstest.NewCA("serve test", tlstest.P256)
	leaf := ca.Issue(tlstest.Leaf{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	config := &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				if ReadStartup(conn) != nil {
					return
				}
				if _, err := conn.Write([]byte("S")); err == nil {
					serve(tls.Server(conn, config))
				}
			}()
		}
	}()
	return []string{
		"PGORIGIN_UPSTREAM_ADDR=" + ln.Addr().String(),
		"PGORIGIN_TLS_CA_PEM=" + string(ca.PEM()),
	}
}

// serveLogin is an upstream that accepts every user. It reports no errors: the test sees that its client gets
// no answer.
func serveLogin(conn *tls.Conn) {
	if ReadStartup(conn) != nil {
		return
	}
	key := pgtest.BackendKeyData("\x00\x00\x00\x01abcd")
	for _, m := range [][]byte{pgtest.AuthenticationOk(), key, pgtest.ReadyForQuery('I')} {
		if _, err := conn.Write(m); err != nil {
			return
		}
	}
	Converse(conn)
}

// Converse answers messages until the client is gone. Every Query begins a transaction, and Sync ends it.
func Converse(conn net.Conn) {
	for {
		var head [5]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		switch head[0] {
		case 'X':
			_ = conn.Close()
			return
		case 'S':
			if _, err := conn.Write(pgtest.ReadyForQuery('I')); err != nil {
				return
			}
		case 'Q':
			if _, err := conn.Write(pgtest.ReadyForQuery('T')); err != nil {
				return
			}
		}
		if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head[1:]))-4); err != nil {
			return
		}
	}
}

// ReadStartup reads one packet of the startup phase.
func ReadStartup(r io.Reader) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	length := binary.BigEndian.Uint32(head[:])
	if length > longestStartup {
		return errNoStartup
	}
	_, err := io.CopyN(io.Discard, r, int64(length)-int64(len(head)))
	return err
}

// longestStartup is the limit of PostgreSQL.
const longestStartup = 10000

var errNoStartup = errors.New("no packet of the startup phase")

// Patience bounds the wait for an event that a broken program never causes.
const Patience = 20 * time.Second

// Contains fails the test if one of wants is not in text.
func Contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
