package sidecar

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// cancellable is an upstream for sessions and cancel requests, with a CA of its own.
type cancellable struct {
	addr    string
	ca      *tlstest.CA
	ln      net.Listener
	cancels chan []byte // requests, whole
}

func startCancellable(t *testing.T, name string) *cancellable {
	t.Helper()
	u := &cancellable{ca: tlstest.NewCA(name, tlstest.P256), cancels: make(chan []byte, 10)}
	config := &tls.Config{Certificates: []tls.Certificate{u.ca.Issue(tlstest.Leaf{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}).TLS()}}
	ln, err := net.Listen("tcp", cmdtest.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	u.ln, u.addr = ln, ln.Addr().String()
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go u.serve(conn, config)
		}
	}()
	return u
}

// serve is serveLogin with an eye on what the first packet is.
func (u *cancellable) serve(raw net.Conn, config *tls.Config) {
	defer func() { _ = raw.Close() }()
	if cmdtest.ReadStartup(raw) != nil {
		return
	}
	if _, err := raw.Write([]byte("S")); err != nil {
		return
	}
	conn := tls.Server(raw, config)
	head := make([]byte, 16)
	if _, err := io.ReadFull(conn, head); err != nil {
		return
	}
	if bytes.HasPrefix(head[4:], []byte{0x04, 0xd2, 0x16, 0x2e}) {
		u.cancels <- head
		return
	}
	if _, err := io.CopyN(io.Discard, conn, int64(head[3])-int64(len(head))); err != nil {
		return
	}
	for _, m := range [][]byte{pgtest.AuthenticationOk(), pgtest.BackendKeyData("\x00\x00\x00\x01abcd"), pgtest.ReadyForQuery('I')} {
		if _, err := conn.Write(m); err != nil {
			return
		}
	}
	cmdtest.Converse(conn)
}

// startTwo starts a pgorigin in front of two upstreams, and returns one that looks like the pgorigin of the second.
func startTwo(t *testing.T, first, second *cancellable, env ...string) (r, reporting *running) {
	t.Helper()
	listen := cmdtest.FreeAddr(t)
	r = start(t, append([]string{
		"PGORIGIN_ORIGINS=reporting",
		"PGORIGIN_UPSTREAM_ADDR=" + first.addr, "PGORIGIN_TLS_CA_PEM=" + string(first.ca.PEM()),
		"PGORIGIN_REPORTING_UPSTREAM_ADDR=" + second.addr, "PGORIGIN_REPORTING_TLS_CA_PEM=" + string(second.ca.PEM()),
		"PGORIGIN_REPORTING_LISTEN_ADDR=" + listen,
	}, env...)...)
	copied, other := *r.Running, *r
	other.Running = &copied
	other.Listen = listen
	return r, &other
}

// wantSession waits for the log line of a session of that origin.
func (r *running) wantSession(t *testing.T, origin, reason string) map[string]any {
	t.Helper()
	limit := time.After(cmdtest.Patience)
	for {
		log, changed := r.Stderr.Text()
		for line := range strings.Lines(log) {
			var fields map[string]any
			if json.Unmarshal([]byte(line), &fields) == nil && fields["message"] == "session ended" &&
				fields["origin"] == origin && fields["reason"] == reason {
				return fields
			}
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("no session of %s ended with %s in\n%s", origin, reason, log)
		}
	}
}

// TestOriginsAreApart: each session goes to its own upstream, is verified by its own CA and counted under its own label.
func TestOriginsAreApart(t *testing.T) {
	first, second := startCancellable(t, "first"), startCancellable(t, "second")
	r, reporting := startTwo(t, first, second, "PGORIGIN_REPORTING_MAX_SESSIONS=1")
	one, two := r.Login(t), reporting.Login(t)
	full := reporting.Connect(t)
	full.Send(pgtest.Startup("user", "app"))
	if e := full.ExpectError("53300"); !strings.Contains(e.Hint, "Raise PGORIGIN_REPORTING_MAX_SESSIONS.") {
		t.Errorf("hint is %q", e.Hint)
	}
	_ = full.Close()
	another := r.Login(t) // the limit is the other one's

	for _, client := range []*pgtest.Peer{one, another, two} {
		client.Send(pgtest.Terminate())
		client.ExpectEOF()
		_ = client.Close()
	}
	for origin, upstream := range map[string]*cancellable{"default": first, "reporting": second} {
		if line := r.wantSession(t, origin, "ok"); line["upstream"] != upstream.addr {
			t.Errorf("%s went to %v, want %s", origin, line["upstream"], upstream.addr)
		}
	}
	r.Stop()
	r.WantExit(t, cli.ExitOK)
	log, _ := r.Stderr.Text()
	cmdtest.Contains(t, log, `"message":"origin","origin":"reporting","settings":{"upstream_addr":"`+second.addr, `"origin":"reporting","address":"`+reporting.Listen)
	if strings.Contains(log, "BEGIN CERTIFICATE") {
		t.Error("the text of a CA is in the log")
	}
}

// TestCancelGoesToItsOwnOrigin, although both upstreams have given the same key.
func TestCancelGoesToItsOwnOrigin(t *testing.T) {
	first, second := startCancellable(t, "first"), startCancellable(t, "second")
	r, reporting := startTwo(t, first, second)
	_, _ = r.Login(t), reporting.Login(t)
	for range 20 {
		for _, row := range []struct {
			at          *running
			want, other *cancellable
		}{{r, first, second}, {reporting, second, first}} {
			client := row.at.Connect(t)
			client.Send(pgtest.CancelRequest("\x00\x00\x00\x01abcd"))
			client.ExpectEOF()
			_ = client.Close()
			select {
			case <-row.want.cancels:
			case <-row.other.cancels:
				t.Fatal("the request went to the other origin")
			case <-time.After(cmdtest.Patience):
				t.Fatal("no request came")
			}
		}
	}
}

// TestAnOriginThatIsDown: the other one does not notice, and pgorigin is ready.
func TestAnOriginThatIsDown(t *testing.T) {
	first, second := startCancellable(t, "first"), startCancellable(t, "second")
	r, reporting := startTwo(t, first, second, "PGORIGIN_UPSTREAM_WAIT=off")
	_ = second.ln.Close()
	client := reporting.Connect(t)
	client.Send(pgtest.Startup("user", "app"))
	if e := client.ExpectError("57P03"); !strings.Contains(e.Hint, "PGORIGIN_REPORTING_UPSTREAM_ADDR") {
		t.Errorf("hint is %q", e.Hint)
	}
	_ = client.Close()
	_ = r.Login(t)
	r.wantSession(t, "reporting", "upstream_refused")
	if code, body := r.Get(t, "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz = %d %q", code, body)
	}
	_, body := r.Get(t, "/metrics")
	cmdtest.Contains(t, body, `pgorigin_sessions_total{origin="reporting",reason="upstream_refused"} 1`,
		`pgorigin_sessions_total{origin="default",reason="upstream_refused"} 0`, `pgorigin_sessions_open{origin="default"} 1`)
}

// TestDrainOfBothOrigins waits for the sessions of each.
func TestDrainOfBothOrigins(t *testing.T) {
	r, reporting := startTwo(t, startCancellable(t, "first"), startCancellable(t, "second"))
	one, two := r.Begin(t), reporting.Begin(t)
	r.Stop()
	r.Stderr.Wait(t, "draining")
	for _, at := range []*running{r, reporting} {
		late := at.Connect(t)
		late.Send(pgtest.Startup("user", "late"))
		late.ExpectError("57P03")
		_ = late.Close()
	}
	one.Send(pgtest.Terminate())
	one.ExpectEOF()
	_ = one.Close()
	two.Send(pgtest.Message('Q', "SELECT 1\x00")) // still served
	two.Expect(pgtest.ReadyForQuery('T'))
	select {
	case code := <-r.Code:
		t.Fatalf("it ended with %d while a session of one origin was running", code)
	default:
	}
	two.Send(pgtest.Terminate())
	two.ExpectEOF()
	_ = two.Close()
	r.WantExit(t, cli.ExitOK)
}

func TestSIGHUPReloadsBothOrigins(t *testing.T) {
	first, second := startCancellable(t, "first"), startCancellable(t, "second")
	mounts := map[string]*tlstest.Mount{}
	for origin, u := range map[string]*cancellable{"default": first, "reporting": second} {
		mount, err := tlstest.NewMount(filepath.Join(t.TempDir(), "secret"), map[string][]byte{"ca.crt": u.ca.PEM()})
		if err != nil {
			t.Fatal(err)
		}
		mounts[origin] = mount
	}
	listen := cmdtest.FreeAddr(t)
	r := start(t, "PGORIGIN_ORIGINS=reporting", "PGORIGIN_TLS_RELOAD_INTERVAL=0",
		"PGORIGIN_UPSTREAM_ADDR="+first.addr, "PGORIGIN_TLS_CA_FILE="+mounts["default"].Path("ca.crt"),
		"PGORIGIN_REPORTING_UPSTREAM_ADDR="+second.addr, "PGORIGIN_REPORTING_TLS_CA_FILE="+mounts["reporting"].Path("ca.crt"),
		"PGORIGIN_REPORTING_LISTEN_ADDR="+listen)
	next := tlstest.NewCA("next", tlstest.P256)
	if err := mounts["default"].Swap(map[string][]byte{"ca.crt": append(first.ca.PEM(), next.PEM()...)}); err != nil {
		t.Fatal(err)
	}
	if err := mounts["reporting"].Swap(nil); err != nil {
		t.Fatal(err)
	}
	r.hangups <- syscall.SIGHUP
	if line := r.Stderr.Wait(t, "reloaded"); line["origin"] != "default" {
		t.Errorf("line is %v", line)
	}
	line := r.Stderr.Wait(t, "reload failed, the old certificates stay in force")
	if text, _ := line["error"].(string); line["origin"] != "reporting" || !strings.Contains(text, "PGORIGIN_REPORTING_TLS_CA_FILE: saw ") {
		t.Errorf("line is %v", line)
	}
	_, body := r.Get(t, "/readyz?verbose")
	cmdtest.Contains(t, body, "[!]reporting/certificates: reload failed, the old certificates stay in force since ")
	if strings.Contains(body, "[!]certificates") {
		t.Errorf("the other origin has a note, too:\n%s", body)
	}
	_ = r.Login(t).Close()
	copied, other := *r.Running, *r
	other.Running = &copied
	other.Listen = listen
	_ = other.Login(t).Close()
	_, body = r.Get(t, "/metrics")
	cmdtest.Contains(t, body, `pgorigin_tls_reload_failing{origin="reporting"} 1`, `pgorigin_tls_reload_failing{origin="default"} 0`,
		`pgorigin_tls_reloads_total{origin="default",result="ok"} 1`)
}
