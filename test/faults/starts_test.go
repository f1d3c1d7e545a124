//go:build faults

package faults

import (
	"net"
	"os"
	"strings"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// wrong is a setting with which pgorigin does not start. The cure is the same setting with another value.
func wrong(name string, cause []string, first, setting, good string) fault {
	return fault{
		name: name, cause: cause, first: first,
		make: func(s *scene) {
			s.starting(78)
			variable, _, _ := strings.Cut(setting, "=")
			s.env = []string{setting}
			s.cure = func() {
				s.env = nil
				if good != "" {
					s.env = []string{variable + "=" + good}
				}
			}
		},
	}
}

func (s *scene) starting(exit int) {
	s.starts, s.exit, s.noPeers, s.upstream = true, exit, true, shared.postgres.Addr
}

// wrongFile is a setting that names a file of a kind.
func wrongFile(name string, cause []string, variable string, text func() []byte, good func(*scene) string) fault {
	return fault{
		name: name, cause: append(cause, variable), first: variable,
		make: func(s *scene) {
			s.starting(78)
			s.env = []string{variable + "=" + writeFile(s.T, "file", text())}
			s.cure = func() { s.env = []string{variable + "=" + good(s)} }
		},
	}
}

func startFaults() []fault {
	caFile := func(*scene) string { return shared.lab.CAFile }
	key := func() []byte { return shared.lab.ServerCertificate(tlstest.P256).KeyPEM() }
	goodCRL := func(s *scene) string {
		return writeFile(s.T, "good.crl", tlstest.CRLPEM(shared.lab.CA.CRL(tlstest.CRL{})))
	}
	return append([]fault{
		wrong("a variable is misspelt",
			[]string{`PGORIGIN_TLS_CA_FIEL`}, `PGORIGIN_TLS_CA_FILE`, "PGORIGIN_TLS_CA_FIEL=x", ""),
		wrong("a duration has no unit",
			[]string{`PGORIGIN_DIAL_TIMEOUT`, `\b10\b`}, `10s|unit`, "PGORIGIN_DIAL_TIMEOUT=10", "10s"),
		wrong("a duration is a word",
			[]string{`PGORIGIN_LOGIN_TIMEOUT`, `soon`}, `10s|30s|unit|1m`, "PGORIGIN_LOGIN_TIMEOUT=soon", "30s"),
		wrong("a number is a word",
			[]string{`PGORIGIN_MAX_SESSIONS`, `many`}, `number`, "PGORIGIN_MAX_SESSIONS=many", "10"),
		wrong("the upstream has two ports",
			[]string{`PGORIGIN_UPSTREAM_ADDR`, `5432:6432`}, `host:port`, "PGORIGIN_UPSTREAM_ADDR=db:5432:6432", ""),
		wrong("the upstream is a URL with a password",
			[]string{`PGORIGIN_UPSTREAM_ADDR`}, `host:port`, "PGORIGIN_UPSTREAM_ADDR=postgres://db.example.com:5432/app", ""),
		wrong("verification is switched off",
			[]string{`PGORIGIN_TLS_VERIFY`, `none`}, `PGORIGIN_TLS_CA_FILE`, "PGORIGIN_TLS_VERIFY=none", "verify-full"),
		wrong("the TLS version is too old",
			[]string{`PGORIGIN_TLS_MIN_VERSION`, `1\.1`}, `1\.2`, "PGORIGIN_TLS_MIN_VERSION=1.1", "1.2"),
		wrong("a pin is no pin", []string{`PGORIGIN_TLS_PINS`, `hunter2`}, `sha256`, "PGORIGIN_TLS_PINS=hunter2", ""),
		wrong("an unknown method is demanded",
			[]string{`PGORIGIN_AUTH_REQUIRE`, `kerberos`}, `scram-sha-256`, "PGORIGIN_AUTH_REQUIRE=kerberos", "scram-sha-256"),
		wrong("clients of other machines may connect, by accident",
			[]string{`PGORIGIN_LISTEN_ADDR`, `0\.0\.0\.0`}, `PGORIGIN_LISTEN_ALLOW_NON_LOOPBACK`, "PGORIGIN_LISTEN_ADDR=0.0.0.0:26432", ""),
		wrong("the CA file does not exist",
			[]string{`PGORIGIN_TLS_CA_FILE`, `/nowhere/ca\.crt`, `no such file`}, `PGORIGIN_TLS_CA_FILE`, "PGORIGIN_TLS_CA_FILE=/nowhere/ca.crt", ""),
		wrong("the certificate of the client has no key file",
			[]string{`PGORIGIN_TLS_CERT_FILE`}, `PGORIGIN_TLS_KEY_FILE`, "PGORIGIN_TLS_CERT_FILE=/nowhere/client.crt", ""),
		wrongFile("the CA file is a key", []string{`key`, `certificate`}, "PGORIGIN_TLS_CA_FILE", key, caFile),
		wrongFile("the CA file is empty",
			[]string{`no certificate|empty`}, "PGORIGIN_TLS_CA_FILE", func() []byte { return nil }, caFile),
		wrongFile("the CA file is cut off",
			[]string{`certificate|PEM`}, "PGORIGIN_TLS_CA_FILE", func() []byte { return shared.lab.CA.PEM()[:200] }, caFile),
		wrongFile("the revocation list is a certificate",
			[]string{`CRL|revocation list`, `certificate`}, "PGORIGIN_TLS_CRL_FILE", func() []byte { return shared.lab.CA.PEM() }, goodCRL),
	}, placeFaults()...)
}

// placeFaults are settings that do not fit this machine, or one another.
func placeFaults() []fault {
	return []fault{
		{
			name: "the key is of another certificate", cause: []string{`PGORIGIN_TLS_KEY_FILE`, `client\.key`},
			first: `PGORIGIN_TLS_(KEY|CERT)_FILE`,
			make: func(s *scene) {
				s.starting(78)
				s.own(shared.lab.CA.Issue(clientLeaf()))
				other := writeFile(s.T, "client.key", shared.lab.CA.Issue(clientLeaf()).KeyPEM())
				s.env = append(s.env, "PGORIGIN_TLS_KEY_FILE="+other)
				s.cure = func() { s.env = nil }
			},
		},
		{
			name: "the port of clients is taken", cause: []string{`in use`, `127\.0\.0\.1:`},
			first: `PGORIGIN_LISTEN_ADDR|another port|other port`,
			make: func(s *scene) {
				s.starting(1)
				s.env = []string{"PGORIGIN_LISTEN_ADDR=" + s.gate(silent).Addr}
				s.cure = func() { s.env = nil }
			},
		},
		{
			name: "the port of the health endpoints is taken", cause: []string{`in use`, `127\.0\.0\.1:`},
			first: `PGORIGIN_HEALTH_ADDR|another port|other port`,
			make: func(s *scene) {
				s.starting(1)
				s.env = []string{"PGORIGIN_HEALTH_ADDR=" + s.gate(silent).Addr}
				s.cure = func() { s.env = nil }
			},
		},
		{
			name:  "the address of clients is of another machine",
			cause: []string{`203\.0\.113\.7`, `not (an address )?of this machine|cannot assign|no address`}, first: `PGORIGIN_LISTEN_ADDR`,
			make: func(s *scene) {
				s.starting(1)
				s.env = []string{"PGORIGIN_LISTEN_ADDR=203.0.113.7:26432", "PGORIGIN_LISTEN_ALLOW_NON_LOOPBACK=true"}
				s.cure = func() { s.env = nil }
			},
		},
		{
			name: "the port of clients needs a privilege", cause: []string{`\b432\b`, `permission|privilege`},
			first: `ip_unprivileged_port_start|CAP_NET_BIND_SERVICE|1024|another port`,
			make: func(s *scene) {
				if data, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err != nil || strings.TrimSpace(string(data)) != "1024" || os.Getuid() != 0 {
					s.Skip("every port is free for everybody here")
				}
				s.starting(1)
				s.prefix = []string{"setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-net_bind_service", "--inh-caps=-all"}
				s.env = []string{"PGORIGIN_LISTEN_ADDR=127.0.0.1:432"}
				s.cure = func() { s.env, s.prefix = nil, nil }
			},
		},
		{
			name:  "a bridge listens beyond this machine",
			cause: []string{`bridge`, `PGORIGIN_LISTEN_ADDR|0\.0\.0\.0|loopback`}, first: `loopback|PGORIGIN_AUTH_PASSWORD_FILE|127\.0\.0\.1`,
			make: func(s *scene) {
				s.starting(78)
				_, port, _ := net.SplitHostPort(s.nobody())
				s.env = []string{
					"PGORIGIN_AUTH_CHANNEL_BINDING=bridge", "PGORIGIN_LISTEN_ADDR=0.0.0.0:" + port, "PGORIGIN_LISTEN_ALLOW_NON_LOOPBACK=true",
				}
				s.cure = func() { s.env = []string{"PGORIGIN_AUTH_CHANNEL_BINDING=bridge"} }
			},
		},
		{
			name:  "a bound login is demanded without a bridge",
			cause: []string{`scram-sha-256-plus`, `PGORIGIN_AUTH_CHANNEL_BINDING`}, first: `bridge`,
			make: func(s *scene) {
				s.starting(78)
				s.env = []string{"PGORIGIN_AUTH_REQUIRE=scram-sha-256-plus"}
				s.cure = func() { s.env = append(s.env, "PGORIGIN_AUTH_CHANNEL_BINDING=bridge") }
			},
		},
		{
			name: "the password file does not exist", cause: []string{`PGORIGIN_AUTH_PASSWORD_FILE`, `no such file`},
			first: `PGORIGIN_AUTH_PASSWORD_FILE`,
			make: func(s *scene) {
				s.starting(78)
				s.env = []string{"PGORIGIN_AUTH_CHANNEL_BINDING=bridge", "PGORIGIN_AUTH_PASSWORD_FILE=/nowhere/password"}
				good := writeFile(s.T, "password", []byte(servers.Password+"\n"))
				s.cure = func() { s.env = append(s.env, "PGORIGIN_AUTH_PASSWORD_FILE="+good) }
			},
		},
	}
}
