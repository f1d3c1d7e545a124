package tlsorigin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// A probe is a whole verified handshake, and then an orderly end: the upstream reads close_notify and nothing
// else.
func TestProbeEndsInOrder(t *testing.T) {
	ca := tlstest.NewCA("probe", tlstest.P256)
	after := make(chan error, 1)
	p := peertest.Start(t, func(conn net.Conn) {
		if !peertest.Answer(conn, "S") {
			return
		}
		server := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}).TLS()}})
		n, err := server.Read(make([]byte, 1))
		if n > 0 {
			err = errors.New("something was sent")
		}
		after <- err
		server.Close()
	})
	var attempts []Attempt
	d, err := NewDialer(Config{
		Addrs: []string{p.Addr}, ServerName: testName, CAPEM: string(ca.PEM()),
		Trace: &Trace{Attempt: func(a Attempt) { attempts = append(attempts, a) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Probe(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := <-after; !errors.Is(err, io.EOF) {
		t.Errorf("the upstream reads %v, want the end", err)
	}
	if len(attempts) != 1 || !attempts[0].Probe || attempts[0].Err != nil {
		t.Errorf("attempts are %+v", attempts)
	}
}

// What Dial refuses, a probe refuses: there is no other code for it.
func TestProbeVerifies(t *testing.T) {
	ca := tlstest.NewCA("probe", tlstest.P256)
	p := peertest.Start(t, func(conn net.Conn) {
		if peertest.Answer(conn, "S") {
			tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{ca.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}}).TLS()}}).Handshake()
		}
	})
	d, err := NewDialer(Config{Addrs: []string{p.Addr}, ServerName: testName, CAPEM: string(ca.PEM())})
	if err != nil {
		t.Fatal(err)
	}
	var failure *Error
	if err := d.Probe(t.Context(), nil); !errors.As(err, &failure) || failure.Kind != ReasonCertNameMismatch {
		t.Errorf("Probe = %v", err)
	}
}

// TLS 1.3 rejects a client certificate after the handshake. Every session would fail of it, so the probe
// must, too.
func TestProbeHearsALateRejection(t *testing.T) {
	ca, foreign := tlstest.NewCA("probe", tlstest.P256), tlstest.NewCA("foreign", tlstest.P256)
	mutual := &tls.Config{
		Certificates: []tls.Certificate{ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}).TLS()},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(),
	}
	p := peertest.Start(t, func(conn net.Conn) {
		if peertest.Answer(conn, "S") {
			tls.Server(conn, mutual).Handshake()
		}
	})
	client := issueClient(foreign)
	r := newRotation(t, secret(ca, client), nil, p.Addr)
	var failure *Error
	if err := r.Probe(t.Context(), nil); !errors.As(err, &failure) || failure.Kind != ReasonClientCertRejected {
		t.Errorf("Probe = %v", err)
	}
}

func TestProbeIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := peertest.Start(t, func(conn net.Conn) {
		if peertest.Answer(conn, "") { // the request has come, and gets no answer
			cancel()
		}
	})
	d, err := NewDialer(Config{Addrs: []string{p.Addr}, ServerName: testName, CAPEM: string(tlstest.NewCA("probe", tlstest.P256).PEM())})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Probe(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Probe = %v", err)
	}
}
