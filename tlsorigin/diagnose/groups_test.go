package diagnose

import (
	"crypto/tls"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// The size in the matrix is that of what went over the wire.
func TestDiagnosisMeasuresTheHello(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	sizes := make(chan int, 16)
	p := peertest.Start(t, func(conn net.Conn) {
		if peertest.Answer(conn, "S") {
			sizes <- helloSize(conn)
		}
	})
	found := diagnoseOne(t, newTestDialer(t, ca, func(c *tlsorigin.Config) { c.PostQuantum, c.Timeout = tlsorigin.PostQuantumOff, time.Second }, p.Addr))
	var sent, reported []int
	for _, row := range found.KeyExchange {
		sent, reported = append(sent, <-sizes), append(reported, row.Hello.Bytes)
	}
	slices.Sort(sent)
	slices.Sort(reported)
	if !slices.Equal(sent, reported) || len(sent) != 6 {
		t.Errorf("sizes on the wire %v, in the matrix %v", sent, reported)
	}
}

// helloSize reads one record and returns its size with its header.
func helloSize(conn net.Conn) int {
	header := make([]byte, 5)
	if _, err := io.ReadFull(conn, header); err != nil {
		return 0
	}
	n, _ := io.CopyN(io.Discard, conn, int64(header[3])<<8|int64(header[4]))
	return len(header) + int(n)
}

// swallows answers only hellos of at most most bytes.
func swallows(most int, config *tls.Config) func(net.Conn) {
	return func(conn net.Conn) {
		if !peertest.Answer(conn, "S") {
			return
		}
		peeked := &prefixed{Conn: conn}
		if helloSize(keeping{conn, &peeked.prefix}) > most {
			return // serve goes on reading and says nothing
		}
		server := tls.Server(peeked, config)
		if server.Handshake() == nil {
			io.Copy(io.Discard, server)
		}
	}
}

// prefixed is a connection from which prefix is read first.
type prefixed struct {
	net.Conn
	prefix []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.prefix) > 0 {
		n := copy(b, p.prefix)
		p.prefix = p.prefix[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// keeping keeps what is read from it.
type keeping struct {
	net.Conn
	kept *[]byte
}

func (c keeping) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	*c.kept = append(*c.kept, b[:n]...)
	return n, err
}

func TestDiagnosisOfAPathThatSwallowsLargeHellos(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	config := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{peertest.Name}}))
	for _, row := range []struct {
		policy     tlsorigin.PostQuantum
		failed     Stage
		configured Outcome
	}{
		{tlsorigin.PostQuantumPrefer, "", TrialVanishes},
		{tlsorigin.PostQuantumRequire, StageTLS, TrialVanishes},
		{tlsorigin.PostQuantumOff, "", TrialWorks},
	} {
		t.Run(string(row.policy), func(t *testing.T) {
			t.Parallel()
			change := func(c *tlsorigin.Config) { c.PostQuantum, c.Timeout = row.policy, time.Second }
			found := diagnoseOne(t, newTestDialer(t, ca, change, peertest.Start(t, swallows(1000, config)).Addr))
			conn, err := newTestDialer(t, ca, change, peertest.Start(t, swallows(1000, config)).Addr).Dial(t.Context(), nil)
			if conn != nil {
				conn.Close()
			}
			if (err == nil) != (found.Err == nil) {
				t.Errorf("the diagnosis says %v, Dial %v", found.Err, err)
			}
			if found.Failed != row.failed {
				t.Errorf("failed at %q (%v), want %q", found.Failed, found.Err, row.failed)
			}
			if (found.Fallback != "") != (row.policy == tlsorigin.PostQuantumPrefer) {
				t.Errorf("fallback %q", found.Fallback)
			}
			var outcomes []Outcome
			for _, trial := range found.KeyExchange {
				outcomes = append(outcomes, trial.Outcome)
			}
			want := []Outcome{row.configured, TrialVanishes, TrialWorks, TrialWorks, TrialWorks, TrialWorks}
			if !slices.Equal(outcomes, want) {
				t.Errorf("matrix %v, want %v", outcomes, want)
			}
		})
	}
}

func TestDiagnosisOfAServerWithOneGroup(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	config := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{peertest.Name}}))
	config.CurvePreferences = []tls.CurveID{tls.CurveP256} // PostgreSQL up to 17
	found := diagnoseOne(t, newTestDialer(t, ca, nil, peertest.Start(t, peertest.SpeaksTLS(config)).Addr))
	if found.Failed != "" || !found.Handshake.HelloRetryRequest || found.Handshake.Group != tls.CurveP256 {
		t.Errorf("%q, %+v", found.Failed, found.Handshake)
	}
	for i, row := range found.KeyExchange {
		want := TrialRefused
		if i == 0 || slices.Equal(row.Offered, []tls.CurveID{tls.CurveP256}) {
			want = TrialWorks
		}
		if row.Outcome != want || row.HelloRetryRequest != (i == 0) {
			t.Errorf("row %d of the matrix: %+v, want %s", i, row, want)
		}
	}
}
