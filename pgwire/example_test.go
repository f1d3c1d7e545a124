package pgwire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/pgwire/pgclient"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// A server relays a client to an upstream. In pgorigin, Dial returns a verified connection of package tlsorigin;
// here the upstream is a script that speaks plaintext.
func ExampleServer() {
	upstream := listen()
	go playUpstream(upstream)

	server := &pgwire.Server{
		Dial: func(ctx context.Context, _ net.Addr) (pgwire.Upstream, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", upstream.Addr().String())
			if err != nil {
				return nil, err
			}
			return pgtest.NewUpstream(conn), nil
		},
		Trace: &pgwire.Trace{
			Started: func(i pgwire.SessionInfo) { fmt.Printf("%s asks for %s\n", i.User, i.Database) },
			Ended: func(_ pgwire.SessionInfo, r pgwire.SessionResult) {
				fmt.Printf("ended with %s in the phase %v\n", r.Reason, r.Phase)
			},
		},
	}
	clients := listen()
	served := make(chan error)
	go func() { served <- server.Serve(clients) }()

	conn, err := net.Dial("tcp", clients.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	client, err := pgclient.Greet(pgtest.NewUpstream(conn), "app", "shop", "example")
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Login(context.Background(), "", 0); err != nil {
		log.Fatal(err)
	}
	fmt.Println("the server is", client.ServerVersion())
	client.Terminate()
	_, _ = io.Copy(io.Discard, conn) // until the session has ended
	_ = conn.Close()

	// Shutdown lets sessions finish. Then Serve returns.
	if err := server.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(errors.Is(<-served, pgwire.ErrServerClosed))
	// Output:
	// app asks for shop
	// the server is 15.18
	// ended with ok in the phase relay
	// true
}

func ExampleParseAuthMethods() {
	methods, err := pgwire.ParseAuthMethods("!password,!md5")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(methods.Allows("password"), methods.Allows("SCRAM-SHA-256"))
	_, err = pgwire.ParseAuthMethods("scram")
	fmt.Println(err)
	// Output:
	// false true
	// "scram" is not an authentication method: expected password, md5, gss, sspi, scram-sha-256, none, oauth, scram-sha-256-plus
}

func listen() net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	return ln
}

// playUpstream lets one client in, and waits until it says goodbye.
func playUpstream(ln net.Listener) {
	conn, err := ln.Accept()
	if err != nil {
		log.Print(err)
		return
	}
	defer conn.Close()
	startup := pgtest.Startup("user", "app", "database", "shop", "application_name", "example")
	if _, err := io.ReadFull(conn, startup); err != nil {
		log.Print(err)
		return
	}
	_, _ = conn.Write(pgtest.Login("pid4key4"))
	_, _ = io.ReadFull(conn, pgtest.Terminate())
}
