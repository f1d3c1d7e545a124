package control

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDialable(t *testing.T) {
	for addr, want := range map[string]string{
		":9632": "127.0.0.1:9632", "0.0.0.0:9632": "127.0.0.1:9632", "[::]:9632": "[::1]:9632",
		"10.0.0.1:9632": "10.0.0.1:9632", "localhost:9632": "localhost:9632", "[::1]:1": "[::1]:1",
	} {
		if got := dialable(addr); got != want {
			t.Errorf("dialable(%q) = %q, want %q", addr, got, want)
		}
	}
}

// TestPollKeepsTheLastReason: the end of the time explains nothing.
func TestPollKeepsTheLastReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tries := 0
		err := poll(t.Context(), time.Second, func(ctx context.Context) error {
			if tries++; tries < 3 {
				return &net.AddrError{Err: "the reason"}
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if err == nil || !strings.Contains(err.Error(), "the reason") || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
