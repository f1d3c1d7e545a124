package tlsorigin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// describe puts what was reported into words that a table can compare.
func describeReports(attempts []Attempt, changes []KeyExchangeChange) string {
	var words []string
	// A probe runs beside the connection that has started it.
	slices.SortStableFunc(attempts, func(a, b Attempt) int { return strings.Compare(fmt.Sprint(a.Probe), fmt.Sprint(b.Probe)) })
	for _, a := range attempts {
		word := "ok"
		if a.Err != nil {
			word = a.Err.Reason()
		}
		if a.Fallback != "" {
			word += fmt.Sprintf(" by %s because %s", a.Fallback, a.Cause)
		}
		if a.Probe {
			word += " in a probe"
		}
		words = append(words, word)
	}
	for _, c := range changes {
		word := fmt.Sprintf("%q to %q", c.Before, c.After)
		if c.Fallback != "" {
			word += fmt.Sprintf(" by %s because %s", c.Fallback, c.Cause)
		}
		words = append(words, word)
	}
	return strings.Join(words, "; ")
}

// TestTimeToFirstSuccess: what a path that dislikes hybrid hellos costs the first connection and the second
// one.
func TestTimeToFirstSuccess(t *testing.T) {
	for _, row := range []struct {
		name          string
		box           func(net.Conn, []byte) bool
		lossy         bool
		change        func(*Config)
		first, second time.Duration
		group         tls.CurveID
		reports       string
	}{
		{
			"swallows", above(swallow), false, nil, 3 * time.Second, 0, tls.X25519,
			`tls_timeout; ok by classical because unanswered; "" to "path_blocked" by classical because unanswered`,
		},
		{
			"swallows, with little time", above(swallow), false, func(c *Config) { c.Timeout = 4 * time.Second }, 2 * time.Second, 0, tls.X25519,
			`tls_timeout; ok by classical because unanswered; "" to "path_blocked" by classical because unanswered`,
		},
		{
			"closes", above(hangUp), false, nil, 0, 0, tls.X25519,
			`upstream_gone; ok by classical because closed; "" to "path_blocked" by classical because closed`,
		},
		{
			"resets", above(sendReset), false, nil, 0, 0, tls.X25519,
			`upstream_gone; ok by classical because reset; "" to "path_blocked" by classical because reset`,
		},
		{
			"delays too long", delayed(5 * time.Second), false, nil, 3 * time.Second, 0, tls.X25519,
			`tls_timeout; ok by classical because unanswered; "" to "path_blocked" by classical because unanswered`,
		},
		{"delays a little", delayed(2 * time.Second), false, nil, 2 * time.Second, 2 * time.Second, tls.X25519MLKEM768, `ok; "" to "negotiated"`},
		{
			"loses packets, small ones too", above(swallow), true, nil, 4500 * time.Millisecond, 0, tls.X25519,
			`tls_timeout; tls_timeout by small_segments because packets_lost; ok by classical because packets_lost; "" to "path_blocked" by classical because packets_lost`,
		},
		{
			"swallows in direct TLS", above(swallow), false, func(c *Config) { c.Negotiation = NegotiateDirect }, 3 * time.Second, 0, tls.X25519,
			`tls_timeout; ok by classical because unanswered; "" to "path_blocked" by classical because unanswered`,
		},
		{
			"with groups of its own", above(hangUp), false, func(c *Config) { c.Groups = []tls.CurveID{tls.X25519MLKEM768, tls.CurveP384} }, 0, 0, tls.CurveP384,
			`upstream_gone; ok by classical because closed; "" to "path_blocked" by classical because closed`,
		},
		{"no box", nil, false, nil, 0, 0, tls.X25519MLKEM768, `ok; "" to "negotiated"`},
		{"off", above(swallow), false, func(c *Config) { c.PostQuantum = PostQuantumOff }, 0, 0, tls.X25519, `ok; "" to "disabled"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, row.change)
				l.box = row.box
				l.server.NextProtos = []string{protocolName}
				if row.lossy {
					l.lost = func(net.Conn) bool { return true }
				}
				state, took := l.dialled(t)
				if state.CurveID != row.group || took != row.first {
					t.Errorf("first connection by %v after %v, want %v after %v", state.CurveID, took, row.group, row.first)
				}
				if got := describeReports(l.take()); got != row.reports {
					t.Errorf("reported\n%s, want\n%s", got, row.reports)
				}
				state, took = l.dialled(t)
				if state.CurveID != row.group || took != row.second {
					t.Errorf("second connection by %v after %v, want %v after %v", state.CurveID, took, row.group, row.second)
				}
				if got := describeReports(l.take()); got != "ok" {
					t.Errorf("of the second connection %s was reported", got)
				}
				time.Sleep(time.Minute) // until the boxes are done
			})
		})
	}
}

// TestSmallSegments: the same hello in small segments, where packets are lost, keeps the hybrid.
func TestSmallSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		var small []any
		l.netDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			told := ctx.Value(segmentsKey{})
			if told == nil {
				told = l.hosts.small("pipe")
			}
			l.locked(func() { small = append(small, told) })
			box := above(swallow)
			if told == true {
				box = nil
			}
			return peertest.PipeTo(func(conn net.Conn) { l.serveBehind(conn, box) })(ctx, network, addr)
		}
		l.lost = func(net.Conn) bool { return true }
		for i, want := range []time.Duration{3 * time.Second, 0} {
			if state, took := l.dialled(t); state.CurveID != tls.X25519MLKEM768 || took != want {
				t.Errorf("connection %d by %v after %v", i, state.CurveID, took)
			}
		}
		if got, want := describeReports(l.take()), `tls_timeout; ok by small_segments because packets_lost; ok; "" to "negotiated" by small_segments because packets_lost`; got != want {
			t.Errorf("reported\n%s, want\n%s", got, want)
		}
		if got := fmt.Sprint(small); got != "[false true true]" {
			t.Errorf("small segments: %s", got)
		}
		time.Sleep(blockedFor)
		l.dialled(t)
		time.Sleep(maxPatience) // the probe, in segments of the usual size, fails meanwhile
		synctest.Wait()
		if got := describeReports(l.take()); got != "ok; tls_timeout in a probe" {
			t.Errorf("the probe reported %s", got)
		}
	})
}

// TestNeverTriedAgain: whatever the peer or the policy has said anything about is no case for another hello.
func TestNeverTriedAgain(t *testing.T) {
	says := func(text string, then func(net.Conn)) func(net.Conn, []byte) bool {
		return above(func(conn net.Conn) { io.WriteString(conn, text); then(conn) })
	}
	require := func(c *Config) { c.PostQuantum = PostQuantumRequire }
	for _, row := range []struct {
		name   string
		box    func(net.Conn, []byte) bool
		change func(*Config)
		reason Reason
		which  Case
	}{
		{"alert: handshake failure", says("\x15\x03\x03\x00\x02\x02\x28", hangUp), nil, ReasonTLSNoCommon, ""},
		{"alert: internal error", says("\x15\x03\x03\x00\x02\x02\x50", swallow), nil, ReasonTLSAlert, ""},
		{"alert: illegal parameter, then reset", says("\x15\x03\x03\x00\x02\x02\x2f", sendReset), nil, ReasonTLSAlert, CaseLargeHello},
		{"plaintext", says("E\x00\x00\x00\x60SFATAL\x00", hangUp), nil, ReasonTLSProtocol, ""},
		{"plaintext in direct TLS", says("E\x00\x00\x00\x60SFATAL\x00", hangUp), func(c *Config) { c.Negotiation = NegotiateDirect }, ReasonTLSProtocol, CaseNoDirectTLS},
		{"one byte, then silence", says("\x16", swallow), nil, ReasonTLSTimeout, CaseSlow},
		{"one byte, then the end", says("\x16", hangUp), nil, ReasonUpstreamGone, CaseInHandshake},
		{"one byte, then a reset", says("\x16", sendReset), nil, ReasonUpstreamGone, CaseInHandshake},
		{"half a ServerHello, then silence", says(peertest.ServerHello11[:20], swallow), nil, ReasonTLSTimeout, CaseSlow},
		{"wrong name", nil, func(c *Config) { c.ServerName = "other.test" }, ReasonCertNameMismatch, ""},
		{"wrong authority", nil, func(c *Config) { c.CAPEM = string(tlstest.NewCA("Other", tlstest.P256).PEM()) }, ReasonCertUnknownAuthority, ""},
		{"require: swallowed", above(swallow), require, ReasonTLSTimeout, CaseOnlyHybrid},
		{"require: reset", above(sendReset), require, ReasonUpstreamGone, CaseOnlyHybrid},
		{"require: closed", above(hangUp), require, ReasonUpstreamGone, CaseOnlyHybrid},
		{"off: swallowed", func(conn net.Conn, _ []byte) bool { swallow(conn); return true }, func(c *Config) { c.PostQuantum = PostQuantumOff }, ReasonTLSTimeout, ""},
		{"hybrid groups alone", above(hangUp), func(c *Config) { c.Groups = []tls.CurveID{tls.X25519MLKEM768} }, ReasonUpstreamGone, CaseGroups},
		{"no TCP", nil, func(c *Config) { c.NetDial = blackHole }, ReasonUpstreamTimeout, ""},
		{"no answer to SSLRequest", nil, func(c *Config) { c.NetDial = peertest.PipeTo(swallow) }, ReasonUpstreamSilent, CaseRightPort},
		{"closes before S", nil, func(c *Config) { c.NetDial = peertest.PipeTo(hangUp) }, ReasonUpstreamGone, CaseNoAnswer},
		{"answers N", nil, func(c *Config) { c.NetDial = peertest.PipeTo(peertest.Answers("N")) }, ReasonTLSRefused, ""},
		{"answers E", nil, func(c *Config) { c.NetDial = peertest.PipeTo(peertest.Answers("E")) }, ReasonTLSProtocol, CaseErrorAnswer},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, row.change)
				l.box = row.box
				if row.change != nil && l.exchange.policy == PostQuantumRequire {
					l.box = func(conn net.Conn, hello []byte) bool {
						return row.box(conn, append(hello, make([]byte, oneSegment)...))
					}
				}
				for range 2 { // the second time as the first
					if failure := dialFailure(t, l.Dialer); failure.Kind != row.reason || row.reason.Layer() != LayerCertificate && failure.Case != row.which {
						t.Errorf("reason %s %s (%v), want %s %s", failure.Kind, failure.Case, failure, row.reason, row.which)
					}
					if got := describeReports(l.take()); got != string(row.reason) {
						t.Errorf("reported %s, want one attempt and nothing learned", got)
					}
				}
			})
		})
	}
}

// TestFallbackFailsToo: then the hello was not the trouble, the first error is the one to tell, and nothing
// is remembered.
func TestFallbackFailsToo(t *testing.T) {
	for _, row := range []struct {
		name   string
		second func(net.Conn) // what happens to the classical hello
		took   time.Duration
		text   string
	}{
		{"the same way", swallow, 10 * time.Second, "which post-quantum key exchange makes large, within 3s; a smaller ClientHello failed, too"},
		{"another way", hangUp, 3 * time.Second, "within 3s; with a smaller ClientHello: agreed to TLS but closed the connection"},
		{"with an alert", func(conn net.Conn) { io.WriteString(conn, "\x15\x03\x03\x00\x02\x02\x28") }, 3 * time.Second, "; with a smaller ClientHello: has no cipher"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, nil)
				l.box = func(conn net.Conn, hello []byte) bool {
					if len(hello) > oneSegment {
						swallow(conn)
					} else {
						row.second(conn)
					}
					return true
				}
				for range 2 {
					began := time.Now()
					failure := dialFailure(t, l.Dialer)
					if took := time.Since(began); failure.Kind != ReasonTLSTimeout || !strings.Contains(failure.Text, row.text) || took != row.took {
						t.Errorf("got %s after %v: %v", failure.Kind, took, failure)
					}
					attempts, changes := l.take()
					if len(attempts) != 2 || attempts[1].Fallback != FallbackClassical || len(changes) != 0 {
						t.Errorf("reported %s", describeReports(attempts, changes))
					}
				}
			})
		})
	}
}

// TestInterruptedFallback: the end of the caller's context is neither a failure nor a lesson.
func TestInterruptedFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		l.box = func(conn net.Conn, _ []byte) bool { swallow(conn); return true }
		cause := errors.New("login timeout")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, cause)
		defer cancel()
		began := time.Now()
		_, err := l.Dial(ctx, nil)
		if took := time.Since(began); !errors.Is(err, cause) || took != 5*time.Second {
			t.Errorf("got %v after %v", err, took)
		}
		if got := describeReports(l.take()); got != "tls_timeout" {
			t.Errorf("reported %s", got)
		}
	})
}
