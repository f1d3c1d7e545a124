//go:build hostile

package hostile

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgorigin/pgorigin/test/servers"
)

// attacker is a peer with a valid certificate of the right name that is not the server that was meant.
type attacker struct {
	name  string // in the page
	wants string // what the attacker is after
	play  func(*caller)

	asks string // the method it asks for: scram, cleartext, md5, none, gss, oauth, or nothing for a mixture
	// bound says that only channel binding can tell it from the server; lies, that no proof is right.
	bound, lies bool
	short       bool // the client itself would compute for minutes, so it is cut off
	clients     bool // under strip and pass it is the client's own matter to notice
}

// attackers are all of them; real and other are servers that know the account.
func attackers(real, other string) []attacker {
	offer := []string{"SCRAM-SHA-256"}
	both := []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}
	lying := func(s scram) func(*caller) {
		return func(c *caller) { fakeScram(c, both, s) }
	}
	return []attacker{
		{name: "honest server", wants: "nothing; it knows the password", asks: "scram", play: lying(scram{password: servers.Password})},
		{
			name: "relays everything", wants: "to sit in the middle of a session", asks: "scram", bound: true,
			play: func(c *caller) { relay(c, real, nil) },
		},
		{
			name: "relays to another server", wants: "to sell one server as another", asks: "scram", bound: true,
			play: func(c *caller) { relay(c, other, nil) },
		},
		{
			name: "strips -PLUS from the offer", wants: "to sit in the middle of a session", asks: "scram", bound: true,
			play: func(c *caller) { relay(c, real, askSASL(offer...)) },
		},
		{
			name: "asks for a cleartext password", wants: "the password, and the session behind it", asks: "cleartext",
			play: func(c *caller) { steal(c, real, askCleartext()) },
		},
		{
			name: "asks for an MD5 password", wants: "the hash, and the password by guessing", asks: "md5",
			play: func(c *caller) { steal(c, real, askMD5()) },
		},
		{
			name: "asks for nothing", wants: "to be believed without a proof", asks: "none",
			play: func(c *caller) { welcome(c) },
		},
		{
			name: "does not know the password", wants: "to be believed with a wrong signature", lies: true, asks: "scram",
			play: lying(scram{password: "guessed"}),
		},
		{
			name: "signs nothing", wants: "to be believed with an empty signature", lies: true, asks: "scram",
			play: lying(scram{password: servers.Password, signature: func([]byte) []byte { return nil }}),
		},
		{
			name: "leaves the final out", wants: "to be believed for a proof that it could not check", lies: true, asks: "scram",
			play: func(c *caller) { noFinal(c, both) },
		},
		{
			name: "says Ok instead of a challenge", wants: "to be believed without a proof", lies: true, asks: "scram",
			play: func(c *caller) { c.send(askSASL(both...)); c.await(patience); welcome(c) },
		},
		{
			name: "says that the proof was wrong, then Ok", wants: "to be believed nevertheless", lies: true, asks: "scram",
			play: func(c *caller) { errorFinal(c, both) },
		},
		{
			name: "reuses the client's nonce", wants: "a proof over a nonce of its own choice", lies: true, clients: true, asks: "scram",
			play: lying(scram{password: servers.Password, nonce: func(client string) string { return client }}),
		},
		{
			name: "uses a foreign nonce", wants: "a proof over a nonce of its own choice", lies: true, clients: true, asks: "scram",
			play: lying(scram{password: servers.Password, nonce: func(string) string { return "foreign-nonce-0123456789" }}),
		},
		{
			name: "cuts the client's nonce short", wants: "a proof over a nonce of its own choice", lies: true, clients: true, asks: "scram",
			play: lying(scram{password: servers.Password, nonce: func(client string) string { return client[:len(client)-1] }}),
		},
		{
			name: "wants 0 iterations", wants: "a proof that is cheap to guess from", lies: true, clients: true, asks: "scram",
			play: lying(scram{password: servers.Password, iterations: "0"}),
		},
		{
			name: "wants 2,147,483,647 iterations", wants: "the processor", lies: true, asks: "scram", short: true,
			play: lying(scram{password: servers.Password, iterations: "2147483647"}),
		},
		{
			name: "wants 4,294,967,297 iterations", wants: "the processor, or an overflow", lies: true, asks: "scram", short: true,
			play: lying(scram{password: servers.Password, iterations: "4294967297"}),
		},
		{
			name: "asks for a cleartext password after SCRAM", wants: "the password of a client that has proved nothing yet", lies: true,
			play: func(c *caller) { scramThenCleartext(c, both) },
		},
		{
			name: "asks for GSS, then SASL", wants: "the password that is meant for the bridge", lies: true,
			play: func(c *caller) { gssThenScram(c, both) },
		},
		{
			name: "offers OAUTHBEARER alone", wants: "a token", asks: "oauth",
			play: func(c *caller) { c.send(askSASL("OAUTHBEARER")); c.await(time.Second); welcome(c) },
		},
		{
			name: "offers an unknown mechanism alone", wants: "anything that the client says to it", lies: true,
			play: func(c *caller) { c.send(askSASL("X-TELL-ME")); c.await(time.Second); welcome(c) },
		},
	}
}

// welcome ends a login and serves queries.
func welcome(c *caller) {
	c.send(authOk(), settings(), keyData(), ready())
	c.serveQueries()
}

// fakeScram is a login by SCRAM with a server that may lie.
func fakeScram(c *caller, offer []string, s scram) {
	c.send(askSASL(offer...))
	m := c.await(patience)
	if m.kind != 'p' {
		return
	}
	first := saslInitial(m.body)
	c.send(saslFirst(s.challenge(first)))
	if m = c.await(patience); m.kind != 'p' {
		return
	}
	c.send(saslFinal(s.final(string(m.body))), authOk(), settings(), keyData(), ready())
	c.serveQueries()
}

func noFinal(c *caller, offer []string) {
	s := scram{password: servers.Password}
	c.send(askSASL(offer...))
	first := saslInitial(c.await(patience).body)
	c.send(saslFirst(s.challenge(first)))
	c.await(patience)
	welcome(c)
}

func errorFinal(c *caller, offer []string) {
	s := scram{password: servers.Password}
	c.send(askSASL(offer...))
	first := saslInitial(c.await(patience).body)
	c.send(saslFirst(s.challenge(first)))
	c.await(patience)
	c.send(saslFinal("e=invalid-proof"))
	welcome(c)
}

func scramThenCleartext(c *caller, offer []string) {
	s := scram{password: servers.Password}
	c.send(askSASL(offer...))
	first := saslInitial(c.await(patience).body)
	c.send(saslFirst(s.challenge(first)))
	c.await(patience)
	c.send(askCleartext())
	c.await(time.Second)
	welcome(c)
}

func gssThenScram(c *caller, offer []string) {
	c.send(askGSS())
	c.await(300 * time.Millisecond)
	fakeScram(c, offer, scram{password: servers.Password})
}

// steal asks for a password, logs in with what comes, and sells that session to the client.
func steal(c *caller, real string, ask []byte) {
	c.send(ask)
	m := c.await(patience)
	if m.kind != 'p' {
		return
	}
	password := strings.TrimSuffix(string(m.body), "\x00")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgconn.Connect(ctx, servers.DSN(real, "password="+password, "sslmode=require"))
	if err != nil {
		c.send(fatal())
		return
	}
	stolen, err := conn.Hijack()
	if err != nil {
		return
	}
	defer stolen.Conn.Close()
	c.send(authOk(), settings(), keyData(), ready())
	go func() { _, _ = io.Copy(c.Conn, stolen.Conn) }()
	for {
		m := c.await(patience)
		if m.kind == 0 {
			return
		}
		_, _ = stolen.Conn.Write(frame(m.kind, string(m.body)))
	}
}

// relay ends TLS here and carries everything to the server. An offer replaces the server's own.
func relay(c *caller, real string, offer []byte) {
	raw, err := net.Dial("tcp", real)
	if err != nil {
		return
	}
	defer raw.Close()
	_, _ = raw.Write([]byte("\x00\x00\x00\x08\x04\xd2\x16\x2f"))
	if _, err := io.ReadFull(raw, make([]byte, 1)); err != nil {
		return
	}
	server := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	_, _ = server.Write(c.startup)
	if offer != nil {
		var head [5]byte
		if _, err := io.ReadFull(server, head[:]); err != nil {
			return
		}
		_, _ = io.CopyN(io.Discard, server, int64(binary.BigEndian.Uint32(head[1:]))-4)
		c.send(offer)
	}
	go func() {
		_, _ = io.Copy(c.Conn, server)
		_ = c.Conn.(*tls.Conn).NetConn().(*net.TCPConn).CloseWrite()
	}()
	for {
		m := c.await(patience)
		if m.kind == 0 {
			return
		}
		_, _ = server.Write(frame(m.kind, string(m.body)))
	}
}
