//go:build hostile

package hostile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// process is a pgorigin that a test starts by itself, with pipes and limits of its own.
type process struct {
	*exec.Cmd
	addr, health string
	ended        chan struct{}
}

// startProcess starts a program that runs pgorigin, for instance prlimit. Its standard error is w; nil discards it.
func startProcess(t *testing.T, w *os.File, upstream string, before []string, env ...string) *process {
	t.Helper()
	port, errPort := shared.lab.Port()
	healthPort, errHealth := shared.lab.Port()
	if errPort != nil || errHealth != nil {
		t.Fatal(errPort, errHealth)
	}
	p := &process{addr: "127.0.0.1:" + port, health: "http://127.0.0.1:" + healthPort, ended: make(chan struct{})}
	args := append(slices.Clone(before), shared.binary)
	p.Cmd = exec.Command(args[0], args[1:]...)
	p.Env = append([]string{
		"PGORIGIN_UPSTREAM_ADDR=" + upstream, "PGORIGIN_LISTEN_ADDR=" + p.addr,
		"PGORIGIN_HEALTH_ADDR=127.0.0.1:" + healthPort, "PGORIGIN_TLS_CA_FILE=" + shared.lab.CAFile, "PGORIGIN_LOG_FORMAT=json", noWait,
	}, env...)
	if w != nil {
		p.Stderr, p.Stdout = w, w // a file: no goroutine reads for us
	}
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill() // it may have ended
		<-p.ended
	})
	return p
}

// get asks a health endpoint; 0 is no answer.
func (p *process) get(path string) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.health+path, nil)
	if err != nil {
		return 0
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

func (p *process) awaitReady(t *testing.T) {
	t.Helper()
	for range 400 {
		if p.get("/readyz") == http.StatusOK {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("pgorigin is not ready")
}

// terminates sends SIGTERM and wants the process to be gone.
func (p *process) terminates(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Errorf("%s after SIGTERM it is still there", patience)
	}
}

// quick is one login by a raw client to an impostor that asks for nothing, as far as the first message.
func quick(addr, application string, limit time.Duration) (kind byte, code string, took time.Duration) {
	began := time.Now()
	conn, err := net.DialTimeout("tcp", addr, limit)
	if err != nil {
		return 0, err.Error(), time.Since(began)
	}
	defer conn.Close()
	_ = conn.SetDeadline(began.Add(limit))
	_, _ = conn.Write(startupPacket("user", servers.User, "application_name", application))
	buffer := make([]byte, 4096)
	n, err := io.ReadAtLeast(conn, buffer, 1)
	took = time.Since(began)
	if err != nil {
		return 0, err.Error(), took
	}
	_, rest, _ := bytes.Cut(buffer[:n], []byte("\x00C"))
	state, _, _ := bytes.Cut(rest, []byte{0})
	if buffer[0] == 'R' {
		_, _ = conn.Write(frame('X', ""))
	}
	return buffer[0], string(state), took
}

// TestNobodyReadsTheLog: whoever holds the other end of standard error wants pgorigin to stand still. Logins go on, and
// SIGTERM ends it.
func TestNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	im := newImpostor(t)
	im.script("log", welcome)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const setPipeSize = 1031 // F_SETPIPE_SZ
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, w.Fd(), setPipeSize, 4096); errno != 0 {
		t.Fatal(errno)
	}
	p := startProcess(t, w, im.addr, nil, "PGORIGIN_MAX_SESSIONS=20", "PGORIGIN_LOG_LEVEL=debug")
	_ = w.Close()
	p.awaitReady(t)
	refused := 0
	for range 200 {
		if kind, code, _ := quick(p.addr, "log", patience/4); kind != 'R' {
			refused++
			t.Logf("refused: %s", code)
			if refused > 3 {
				break
			}
		}
	}
	if refused > 0 {
		t.Errorf("at least %d of 200 logins were refused", refused)
	}
	for _, path := range []string{"/livez", "/metrics"} {
		if status := p.get(path); status != http.StatusOK {
			t.Errorf("%s answers %d", path, status)
		}
	}
	p.terminates(t)
}

// slowConns is an upstream that answers S and then nothing, and counts who is connected.
type slowConns struct {
	addr       string
	open, seen atomic.Int64
}

func newSlowUpstream(t *testing.T) *slowConns {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &slowConns{addr: ln.Addr().String()}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				s.seen.Add(1)
				s.open.Add(1)
				defer s.open.Add(-1)
				if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
					return
				}
				_, _ = conn.Write([]byte("S"))
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	t.Cleanup(func() { _ = ln.Close() })
	return s
}

// TestHungOrigin: a machine that answers S and then nothing wants all other logins of the process to wait for it.
func TestHungOrigin(t *testing.T) {
	t.Parallel()
	im := newImpostor(t)
	im.script("healthy", welcome)
	slow := newSlowUpstream(t)
	port, err := shared.lab.Port()
	if err != nil {
		t.Fatal(err)
	}
	healthy := "127.0.0.1:" + port
	p := startProcess(t, nil, slow.addr, nil, "PGORIGIN_ORIGINS=healthy", "PGORIGIN_HEALTHY_UPSTREAM_ADDR="+im.addr,
		"PGORIGIN_HEALTHY_LISTEN_ADDR="+healthy, "PGORIGIN_HEALTHY_TLS_RESUME_FOR=0s", "PGORIGIN_TLS_RESUME_FOR=0s")
	control := startProcess(t, nil, im.addr, nil, "PGORIGIN_TLS_RESUME_FOR=0s")
	p.awaitReady(t)
	control.awaitReady(t)
	hold(t, p.addr, 100)
	compareLogins(t, control.addr, healthy, "healthy")
}

// TestHungAddress is the same with both machines behind one upstream, the hung one first.
func TestHungAddress(t *testing.T) {
	t.Parallel()
	im := newImpostor(t)
	im.script("healthy", welcome)
	slow := newSlowUpstream(t)
	p := startProcess(t, nil, slow.addr+","+im.addr, nil)
	p.awaitReady(t)
	var failed atomic.Int64
	var longest atomic.Int64
	var running sync.WaitGroup
	for range 80 {
		running.Go(func() {
			kind, code, took := quick(p.addr, "healthy", patience)
			if kind != 'R' {
				t.Logf("refused: %s", code)
				failed.Add(1)
			}
			for {
				was := longest.Load()
				if int64(took) <= was || longest.CompareAndSwap(was, int64(took)) {
					return
				}
			}
		})
	}
	running.Wait()
	t.Logf("the longest of 80 logins took %s; the hung machine saw %d", time.Duration(longest.Load()), slow.seen.Load())
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of 80 logins failed though one machine is healthy", n)
	}
}

// hold begins logins and leaves them there.
func hold(t *testing.T, addr string, n int) {
	t.Helper()
	for range n {
		c := dialClient(t, addr)
		c.send(startupPacket("user", servers.User, "application_name", "held"))
	}
	time.Sleep(300 * time.Millisecond)
}

// compareLogins makes logins at two addresses in turn and compares the medians. What waits behind an attack waits for
// seconds; what does not differs by what a busy machine does to both.
func compareLogins(t *testing.T, control, attacked, application string) {
	t.Helper()
	var calm, under []time.Duration
	for range 20 {
		for addr, times := range map[string]*[]time.Duration{control: &calm, attacked: &under} {
			kind, code, took := quick(addr, application, patience)
			if kind != 'R' {
				t.Fatalf("a login at %s ended with %q %s", addr, kind, code)
			}
			*times = append(*times, took)
		}
	}
	slices.Sort(calm)
	slices.Sort(under)
	t.Logf("median %s, under attack %s", calm[10], under[10])
	if under[10] > 10*max(calm[10], 20*time.Millisecond) {
		t.Errorf("a login takes %s, under attack %s", calm[10], under[10])
	}
}

// TestDescriptorLimit: clients want every descriptor of the process. The others are told 53300, and health answers.
func TestDescriptorLimit(t *testing.T) {
	t.Parallel()
	im := newImpostor(t)
	im.script("held", func(c *caller) {
		c.send(authOk(), ready())
		for range c.messages { // until it is left
		}
	})
	p := startProcess(t, nil, im.addr, []string{"prlimit", "--nofile=64:64"})
	p.awaitReady(t)
	answers, last := map[string]int{}, ""
	for range 120 {
		c := dialClient(t, p.addr)
		c.send(startupPacket("user", servers.User, "application_name", "held"))
		m := c.read()
		word := string(m.kind)
		last = fmt.Sprintf("%.300q", m.body)
		if m.kind == 'E' {
			_, rest, _ := bytes.Cut(m.body, []byte("\x00C"))
			word, _, _ = strings.Cut(string(rest), "\x00")
		}
		if answers[word]++; m.kind == 0 && answers[word] > 2 {
			break
		}
	}
	t.Logf("answers: %v", answers)
	if answers["R"] < 5 || answers["R"]+answers["53300"] != 120 {
		t.Errorf("answers to 120 clients: %v, want R for some and 53300 for all others; the last was %s", answers, last)
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		if status := p.get(path); status != http.StatusOK {
			t.Errorf("%s answers %d", path, status)
		}
	}
	p.terminates(t)
}

// eventually waits for half of patience.
func eventually(done func() bool) bool {
	for end := time.Now().Add(patience / 2); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if done() {
			return true
		}
	}
	return false
}
