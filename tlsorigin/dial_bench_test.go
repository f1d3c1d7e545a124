package tlsorigin

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// BenchmarkDial compares a connection by Dialer with the least that can be done for one: TCP, SSLRequest and
// a verified handshake. Both figures include the server, which is in the same process.
func BenchmarkDial(b *testing.B) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	addr := acceptTLS(b, ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
	d, err := NewDialer(Config{Addrs: []string{addr}, ServerName: testName, CAPEM: string(ca.PEM())})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	config := d.state.Load().config(&verification{policy: d.state.Load().policy, name: testName}, new(clientAuth))
	bare := func(ctx context.Context) (net.Conn, error) {
		raw, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		var answer [1]byte
		io.WriteString(raw, sslRequest)
		io.ReadFull(raw, answer[:])
		conn := tls.Client(raw, config)
		return conn, conn.HandshakeContext(ctx)
	}
	for name, dial := range map[string]func(context.Context) (net.Conn, error){
		"Dialer": func(ctx context.Context) (net.Conn, error) { return d.Dial(ctx, nil) },
		"bare":   bare,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				conn, err := dial(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				conn.Close()
			}
		})
	}
}

// acceptTLS serves handshakes behind SSLRequest until b ends.
func acceptTLS(b *testing.B, pair *tlstest.Pair) (addr string) {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	config := &tls.Config{Certificates: []tls.Certificate{pair.TLS()}, SessionTicketsDisabled: true}
	go func() {
		for {
			raw, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer raw.Close()
				var request [len(sslRequest)]byte
				io.ReadFull(raw, request[:])
				raw.Write([]byte{'S'})
				tls.Server(raw, config).Read(make([]byte, 1))
			}()
		}
	}()
	return ln.Addr().String()
}
