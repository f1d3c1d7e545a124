package tlsorigin

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// blackHole is a NetDial that gets no answer.
func blackHole(ctx context.Context, network, addr string) (net.Conn, error) {
	<-ctx.Done()
	return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
}

func dnsHole(ctx context.Context, network, addr string) (net.Conn, error) {
	<-ctx.Done()
	return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "i/o timeout", Name: addr, IsTimeout: true}}
}

func TestTimeoutsAreExact(t *testing.T) {
	for _, row := range []struct {
		name   string
		dial   func(context.Context, string, string) (net.Conn, error)
		reason Reason
	}{
		{"TCP", blackHole, ReasonUpstreamTimeout},
		{"DNS", dnsHole, ReasonUpstreamDNS},
		{"SSLRequest is not read", peertest.PipeTo(func(conn net.Conn) { io.WriteString(conn, "both write") }), ReasonUpstreamSilent},
		{"SSLRequest is not answered", peertest.PipeTo(func(net.Conn) {}), ReasonUpstreamSilent},
		{"silent after S", peertest.PipeTo(peertest.Answers("S")), ReasonTLSTimeout},
		{"drip-fed handshake", peertest.PipeTo(func(conn net.Conn) {
			peertest.Answer(conn, "S")
			peertest.ReadHello(conn)
			for i := range peertest.ServerHello11 {
				if _, err := io.WriteString(conn, peertest.ServerHello11[i:i+1]); err != nil {
					return
				}
				// Waits a second, or until the other side hangs up.
				conn.SetReadDeadline(time.Now().Add(time.Second))
				if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
					return
				}
			}
		}), ReasonTLSTimeout},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := tlstest.NewCA("Test Root", tlstest.P256)
				d := newTestDialer(t, ca, func(c *Config) { c.NetDial, c.Timeout = row.dial, 7*time.Second }, "db.test:6432")
				began := time.Now()
				failure := dialFailure(t, d)
				if failure.Kind != row.reason {
					t.Errorf("reason %s (%v), want %s", failure.Kind, failure, row.reason)
				}
				if took := time.Since(began); took != 7*time.Second {
					t.Errorf("took %v, want 7s", took)
				}
			})
		})
	}
}

func TestDefaultTimeoutIsTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTestDialer(t, tlstest.NewCA("Test Root", tlstest.P256), func(c *Config) { c.NetDial = blackHole }, "db.test:6432")
		began := time.Now()
		dialFailure(t, d)
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestQuickFailureLeavesItsTimeToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := tlstest.NewCA("Test Root", tlstest.P256)
		d := newTestDialer(t, ca, func(c *Config) {
			c.Timeout = 8 * time.Second
			c.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr == "a.test:1" {
					return peertest.PipeTo(peertest.Answers("N"))(ctx, network, addr)
				}
				return blackHole(ctx, network, addr)
			}
		}, "a.test:1", "b.test:1")
		began := time.Now()
		failure := dialFailure(t, d)
		if took := time.Since(began); took != 8*time.Second {
			t.Errorf("took %v", took)
		}
		if failure.Kind != ReasonTLSRefused || failure.Others[0].Kind != ReasonUpstreamTimeout {
			t.Errorf("got %v", failure)
		}
	})
}

func TestContextInterrupts(t *testing.T) {
	cause := errors.New("login timeout")
	for _, row := range []struct {
		name string
		dial func(context.Context, string, string) (net.Conn, error)
	}{
		{"TCP", blackHole},
		{"DNS", dnsHole},
		{"SSLRequest", peertest.PipeTo(func(net.Conn) {})},
		{"handshake", peertest.PipeTo(peertest.Answers("S"))},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reported := 0
				d := newTestDialer(t, tlstest.NewCA("Test Root", tlstest.P256), func(c *Config) {
					c.NetDial = row.dial
					c.Trace = &Trace{Attempt: func(Attempt) { reported++ }}
				}, "a.test:1", "b.test:1")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(2*time.Second, func() { cancel(cause) })
				began := time.Now()
				_, err := d.Dial(ctx, nil)
				var failure *Error
				if !errors.Is(err, cause) || errors.As(err, &failure) {
					t.Errorf("got %v, want the cause and no *Error", err)
				}
				if took := time.Since(began); took != 2*time.Second {
					t.Errorf("took %v, want 2s", took)
				}
				if reported != 0 {
					t.Errorf("%d attempts reported: an interrupted one says nothing about the upstream", reported)
				}
			})
		})
	}
}

func TestConnectionOutlivesContextAndDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := tlstest.NewCA("Test Root", tlstest.P256)
		d := newTestDialer(t, ca, func(c *Config) { c.NetDial = peertest.PipeTo(peertest.PipeServer(ca)) }, "db.test:6432")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		conn, err := d.Dial(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		time.Sleep(time.Hour) // in the bubble's time
		go io.WriteString(conn, "ping")
		got := make([]byte, 4)
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "ping" {
			t.Errorf("read %q, %v", got, err)
		}
		conn.Close()
	})
}

// TestSilentAddressThatWasVerified: the port is right, so the cure is another.
func TestSilentAddressThatWasVerified(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	silent := make(chan struct{})
	serve := peertest.Presents(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
	p := peertest.Start(t, func(conn net.Conn) {
		select {
		case <-silent:
			swallow(conn)
		default:
			serve(conn)
		}
	})
	d := newTestDialer(t, ca, func(c *Config) { c.Timeout = time.Second }, p.Addr)
	conn, err := d.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	close(silent)
	if failure := dialFailure(t, d); failure.Kind != ReasonUpstreamSilent || failure.Case != CaseRightPort {
		t.Errorf("got %s %s: %v", failure.Kind, failure.Case, failure)
	}
}

// TestSilenceOfAMoment: where there is hardly any time, a good server looks silent.
func TestSilenceOfAMoment(t *testing.T) {
	for budget, want := range map[time.Duration]Case{300 * time.Millisecond: CaseShortTimeout, time.Second: "", 10 * time.Second: ""} {
		a := &attempt{route: route{host: "db.test:7000"}, budget: budget}
		if found := a.lostFailure(os.ErrDeadlineExceeded, ""); found.reason != ReasonUpstreamSilent || found.which != want {
			t.Errorf("%v: %s %q, want %q", budget, found.reason, found.which, want)
		}
	}
}

// TestLostBeforeTLS: the kernel gives up sending, long before a timeout of ours or after a lowered limit.
func TestLostBeforeTLS(t *testing.T) {
	lost := &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}
	a := &attempt{}
	if found := a.lostFailure(lost, ""); found.reason != ReasonUpstreamLost {
		t.Errorf("after SSLRequest: %s", found.reason)
	}
	if found := a.handshakeFailure(lost, 7); found.reason != ReasonUpstreamLost {
		t.Errorf("in the handshake: %s", found.reason)
	}
}
