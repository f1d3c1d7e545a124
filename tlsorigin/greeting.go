package tlsorigin

import "strings"

// greetingSize is how much of an answer to SSLRequest is looked at.
const greetingSize = 16

// protocolOf says what a peer is that begins with greeting, if that is no Postgres server. It returns "" if
// it does not know. Nothing is believed: the text names what the peer looks like, and the connection ends in
// any case. 5 bytes are enough to know each of them.
func protocolOf(greeting []byte) string {
	g := string(greeting)
	for _, p := range []struct{ begins, name string }{
		{"SSH-", "an SSH server"},
		{"HTTP/", "a web server (HTTP)"},
		{"<html", "a web server (HTTP)"},
		{"<!DOC", "a web server (HTTP)"},
		{"-ERR ", "Redis"},
		{"-DENI", "Redis"}, // -DENIED
		{"-NOAU", "Redis"}, // -NOAUTH
		{"ERROR", "memcached"},
		{"+OK", "a mail server (POP3)"},
		{"* OK", "a mail server (IMAP)"},
		{"* BYE", "a mail server (IMAP)"},
		{"AMQP", "a message broker (AMQP)"},
		{"RFB 0", "a VNC server"},
	} {
		if strings.HasPrefix(g, p.begins) {
			return p.name
		}
	}
	switch {
	case isReplyCode(g):
		return "a mail or FTP server"
	case isMySQL(g):
		return "MySQL or MariaDB"
	}
	return ""
}

// isMySQL reports whether a greeting is a packet of MySQL with the number 0, which has protocol version 10 or
// an error. An ErrorResponse of Postgres of 255 bytes begins like that, too. Its first field is S.
func isMySQL(g string) bool {
	return len(g) >= 5 && g[2:4] == "\x00\x00" && (g[4] == 10 || g[4] == 0xff) &&
		(g[0] != 'E' || len(g) > 5 && g[5] != 'S')
}

// isReplyCode reports whether a greeting begins like that of SMTP or FTP: "220 " or "220-".
func isReplyCode(g string) bool {
	return len(g) >= 4 && '2' <= g[0] && g[0] <= '5' && '0' <= g[1] && g[1] <= '9' &&
		'0' <= g[2] && g[2] <= '9' && (g[3] == ' ' || g[3] == '-')
}

// isTLSRecord reports whether a greeting begins with a record of TLS: an alert or a handshake.
func isTLSRecord(greeting []byte) bool {
	return len(greeting) >= 2 && (greeting[0] == recordTypeAlert || greeting[0] == recordTypeHandshake) &&
		greeting[1] == 3
}

// notPostgres is the problem of a peer that looks like name.
func notPostgres(name string) *problem {
	return because(ReasonNotPostgres, "is no Postgres server: it answers like %s", name)
}

// answerProblem says what is wrong with a greeting, which is the answer to SSLRequest and what has come after
// it already. An 'E' begins an ErrorResponse. It comes from a peer that has proved nothing, so it is not read
// (CVE-2024-10977).
func answerProblem(greeting []byte) *problem {
	if name := protocolOf(greeting); name != "" {
		return notPostgres(name)
	}
	if isTLSRecord(greeting) {
		return because(ReasonNotPostgres,
			"answered SSLRequest with TLS: this port expects TLS from the first byte").as(CaseExpectsTLS)
	}
	switch {
	case greeting[0] == 'S' && len(greeting) == 1:
		return nil
	case greeting[0] == 'S':
		// An attacker in the path may send bytes that are not TLS after 'S'. A client could take them for
		// data from inside TLS (CVE-2021-23222). Bytes that have arrived already get their own reason. Later
		// ones break the handshake, because nothing between here and TLS has a buffer.
		return because(ReasonTLSInjection,
			"sent plaintext after its answer to SSLRequest; somebody on the way may have injected it")
	case greeting[0] == 'N':
		return because(ReasonTLSRefused, "refuses TLS (answered SSLRequest with N)")
	case greeting[0] == 'E':
		return because(ReasonTLSProtocol, "answered SSLRequest with an error, as a Postgres server does "+
			"if it cannot serve another connection").as(CaseErrorAnswer)
	}
	return because(ReasonNotPostgres,
		"answered SSLRequest with byte 0x%02x instead of S or N: this is probably no Postgres server",
		greeting[0])
}
