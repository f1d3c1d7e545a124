//go:build hostile

package hostile

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestHalfRequests: somebody in the network wants logins and probes to wait for requests that never end, and for the
// descriptors that they hold.
func TestHalfRequests(t *testing.T) {
	t.Parallel()
	im := newImpostor(t)
	im.script("half", welcome)
	limit := []string{"prlimit", "--nofile=1024:1024"}
	p := startProcess(t, nil, im.addr, limit)
	control := startProcess(t, nil, im.addr, limit)
	p.awaitReady(t)
	control.awaitReady(t)
	var held []net.Conn
	defer func() {
		for _, conn := range held {
			_ = conn.Close()
		}
	}()
	var calm, under time.Duration // the longest login
	for i := range 1500 {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(p.health, "http://"), patience)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
		_, _ = conn.Write([]byte("GET /livez HTTP/1.1\r\nHost: x\r\nX-Half: "))
		if i%50 != 0 {
			continue
		}
		for addr, longest := range map[string]*time.Duration{control.addr: &calm, p.addr: &under} {
			kind, code, took := quick(addr, "half", patience)
			if kind != 'R' {
				t.Errorf("beside %d half requests a login ended with %q %s", i, kind, code)
			}
			*longest = max(*longest, took)
		}
	}
	t.Logf("the longest login took %s, under attack %s", calm, under)
	if under > 10*max(calm, 50*time.Millisecond) {
		t.Errorf("the longest login took %s, under attack %s", calm, under)
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		if status := p.get(path); status != http.StatusOK {
			t.Errorf("%s answers %d beside 1,500 half requests", path, status)
		}
	}
}
