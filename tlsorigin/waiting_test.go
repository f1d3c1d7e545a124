package tlsorigin_test

import (
	"net"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// A dial says when it has a TCP connection, before the peer has sent anything.
func TestWithConnected(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	connected := make(chan struct{}, 1)
	peer := peertest.Start(t, func(conn net.Conn) {
		<-connected
		peertest.Presents(ca.Issue(tlstest.Leaf{DNSNames: []string{peertest.Name}}))(conn)
	})
	d, err := tlsorigin.NewDialer(tlsorigin.Config{
		Addrs: []string{peer.Addr}, ServerName: peertest.Name, CAPEM: string(ca.PEM()),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	conn, err := d.Dial(tlsorigin.WithConnected(t.Context(), func() { connected <- struct{}{} }), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	peertest.CheckEcho(t, conn)
	if len(connected) > 0 {
		t.Error("it was said twice")
	}
}
