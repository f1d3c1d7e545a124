// Command naive is the relay that one writes in an afternoon: SSLRequest, tls.Client, and an io.Copy in each direction.
// It is the floor that the benchmarks compare with, and nothing to use: it has no deadlines, limits or diagnosis.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
)

// sslRequest is the startup packet that asks a Postgres server for TLS.
const sslRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"

func main() {
	listen := flag.String("listen", "", "address to listen on")
	upstream := flag.String("upstream", "", "address of the server")
	caFile := flag.String("ca", "", "CA file in PEM")
	serverName := flag.String("name", "", "name that the server's certificate must carry")
	flag.Parse()
	if err := serve(*listen, *upstream, *caFile, *serverName); err != nil {
		fmt.Fprintln(os.Stderr, "naive:", err)
		os.Exit(1)
	}
}

func serve(listen, upstream, caFile, serverName string) error {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return fmt.Errorf("read CA file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return errors.New("read CA file: no certificate in it")
	}
	config := &tls.Config{RootCAs: roots, ServerName: serverName, MinVersion: tls.VersionTLS12}
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	for {
		client, err := ln.Accept()
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		go func() {
			if err := relay(client, upstream, config); err != nil {
				fmt.Fprintln(os.Stderr, "naive:", err)
			}
		}()
	}
}

// relay serves one client and closes both connections.
func relay(client net.Conn, upstream string, config *tls.Config) error {
	defer func() { _ = client.Close() }()
	tcp, err := new(net.Dialer).DialContext(context.Background(), "tcp", upstream)
	if err != nil {
		return fmt.Errorf("dial upstream: %w", err)
	}
	server := tls.Client(tcp, config)
	defer func() { _ = server.Close() }()
	var answer [1]byte
	if _, err := io.WriteString(tcp, sslRequest); err != nil {
		return fmt.Errorf("ask for TLS: %w", err)
	}
	if _, err := io.ReadFull(tcp, answer[:]); err != nil {
		return fmt.Errorf("ask for TLS: %w", err)
	}
	if answer[0] != 'S' {
		return fmt.Errorf("ask for TLS: the server answers %q", answer)
	}
	go func() {
		_, _ = io.Copy(server, client) // whatever ends it, the other direction ends by it too
		_ = server.CloseWrite()
	}()
	_, _ = io.Copy(client, server) // the client or the server has gone
	return nil
}
