package spares

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func TestClosedSparesSayGoodbye(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	heard := make(chan error, 1)
	config := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{peertest.Name}}))
	p := peertest.Start(t, func(conn net.Conn) {
		if peertest.Answer(conn, "S") {
			_, err := tls.Server(conn, config).Read(make([]byte, 1))
			heard <- err
		}
	})
	attempts := make(chan tlsorigin.Attempt, 1)
	d := newTestDialer(t, ca, func(c *tlsorigin.Config) {
		c.Trace = &tlsorigin.Trace{Attempt: func(a tlsorigin.Attempt) { attempts <- a }}
	}, p.Addr)
	s := New(d, 1, Trace{})
	s.Start()
	<-attempts
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-heard; !errors.Is(err, io.EOF) { // io.ErrUnexpectedEOF is a connection that was just dropped
		t.Errorf("the upstream read %v", err)
	}
	peertest.CheckOnlyTLS(t, p.Received(t))
}
