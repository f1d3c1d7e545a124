package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// In a pod the network reaches the health port. Thousands of half requests there hold few descriptors, keep no probe out
// and no client waiting.
func TestHalfRequestsAtTheHealthPort(t *testing.T) {
	ctx := testContext(t)
	origin := startOrigin(t, shared.postgres.Addr)
	descriptors := func() int {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", origin.PID()))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	login := func() time.Duration {
		began := time.Now()
		conn := connect(ctx, t, origin.Addr)
		if err := conn.Close(ctx); err != nil {
			t.Error(err)
		}
		return time.Since(began)
	}
	before, quiet := descriptors(), login()
	addr := strings.TrimPrefix(origin.Health, "http://")
	const attackers = 1500
	for range attackers {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("GET /readyz HTTP/1.1\r\nHost: x\r\nX-Half:")); err != nil {
			continue // it is gone already
		}
	}
	var logins, probes []time.Duration
	most := 0
	for range 10 {
		logins = append(logins, login())
		began := time.Now()
		if status, _, err := origin.Get(ctx, "/readyz"); err != nil || status != http.StatusOK {
			t.Errorf("/readyz answers %d, %v", status, err)
		}
		probes = append(probes, time.Since(began))
		most = max(most, descriptors())
	}
	if most > before+50 {
		t.Errorf("%d descriptors are open, %d before", most, before)
	}
	t.Logf("a login took %v before, then at most %v; a probe %v; descriptors %d, then %d",
		quiet, slices.Max(logins), slices.Max(probes), before, most)
	if err := servers.Poll(ctx, func() error {
		if now := descriptors(); now > before+50 {
			return fmt.Errorf("%d descriptors", now)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
