package tlsorigin

import (
	"crypto/tls"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// retryServer makes the server of l choose one of groups, by HelloRetryRequest if it must.
func (l *lab) retryServer(groups ...tls.CurveID) {
	l.locked(func() {
		l.server = l.server.Clone()
		l.server.CurvePreferences = groups
	})
}

func TestLearningFromHelloRetryRequest(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*Config)
		server []tls.CurveID
		learnt bool
	}{
		{"PostgreSQL up to 17", nil, []tls.CurveID{tls.CurveP256}, true},
		{"P-384 alone", nil, []tls.CurveID{tls.CurveP384}, true},
		{"off", func(c *Config) { c.PostQuantum = PostQuantumOff }, []tls.CurveID{tls.CurveP521}, true},
		{"groups of its own", func(c *Config) { c.Groups = []tls.CurveID{tls.X25519, tls.CurveP384} }, []tls.CurveID{tls.CurveP384}, true},
		{"another hybrid", nil, []tls.CurveID{tls.SecP256r1MLKEM768}, false},
		{"another hybrid under require", func(c *Config) { c.PostQuantum = PostQuantumRequire }, []tls.CurveID{tls.SecP384r1MLKEM1024}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, row.change)
				l.retryServer(row.server...)
				for i, again := range []bool{true, !row.learnt, !row.learnt} {
					if state, _ := l.dialled(t); state.CurveID != row.server[0] || state.HelloRetryRequest != again {
						t.Errorf("connection %d by %v, HelloRetryRequest %v, want %v", i, state.CurveID, state.HelloRetryRequest, again)
					}
				}
			})
		})
	}
}

// TestLearntOrderIsProbed: after an hour a probe asks again; a server that has learnt hybrids meanwhile gets
// them.
func TestLearntOrderIsProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		l.retryServer(tls.CurveP256)
		l.dialled(t)
		if got := describeReports(l.take()); got != `ok; "" to "server_lacks"` {
			t.Errorf("reported %s", got)
		}
		for _, want := range []string{"ok; ok in a probe", `ok; ok in a probe; "server_lacks" to "negotiated"`} {
			time.Sleep(time.Hour)
			if state, _ := l.dialled(t); state.CurveID != tls.CurveP256 || state.HelloRetryRequest {
				t.Errorf("by %v, HelloRetryRequest %v", state.CurveID, state.HelloRetryRequest)
			}
			synctest.Wait()
			if got := describeReports(l.take()); got != want {
				t.Errorf("reported %s, want %s", got, want)
			}
			l.retryServer()
		}
		if state, _ := l.dialled(t); state.CurveID != tls.X25519MLKEM768 {
			t.Errorf("by %v", state.CurveID)
		}
	})
}

// TestLearntOrderThatIsRefusedIsForgotten: a server that no longer takes the group it asked for gets the full
// list, which is no step down, in the same Dial.
func TestLearntOrderThatIsRefusedIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		l.retryServer(tls.CurveP256)
		l.dialled(t)
		l.take()
		l.retryServer(tls.X25519)
		if state, _ := l.dialled(t); state.CurveID != tls.X25519 {
			t.Errorf("by %v", state.CurveID)
		}
		if got, want := describeReports(l.take()), `tls_no_common; ok`; got != want {
			t.Errorf("reported %s, want %s", got, want)
		}
		if state, _ := l.dialled(t); state.CurveID != tls.X25519 || state.HelloRetryRequest {
			t.Errorf("by %v, HelloRetryRequest %v", state.CurveID, state.HelloRetryRequest)
		}
	})
}

// TestNothingIsLearntFromStrangers: HelloRetryRequest is sent before anybody has proved anything.
func TestNothingIsLearntFromStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		good := l.server
		l.server = peertest.ServerConfig(tlstest.NewCA("Evil Root", tlstest.P256).Issue(tlstest.Leaf{DNSNames: []string{testName}}))
		l.retryServer(tls.CurveP256)
		if failure := dialFailure(t, l.Dialer); failure.Kind != ReasonCertUnknownAuthority {
			t.Errorf("got %v", failure)
		}
		l.locked(func() { l.server = good })
		if state, _ := l.dialled(t); state.CurveID != tls.X25519MLKEM768 {
			t.Errorf("by %v", state.CurveID)
		}
		if got, want := describeReports(l.take()), `cert_unknown_authority; ok; "" to "negotiated"`; got != want {
			t.Errorf("reported %s, want %s", got, want)
		}
	})
}

// TestLearningBehindABlockedPath: both at once, each with its own time.
func TestLearningBehindABlockedPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		l.box = above(swallow)
		l.retryServer(tls.CurveP256)
		if state, took := l.dialled(t); !state.HelloRetryRequest || took != 3*time.Second {
			t.Errorf("first: HelloRetryRequest %v after %v", state.HelloRetryRequest, took)
		}
		if state, took := l.dialled(t); state.HelloRetryRequest || took != 0 {
			t.Errorf("second: HelloRetryRequest %v after %v", state.HelloRetryRequest, took)
		}
		l.take()
		l.locked(func() { l.box = nil })
		time.Sleep(10 * time.Minute)
		l.dialled(t)
		synctest.Wait()
		if got, want := describeReports(l.take()), `ok; ok in a probe; "path_blocked" to "server_lacks"`; got != want {
			t.Errorf("reported %s, want %s", got, want)
		}
		if state, _ := l.dialled(t); state.HelloRetryRequest {
			t.Error("what the probe was told is not used")
		}
	})
}

// TestWideningStaysBehindABlockedPath: what is forgotten is the group, not that the path swallows hybrids.
func TestWideningStaysBehindABlockedPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		l.box = above(swallow)
		l.retryServer(tls.CurveP256)
		l.dialled(t)
		l.take()
		l.retryServer(tls.X25519)
		if state, took := l.dialled(t); state.CurveID != tls.X25519 || took != 0 {
			t.Errorf("by %v after %v", state.CurveID, took)
		}
		if got := describeReports(l.take()); got != "tls_no_common; ok" {
			t.Errorf("reported %s", got)
		}
		l.retryServer(tls.X25519MLKEM768)
		for range 2 { // nothing was learned that could be forgotten
			if failure := dialFailure(t, l.Dialer); failure.Kind != ReasonTLSNoCommon {
				t.Errorf("got %v", failure)
			}
			if got := describeReports(l.take()); got != "tls_no_common" {
				t.Errorf("reported %s", got)
			}
		}
	})
}
