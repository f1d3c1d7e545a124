package tlsorigin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// BenchmarkConn reads 32 KiB and writes 64 KiB at once on a verified connection, as the event loop does,
// against records of the sizes that pgbouncer, PostgreSQL and others send. The server is in the same process.
// What is allocated is crypto/tls's: 32 bytes for every record that it reads, at either end.
func BenchmarkConn(b *testing.B) {
	for _, record := range []int{4 << 10, 8 << 10, 16 << 10} {
		b.Run(fmt.Sprintf("read/%dKiB records", record>>10), func(b *testing.B) { benchmarkRead(b, record) })
	}
	b.Run("write", benchmarkWrite)
}

// benchmarkRead measures what arrives, one buffer at a time.
func benchmarkRead(b *testing.B, record int) {
	conn, server := dialPair(b)
	go func() { // ends with the connection
		for p := make([]byte, record); ; {
			if _, err := server.Write(p); err != nil {
				return
			}
		}
	}()
	p := make([]byte, gatherSize+maxPlaintext)
	b.SetBytes(gatherSize)
	b.ReportAllocs()
	for b.Loop() {
		for got := 0; got < gatherSize; {
			n, _, err := conn.TryRead(p)
			if err != nil && !errors.Is(err, syscall.EAGAIN) { // a part of a record
				b.Fatal(err)
			}
			got += n
		}
	}
}

func benchmarkWrite(b *testing.B) {
	conn, server := dialPair(b)
	go io.Copy(io.Discard, server)
	p := make([]byte, 4*maxPlaintext)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		flushed, err := conn.TryWrite(p)
		for !flushed && err == nil {
			flushed, err = conn.TryFlush()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// dialPair returns both ends of a connection.
func dialPair(b *testing.B) (*Conn, *tls.Conn) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan *tls.Conn, 1)
	go func() {
		raw, err := ln.Accept()
		if err != nil {
			return
		}
		io.ReadFull(raw, make([]byte, len(sslRequest)))
		raw.Write([]byte{'S'})
		config := &tls.Config{
			Certificates:           []tls.Certificate{ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}).TLS()},
			SessionTicketsDisabled: true, DynamicRecordSizingDisabled: true,
		}
		server := tls.Server(raw, config)
		server.Handshake()
		accepted <- server
	}()
	d, err := NewDialer(Config{Addrs: []string{ln.Addr().String()}, ServerName: testName, CAPEM: string(ca.PEM())})
	if err != nil {
		b.Fatal(err)
	}
	dialled, err := d.Dial(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	conn, server := dialled, <-accepted
	b.Cleanup(func() { conn.Close(); server.Close(); d.Close() })
	conn.SetNonBlocking(conn.Socket()) // which waits: a benchmark has nobody to tell it when to go on
	return conn, server
}
