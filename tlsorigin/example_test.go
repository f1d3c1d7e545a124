package tlsorigin_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// serve accepts SSLRequest and TLS with one certificate, as a Postgres server does.
func serve(pair *tlstest.Pair) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
					return
				}
				_, _ = io.WriteString(conn, "S")
				server := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair.TLS()}})
				_, _ = io.Copy(io.Discard, server)
			}()
		}
	}()
	return ln
}

func ExampleDialer() {
	ca := tlstest.NewCA("Example CA", tlstest.P256)
	ln := serve(ca.Issue(tlstest.Leaf{DNSNames: []string{"db.example.com"}}))
	defer ln.Close()

	dialer, err := tlsorigin.NewDialer(tlsorigin.Config{
		Addrs:      []string{ln.Addr().String()},
		ServerName: "db.example.com",
		CAPEM:      string(ca.PEM()),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dialer.Close()
	conn, err := dialer.Dial(context.Background(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	state := conn.ConnectionState()
	fmt.Println(tls.VersionName(state.Version), state.PeerCertificates[0].DNSNames)
	// Output: TLS 1.3 [db.example.com]
}

// A refused upstream is an *Error. Its reason is one word, and its text may be shown to a client.
func ExampleError() {
	ca := tlstest.NewCA("Example CA", tlstest.P256)
	ln := serve(ca.Issue(tlstest.Leaf{DNSNames: []string{"db.example.com"}}))
	defer ln.Close()

	dialer, err := tlsorigin.NewDialer(tlsorigin.Config{
		Addrs:      []string{ln.Addr().String()},
		ServerName: "db.example.org",
		CAPEM:      string(ca.PEM()),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dialer.Close()
	_, err = dialer.Dial(context.Background(), nil)
	var refused *tlsorigin.Error
	if errors.As(err, &refused) {
		fmt.Println(refused.Kind)
		fmt.Println(refused.Text)
	}
	// Output:
	// cert_name_mismatch
	// certificate is valid for "db.example.com", not "db.example.org"
}

// NewDialer reports all problems of a Config at once.
func ExampleNewDialer_problems() {
	_, err := tlsorigin.NewDialer(tlsorigin.Config{
		Addrs:   []string{"db.example.com"},
		CAFile:  "ca.crt",
		CAPEM:   "-----BEGIN CERTIFICATE-----",
		KeyFile: "client.key",
	})
	fmt.Println(err)
	// Output:
	// Addrs "db.example.com": want host:port, with an IPv6 address in brackets
	// CAPEM: is set although CAFile is set, too; set only one
	// CertFile: is not set although KeyFile is; set both or none
}
