//go:build faults

package faults

import (
	"crypto/tls"
	"io"
	"net"
)

// strange is a server of another kind. Its first advice is always another address.
func strange(name, kind string, serve handler) fault {
	return fault{
		name: name, reason: "not_postgres", lax: `invalid response to SSL negotiation|bad sslreq answer`,
		cause: []string{`127\.0\.0\.1`, kind}, first: `PGORIGIN_UPSTREAM_ADDR`,
		make: func(s *scene) {
			s.upstream = s.gate(serve).Addr
			s.set = map[string]string{"PGORIGIN_UPSTREAM_ADDR": shared.postgres.Addr}
		},
	}
}

const (
	mysqlGreeting = "\x4a\x00\x00\x00\x0a8.0.36\x00\x0b\x00\x00\x00abcdefgh\x00\xff\xf7\xff\x02\x00\xff\xc7\x15" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00ijklmnopqrst\x00caching_sha2_password\x00"
	httpRefusal = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request"
)

func strangeFaults() []fault {
	direct := func(f fault) fault {
		build := f.make
		f.make = func(s *scene) {
			build(s)
			s.env = append(s.env, "PGORIGIN_TLS_NEGOTIATION=direct", "PGORIGIN_TLS_CA_FILE="+shared.lab.CAFile)
			s.noPeers = true
			s.set["PGORIGIN_UPSTREAM_ADDR"] = s.direct17()
		}
		return f
	}
	return []fault{
		strange("an SSH server", `\bSSH\b`, greets("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")),
		shown(strange("a web server", `\bHTTP\b`, answers(httpRefusal))),
		strange("MySQL", `MySQL`, greets(mysqlGreeting)),
		strange("a mail server", `SMTP|FTP|mail`, greets("220 mail.example.com ESMTP Postfix\r\n")),
		strange("an FTP server", `FTP`, greets("220 (vsFTPd 3.0.3)\r\n")),
		strange("Redis", `Redis`, answers("-ERR unknown command\r\n")),
		strange("an IMAP server", `IMAP`, greets("* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n")),
		strange("a POP3 server", `POP`, greets("+OK Dovecot ready.\r\n")),
		{
			name: "a port that takes TLS only, and closes", reason: "upstream_gone",
			cause: []string{`127\.0\.0\.1`, `closed`}, first: `PGORIGIN_UPSTREAM_ADDR`,
			make: func(s *scene) {
				s.upstream = s.gate(httpsServer()).Addr
				s.set = map[string]string{"PGORIGIN_UPSTREAM_ADDR": shared.postgres.Addr}
			},
		},
		direct(strange("an SSH server, by direct TLS", `\bSSH\b`, greets("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"))),
		direct(strange("a web server, by direct TLS", `\bHTTP\b`, answers(httpRefusal))),
		{
			name: "a server with its own greeting", reason: "not_postgres",
			cause: []string{`127\.0\.0\.1`, `\?|hello|0x|SSLRequest`}, first: `PGORIGIN_UPSTREAM_ADDR`,
			make: func(s *scene) {
				s.upstream = s.gate(greets("?hello, who is there\r\n")).Addr
				s.set = map[string]string{"PGORIGIN_UPSTREAM_ADDR": shared.postgres.Addr}
			},
		},
		{
			name: "no Postgres inside TLS", reason: "upstream_protocol",
			cause: []string{`127\.0\.0\.1|upstream|server`, `message|protocol|login|HTTP`}, first: `PGORIGIN_UPSTREAM_ADDR`,
			make: func(s *scene) {
				s.upstream = s.gate(insideTLS(httpRefusal, "")).Addr
				s.set = map[string]string{"PGORIGIN_UPSTREAM_ADDR": shared.postgres.Addr}
			},
		},
		{
			name: "somebody injects plaintext behind the answer", reason: "tls_injection",
			cause: []string{`127\.0\.0\.1`, `bytes behind|bytes after|plaintext`}, first: `PGORIGIN_UPSTREAM_ADDR.*|inject`,
			peers:     `man-in-the-middle|inject`,
			simulated: "The injector goes away.",
			make: func(s *scene) {
				s.brief = true
				g := s.gate(answersAndHolds("SE\x00\x00\x00\x05x"))
				s.upstream = g.Addr
				s.cure = func() { g.become(relays(shared.postgres.Addr)) }
			},
		},
		{
			name: "an overloaded server answers SSLRequest with an error", reason: "tls_protocol",
			cause: []string{`127\.0\.0\.1`, `answered SSLRequest with an error|ErrorResponse`},
			first: `connect again|load|\blog of`,
			make: func(s *scene) {
				g := s.gate(answers("E\x00\x00\x00\x41SFATAL\x00C53300\x00Mcould not fork new process for connection\x00\x00"))
				s.upstream = g.Addr
				s.cure = func() { g.become(relays(shared.postgres.Addr)) }
			},
		},
	}
}

// httpsServer takes TLS from the first byte, and answers anything else with an alert.
func httpsServer() handler {
	return func(conn *net.TCPConn) {
		inTLS(goodTLS(), func(client *tls.Conn) { _, _ = io.Copy(io.Discard, client) })(conn)
	}
}

// shown is f, with what all programs say on the page.
func shown(f fault) fault {
	f.shown = true
	return f
}
