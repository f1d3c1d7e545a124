package tlsorigin

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// changeFor returns the change of the configuration that a bad upstream needs.
func changeFor(setting peertest.Setting) func(*Config) {
	return func(c *Config) {
		switch setting {
		case peertest.Soon:
			c.Timeout = time.Second
		case peertest.OnlyTLS13:
			c.MinVersion = tls.VersionTLS13
		case peertest.Nothing:
		}
	}
}

func TestBadUpstreams(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P521)
	for _, row := range append(peertest.BadCertificates(ca), peertest.BadProtocols(ca)...) {
		t.Run(row.Name, func(t *testing.T) {
			t.Parallel()
			p := peertest.Start(t, row.Script)
			var attempts []Attempt
			d := newTestDialer(t, ca, func(c *Config) {
				c.Trace = &Trace{Attempt: func(a Attempt) { attempts = append(attempts, a) }}
				changeFor(row.Needs)(c)
			}, p.Addr)
			failure := dialFailure(t, d)
			if failure.Kind != Reason(row.Reason) || failure.Reason() != row.Reason {
				t.Errorf("reason %s, want %s (%v; cause: %v)", failure.Kind, row.Reason, failure, failure.Err)
			}
			state := "08001"
			if failure.Kind == ReasonUpstreamSilent { // the only one of these that may pass
				state = "57P03"
			}
			if failure.SQLState() != state {
				t.Errorf("SQLSTATE %s, want %s", failure.SQLState(), state)
			}
			text := failure.Error()
			t.Log(text)
			for _, want := range append(row.Wants, "upstream "+p.Addr+": ") {
				if !strings.Contains(text, want) {
					t.Errorf("text %q lacks %q", text, want)
				}
			}
			if strings.Contains(text, peertest.PeerText[:8]) {
				t.Errorf("text %q repeats the peer", text)
			}
			peertest.CheckOnlyTLS(t, p.Received(t))
			tries := 1
			switch row.Name {
			case "closes after S", "resets after S", "silent after S":
				tries = 2 // a path that swallows hybrid hellos looks the same
			}
			if len(attempts) != tries {
				t.Errorf("attempts reported: %+v, want %d", attempts, tries)
			}
			for _, a := range attempts {
				if a.Err == nil || a.State.Version != 0 {
					t.Errorf("attempt reported: %+v, want a failure without a verified state", a)
				}
			}
		})
	}
}

func TestSurplusBytesAreNotTakenForTLS(t *testing.T) {
	// A whole good handshake that begins in the segment of 'S' is still an injection: the server speaks
	// second in TLS.
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	p := peertest.Start(t, peertest.Answers("S\x16\x03\x03\x00\x2a"))
	if failure := dialFailure(t, newTestDialer(t, ca, nil, p.Addr)); failure.Kind != ReasonTLSInjection {
		t.Errorf("reason %s, want %s", failure.Kind, ReasonTLSInjection)
	}
	if got := p.Received(t); string(got) != sslRequest {
		t.Errorf("the peer received %x, want only SSLRequest", got)
	}
}

func TestOneGoodChainIsEnough(t *testing.T) {
	short := tlstest.NewCA("Short Root", tlstest.RSA1024)
	between := short.Intermediate("Intermediate", tlstest.P256)
	p := peertest.Start(t, peertest.Presents(between.Issue(tlstest.Leaf{DNSNames: []string{testName}})))
	if failure := dialFailure(t, newTestDialer(t, short, nil, p.Addr)); failure.Kind != ReasonCertInvalid {
		t.Errorf("only the chain under the short root: reason %s, want %s", failure.Kind, ReasonCertInvalid)
	}
	// Where the intermediate is trusted, too, there is a second chain that ends with it.
	conn, err := newTestDialer(t, short, func(c *Config) { c.CAPEM += string(between.PEM()) }, p.Addr).Dial(t.Context(), nil)
	if err != nil {
		t.Fatalf("both chains: %v", err)
	}
	peertest.CheckEcho(t, conn)
	conn.Close()
}
