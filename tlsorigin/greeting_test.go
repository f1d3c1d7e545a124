package tlsorigin

import (
	"strings"
	"testing"
)

// TestProtocolOf has what real servers send first, or in answer to SSLRequest or a ClientHello. In direct TLS
// five bytes of it are seen.
func TestProtocolOf(t *testing.T) {
	for _, row := range []struct{ name, greeting, want string }{
		{"OpenSSH 9", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "SSH"},
		{"Node.js 18", "HTTP/1.1 400 Bad Request\r\n", "HTTP"},
		{"Python's http.server", "<!DOCTYPE HTML>", "HTTP"},
		{"a web server without a header", "<html>\r\n<head>", "HTTP"},
		{"MySQL 8", "\x4a\x00\x00\x00\x0a8.0.36\x00", "MySQL"},
		{"MySQL whose packet begins with S", "S\x00\x00\x00\x0a8.0.36-long\x00", "MySQL"},
		{"MariaDB that refuses this host", "\x44\x00\x00\x00\xff\x6a\x04Host", "MySQL"},
		{"Postfix", "220 mail.example ESMTP Postfix\r\n", "mail or FTP"},
		{"vsftpd", "220-welcome\r\n", "mail or FTP"},
		{"Exim that has no room", "421 too many connections\r\n", "mail or FTP"},
		{"Dovecot's POP3", "+OK Dovecot ready.\r\n", "POP3"},
		{"Dovecot's IMAP", "* OK [CAPABILITY IMAP4rev1]", "IMAP"},
		{"Redis", "-ERR unknown command\r\n", "Redis"},
		{"Redis in protected mode", "-DENIED Redis is running", "Redis"},
		{"memcached", "ERROR\r\n", "memcached"},
		{"RabbitMQ", "AMQP\x00\x00\x09\x01", "AMQP"},
		{"VNC", "RFB 003.008\n", "VNC"},

		{"S", "S", ""},
		{"S and an injected AuthenticationOk", "SR\x00\x00\x00\x08\x00\x00\x00\x00", ""},
		{"S and an injected ServerHello", "S\x16\x03\x03\x00\x2a", ""},
		{"N", "N", ""},
		{"ErrorResponse", "E\x00\x00\x00\x60SFATAL\x00", ""},
		{"ErrorResponse of 255 bytes", "E\x00\x00\x00\xffSFATAL\x00", ""},
		{"error of protocol 2", "Ecould not fork new process", ""},
		{"TLS", "\x15\x03\x01\x00\x02\x02\x46", ""},
		{"control characters", "\x1b[2J\x00", ""},
		{"nothing", "", ""},
	} {
		for _, length := range []int{len(row.greeting), 5} {
			seen := []byte(row.greeting[:min(length, len(row.greeting))])
			if got := protocolOf(seen); got == "" != (row.want == "") || !strings.Contains(got, row.want) {
				t.Errorf("%s, %d bytes: %q, want %q", row.name, len(seen), got, row.want)
			}
		}
	}
}

// TestAnswersToSSLRequest: one byte is read, and what has come after it is only looked at.
func TestAnswersToSSLRequest(t *testing.T) {
	for _, row := range []struct {
		greeting string
		reason   Reason // empty: TLS follows
		which    Case
	}{
		{"S", "", ""},
		{"SSH-2.0-x", ReasonNotPostgres, ""},
		{"SS", ReasonTLSInjection, ""},
		{"SSH", ReasonTLSInjection, ""},
		{"S\x15\x03\x03", ReasonTLSInjection, ""},
		{"N", ReasonTLSRefused, ""},
		{"Nothing", ReasonTLSRefused, ""},
		{"E", ReasonTLSProtocol, CaseErrorAnswer},
		{"E\x00\x00\x00\x0aS\x00", ReasonTLSProtocol, CaseErrorAnswer},
		{"ERROR\r\n", ReasonNotPostgres, ""},
		{"E\x00\x00\x00\xff\x6a\x04Host", ReasonNotPostgres, ""}, // of MariaDB
		{"\x15\x03\x01\x00\x02\x02\x46", ReasonNotPostgres, CaseExpectsTLS},
		{"\x16\x03\x03", ReasonNotPostgres, CaseExpectsTLS},
		{"\x15", ReasonNotPostgres, ""},
		{"\x00", ReasonNotPostgres, ""},
	} {
		found := answerProblem([]byte(row.greeting))
		if found == nil {
			found = &problem{}
		}
		if found.reason != row.reason || found.which != row.which {
			t.Errorf("%q: %s %s, want %s %s", row.greeting, found.reason, found.which, row.reason, row.which)
		}
		checkSafe(t, found.text)
	}
}
