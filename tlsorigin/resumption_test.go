package tlsorigin

import (
	"crypto/tls"
	"net"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// resuming is a server that hands out tickets, and a Dialer that takes them.
type resuming struct {
	ca       *tlstest.CA
	server   *tls.Config
	dialer   *Dialer
	attempts []Attempt
}

func newResuming(t *testing.T, change func(*resuming, *Config)) *resuming {
	t.Helper()
	r := &resuming{ca: tlstest.NewCA("Test Root", tlstest.P256)}
	r.server = peertest.ServerConfig(r.ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
	p := peertest.Start(t, func(conn net.Conn) {
		peertest.SpeaksTLS(r.server)(conn)
		conn.Close() // also when the handshake has failed
	})
	r.dialer = newTestDialer(t, r.ca, func(c *Config) {
		c.ResumeFor = time.Hour
		c.Trace = &Trace{Attempt: func(a Attempt) { r.attempts = append(r.attempts, a) }}
		if change != nil {
			change(r, c)
		}
	}, p.Addr)
	return r
}

// connect dials and uses a connection, and reports whether it has resumed a session.
func (r *resuming) connect(t *testing.T) bool {
	t.Helper()
	conn := r.dial(t)
	defer conn.Close()
	return conn.ConnectionState().DidResume
}

func (r *resuming) dial(t *testing.T) *Conn {
	t.Helper()
	conn, err := r.dialer.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	peertest.CheckEcho(t, conn)
	return conn
}

// only returns what is known in the single session that is kept.
func (r *resuming) only(t *testing.T) (sessionKey, resumable) {
	t.Helper()
	all := r.dialer.state.Load().sessions
	all.mu.Lock()
	defer all.mu.Unlock()
	if len(all.known) != 1 {
		t.Fatalf("%d addresses are known, want 1", len(all.known))
	}
	for key, known := range all.known {
		return key, known
	}
	panic("unreachable")
}

func TestResumption(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*resuming, *Config)
		want   bool
	}{
		{"as a rule", nil, true},
		{"any name", func(_ *resuming, c *Config) { c.VerifyCA = true }, true},
		{"a pin", func(r *resuming, c *Config) { c.Pins = []string{Pin(r.ca.Cert)} }, true},
		{"turned off", func(_ *resuming, c *Config) { c.ResumeFor = 0 }, false},
		{"a server without tickets", func(r *resuming, _ *Config) { r.server.SessionTicketsDisabled = true }, false},
		{"TLS 1.2, which has no new key exchange", func(r *resuming, _ *Config) { r.server.MaxVersion = tls.VersionTLS12 }, false},
		{"a client certificate, even one that nobody asks for", func(r *resuming, c *Config) {
			var err error
			if c.CertFile, c.KeyFile, err = r.ca.Issue(tlstest.Leaf{CommonName: "app"}).WriteFiles(t.TempDir(), "client"); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newResuming(t, row.change)
			if r.connect(t) {
				t.Error("the first connection resumes")
			}
			for range 3 {
				if got := r.connect(t); got != row.want {
					t.Errorf("resumed is %v", got)
				}
			}
			for i, a := range r.attempts {
				if a.Err != nil || len(a.State.VerifiedChains) == 0 || a.State.PeerCertificates[0].DNSNames[0] != testName || !IsHybrid(a.State.CurveID) && row.want {
					t.Errorf("attempt %d: %+v", i, a)
				}
			}
			if len(r.attempts) != 4 {
				t.Errorf("%d attempts", len(r.attempts))
			}
		})
	}
}

// TestResumptionEnds: what begins a new era begins with a whole handshake.
func TestResumptionEnds(t *testing.T) {
	t.Run("with the proof's time, however often it was resumed", func(t *testing.T) {
		r := newResuming(t, nil)
		r.connect(t)
		key, first := r.only(t)
		if !r.connect(t) {
			t.Fatal("nothing is resumed")
		}
		_, second := r.only(t)
		if second.state == first.state || second.until != first.until {
			t.Errorf("another session until %v, want %v", second.until, first.until)
		}
		all := r.dialer.state.Load().sessions
		all.known[key] = resumable{second.state, time.Now()}
		r.server.Certificates = []tls.Certificate{r.ca.Issue(tlstest.Leaf{DNSNames: []string{testName, "new.test"}}).TLS()}
		conn := r.dial(t)
		defer conn.Close()
		if state := conn.ConnectionState(); state.DidResume || len(state.PeerCertificates[0].DNSNames) != 2 {
			t.Errorf("resumed is %v, the certificate is for %v", state.DidResume, state.PeerCertificates[0].DNSNames)
		}
	})
	t.Run("with the trust", func(t *testing.T) {
		var path string
		r := newResuming(t, func(r *resuming, c *Config) {
			path = peertest.WriteFile(t, t.TempDir()+"/ca.crt", r.ca.PEM(), 0o600)
			c.CAPEM, c.CAFile = "", path
		})
		r.connect(t)
		if _, err := r.dialer.Reload(t.Context()); err != nil || !r.connect(t) {
			t.Errorf("a reload that changes nothing ends it: %v", err)
		}
		other := tlstest.NewCA("Other Root", tlstest.P256)
		peertest.WriteFile(t, path, append(r.ca.PEM(), other.PEM()...), 0o600)
		if _, err := r.dialer.Reload(t.Context()); err != nil || r.connect(t) {
			t.Errorf("a session of an earlier trust is resumed: %v", err)
		}
		peertest.WriteFile(t, path, other.PEM(), 0o600)
		if _, err := r.dialer.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if failure := dialFailure(t, r.dialer); failure.Kind != ReasonCertUnknownAuthority {
			t.Errorf("%s: %v", failure.Kind, failure)
		}
	})
	t.Run("when somebody binds to the certificate", func(t *testing.T) {
		r := newResuming(t, nil)
		conn := r.dial(t)
		defer conn.Close()
		if _, err := conn.ServerEndPoint(); err != nil || r.connect(t) || r.connect(t) {
			t.Error("a session is resumed although the server binds")
		}
	})
}

// A probe wants to know whether the server still has its key.
func TestProbesResumeNothing(t *testing.T) {
	r := newResuming(t, nil)
	r.connect(t)
	if err := r.dialer.Probe(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if last := r.attempts[len(r.attempts)-1]; !last.Probe || last.State.DidResume {
		t.Errorf("probe %v, resumed %v", last.Probe, last.State.DidResume)
	}
	if !r.connect(t) {
		t.Error("the session is lost")
	}
}

// TestResumedSessionsAreVerified: policy holds for them as for others.
func TestResumedSessionsAreVerified(t *testing.T) {
	r := newResuming(t, nil)
	r.connect(t)
	strict := r.dialer.state.Load()
	strict.policy.Pins = verify.PinSet{{}} // nobody's
	if failure := dialFailure(t, r.dialer); failure.Kind != ReasonCertPinMismatch {
		t.Errorf("%s: %v", failure.Kind, failure)
	}
	if len(r.attempts) != 3 || r.attempts[1].Err == nil || r.attempts[2].Err == nil {
		t.Errorf("%d attempts, want a resumed and a whole one that fail", len(r.attempts)-1)
	}
}

// TestResumedChainsHaveDates: a session brings the certificates of its handshake, whose dates count each
// time.
func TestResumedChainsHaveDates(t *testing.T) {
	r := newResuming(t, nil)
	r.connect(t)
	conn := r.dial(t)
	defer conn.Close()
	state, current := conn.ConnectionState(), r.dialer.state.Load()
	end := state.PeerCertificates[0].NotAfter
	if _, err := current.policy.Verify(state.PeerCertificates, testName, end); err != nil || !state.DidResume {
		t.Errorf("in its last second: %v", err)
	}
	if _, err := current.policy.Verify(state.PeerCertificates, testName, end.Add(time.Second)); err == nil {
		t.Error("a chain that is over is accepted")
	}
}

func TestResumingSideBySide(t *testing.T) {
	r := newResuming(t, func(_ *resuming, c *Config) { c.Trace = nil })
	var clients sync.WaitGroup
	for range 16 {
		clients.Go(func() {
			for range 5 {
				conn, err := r.dialer.Dial(t.Context(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				peertest.CheckEcho(t, conn)
				conn.Close()
			}
		})
	}
	clients.Wait()
	if !r.connect(t) {
		t.Error("nothing is resumed")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newSessions(time.Minute, nil)
		key := func(i int) sessionKey { return sessionKey{strconv.Itoa(i), testName} }
		session := resumable{new(tls.ClientSessionState), time.Now().Add(time.Minute)}
		for i := range maxSessions {
			all.set(key(i), session)
		}
		all.set(key(0), resumable{})
		time.Sleep(time.Minute)
		if all.find(key(1)).state != nil {
			t.Error("a session that is over is found")
		}
		session.until = time.Now().Add(time.Minute)
		all.set(key(maxSessions), session)
		if len(all.known) != 2 || all.find(key(maxSessions)).state == nil {
			t.Errorf("%d are known, want the last and the bar", len(all.known))
		}
		late := resumable{new(tls.ClientSessionState), session.until.Add(-time.Second)}
		if all.set(key(maxSessions), late); all.find(key(maxSessions)).state != session.state {
			t.Error("the ticket of an older connection counts")
		}
		if all.set(key(0), session); all.find(key(0)).state != nil {
			t.Error("a bar does not last")
		}
		for i := range 3 * maxSessions {
			all.set(key(i), session)
			if len(all.known) > maxSessions {
				t.Fatalf("%d are known", len(all.known))
			}
		}
	})
}
