package config

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// badValue is one setting that is wrong, without prefix, and a part of the only problem that it makes.
type badValue struct{ setting, want string }

func (v badValue) check(t *testing.T) {
	t.Helper()
	t.Run(v.setting, func(t *testing.T) {
		_, _, problems := Load([]string{upstreamSetting, Prefix + v.setting}) // the later of two entries counts
		if len(problems) != 1 {
			t.Fatalf("%d problems: %v", len(problems), problems)
		}
		got, name := problems[0].String(), strings.SplitN(v.setting, "=", 2)[0]
		if !strings.HasPrefix(got, Prefix+name+": saw ") || !strings.Contains(got, v.want) {
			t.Errorf("problem is\n%s\nwant %q in it", got, v.want)
		}
		if strings.Contains(got, "s3cret") || strings.ContainsAny(got, "\n\x1b") {
			t.Errorf("problem shows too much: %q", got)
		}
	})
}

// TestBadValues: every variable refuses something, save those that take any text. What a file holds, and
// whether a name can be verified, is up to tlsorigin.
func TestBadValues(t *testing.T) {
	rows := slices.Concat(badUpstreams(), badListeners(), badWords(), badAdminAddresses(t.TempDir()), badProbeSettings())
	refuses := map[string]bool{}
	for _, row := range rows {
		row.check(t)
		word, _, _ := strings.Cut(row.setting, "=")
		refuses[word] = true
	}
	anyText := []string{
		"LISTEN_TLS_CA_FILE", "LISTEN_TLS_CERT_FILE", "LISTEN_TLS_KEY_FILE",
		"UPSTREAM_URL", // see TestBadURLs
		"TLS_SERVER_NAME", "TLS_CA_FILE", "TLS_CA_PEM", "TLS_CRL_FILE", "TLS_CERT_FILE", "TLS_KEY_FILE",
	}
	for _, v := range Variables() {
		if refuses[v.Word] == slices.Contains(anyText, v.Word) {
			t.Errorf("%s needs a value that is refused, or a place among those that take any text", v.Word)
		}
	}
}

func badUpstreams() []badValue {
	return []badValue{
		{"UPSTREAM_ADDR=db:0", `saw "db:0": expected host:port, for example pgbouncer.prod.svc:6432; a port is a number from 1 to 65535`},
		{"UPSTREAM_ADDR=db:65536", "from 1 to 65535"},
		{"UPSTREAM_ADDR=db:+5", "from 1 to 65535"},
		{"UPSTREAM_ADDR=db:https", "from 1 to 65535"},
		{"UPSTREAM_ADDR=db:", "no port after the colon"},
		{"UPSTREAM_ADDR=:6432", "the host is missing"},
		{"UPSTREAM_ADDR=6432", "looks like a port alone"},
		{"UPSTREAM_ADDR=::1", "put an IPv6 address in brackets: [::1]"},
		{"UPSTREAM_ADDR=::1:x", "put an IPv6 address in brackets"},
		{"UPSTREAM_ADDR=[::1", "brackets are for IPv6"},
		{"UPSTREAM_ADDR=[::1]6432", "may follow the bracket"},
		{"UPSTREAM_ADDR=[::1]:", "may follow the bracket"},
		{"UPSTREAM_ADDR=[db]:6432", "brackets are for IPv6"},
		{"UPSTREAM_ADDR=[10.0.0.1]:6432", "brackets are for IPv6"},
		{"UPSTREAM_ADDR=10.0.0.256", "is no IP address"},
		{"UPSTREAM_ADDR=a,,b", `entry "": expected host:port, for example pgbouncer.prod.svc:6432; there is an empty entry`},
		{"UPSTREAM_ADDR=a,b:0", `entry "b:0"`},
		{"UPSTREAM_ADDR=post gres", "is no host name"},
		{"UPSTREAM_ADDR=postgres://app:s3cret@db:5432/app", `saw "...@db:5432/app": expected host:port, for example pgbouncer.prod.svc:6432; of a URL keep`},
		{"UPSTREAM_ADDR=host=db password=s3cret", "saw a value that is not repeated here"},
		{"UPSTREAM_ADDR=postgres://u@db/x?password=s3cret", "saw a value that is not repeated here"},
		{"UPSTREAM_ADDR=/run/db password=s3cret", "saw a value that is not repeated here"},
		{"AUTH_PASSWORD_FILE=/run/secrets/password", `saw "/run/secrets/password"`},
		{"UPSTREAM_ADDR=unix:/run/pg", "a Unix socket is not possible here"},
		{"UPSTREAM_ADDR=127.0.0.1:6432", "pgorigin would connect to itself"},
		{"UPSTREAM_ADDR=localhost", "pgorigin would connect to itself"},
		{"UPSTREAM_ADDR=0.0.0.0", "pgorigin would connect to itself"},
	}
}

func badListeners() []badValue {
	return []badValue{
		{"LISTEN_ADDR=unix:run/pgorigin", "no absolute path"},
		{"LISTEN_ADDR=/run/pgorigin", "is written unix:/run/pgorigin"},
		{"LISTEN_SOCKET_MODE=rw", "octal"},
		{"LISTEN_SOCKET_MODE=01777", "octal"},
		{"LISTEN_ALLOW_UIDS=app", "numeric"},
		{"LISTEN_TLS=on", "expected off, self-signed or files"},
		{"LISTEN_TLS=self_signed", "did you mean self-signed?"},
		{"LISTEN_ALLOW_UIDS=1000", "use unix:/dir"},
		{"LISTEN_ADDR=0.0.0.0:6432", "expected a loopback address"},
		{"LISTEN_ADDR=[::]:6432", "expected a loopback address"},
		{"LISTEN_ADDR=192.0.2.1", "expected a loopback address"},
		{"LISTEN_ADDR=db.internal:6000", "expected a loopback address"},
		{"LISTEN_ADDR=127.0.0.1:6432,10.0.0.1:6432", `saw "10.0.0.1:6432": expected a loopback`},
		{"LISTEN_ADDR=*:6432", "write 0.0.0.0:6432"},
		{"LISTEN_ADDR=127.0.0.1:99999", "from 1 to 65535"},
		{"HEALTH_ADDR=127.0.0.1:0", "from 1 to 65535"},
		{"HEALTH_ADDR=127.0.0.1:9632,127.0.0.1:9633", "expected one address"},
		{"HEALTH_ADDR=of", "for example 127.0.0.1:9632 or off; the port is missing"},
		{"HEALTH_ADDR=false", "for example 127.0.0.1:9632 or off; the port is missing"},
		{"HEALTH_ADDR=127.0.0.1:6432", "expected another address than PGORIGIN_LISTEN_ADDR"},
		{"HEALTH_ADDR=:6432", "expected another address than PGORIGIN_LISTEN_ADDR"},
	}
}

func badWords() []badValue {
	return []badValue{
		{"LISTEN_ADDR=:6432", "PGORIGIN_LISTEN_ALLOW_NON_LOOPBACK=true"},
		{"LISTEN_ALLOW_NON_LOOPBACK=maybe", `saw "maybe": expected true or false`},
		{"TLS_MIN_VERSION=1.1", "update the upstream instead"},
		{"TLS_MIN_VERSION=SSLv3", "expected 1.2 or 1.3"},
		{"TLS_GROUPS=X25519MLKEM786", "did you mean X25519MLKEM768?"},
		{"TLS_GROUPS=X25519,,P-256", "remove the extra comma"},
		{"TLS_GROUPS=X25519:P-256", `entry "X25519:P-256": expected a comma list of X25519MLKEM768,`},
		{"TLS_POST_QUANTUM=preferred", "expected prefer, require or off; did you mean prefer?"},
		{"TLS_POST_QUANTUM=true", "expected prefer, require or off"},
		{"TLS_NEGOTIATION=starttls", "expected postgres or direct"},
		{"TLS_VERIFY=ca", "expected verify-full or verify-ca"},
		{"TLS_VERIFY=verify-cs", "did you mean verify-ca?"},
		{"TLS_VERIFY=true", "expected verify-full or verify-ca"},
		{"TLS_PINS=sha256/x,", "remove the extra comma"},
		{"TLS_RESUME_FOR=-10m", "expected a duration such as 10s, or 0 for none"},
		{"TLS_RELOAD_INTERVAL=10ms", "expected a duration from 100ms on"},
		{"AUTH_CHANNEL_BINDING=stripe", "did you mean strip?"},
		{"AUTH_REQUIRE=scram", `"scram" is not an authentication method`},
		{"AUTH_PASSWORD_FILE=/run/password", "PGORIGIN_AUTH_CHANNEL_BINDING=bridge"},
		{"ORIGINS=Reporting", "lower"},
		{"UPSTREAM_RESOLVER=no", "expected system, dns, or the IP address of a DNS server"},
		{"UPSTREAM_RESOLVER=dns.example.com:53", "or the IP address"},
		{"UPSTREAM_RESOLVER=10.96.0.10:0", "or the IP address"},
		{"UPSTREAM_RESOLVER=10.96.0.10,10.96.0.11", "or the IP address"},
		{"UPSTREAM_RESOLVER=0.0.0.0", "or the IP address"},
		{"UPSTREAM_WAIT=-1s", "or 0 for none"},
		{"UPSTREAM_WAIT=14", "did you mean 14s?"},
		{"SHUTDOWN_DELAY=5", "did you mean 5s?"},
		{"EXIT_WHEN_IDLE=-1s", "or 0 for none"},
		{"DIAL_TIMEOUT=10", "did you mean 10s?"},
		{"DIAL_TIMEOUT=0s", "above zero"},
		{"LOGIN_TIMEOUT=-1m", "above zero"},
		{"SHUTDOWN_TIMEOUT=soon", "expected a duration with its unit"},
		{"MAX_SESSIONS=-1", "expected a whole number"},
		{"MAX_SESSIONS=many", "expected a whole number"},
		{"WARM_SPARES=-1", "expected a whole number such as 1; 0 means none"},
		{"WARM_SPARES=on", "expected a whole number"},
		{"WARM_SPARES=33", "expected at most 32"},
		{"LOG_LEVEL=verbose", "expected debug, info, warn or error"},
		{"LOG_LEVEL=inof", "did you mean info?"},
		{"LOG_FORMAT=xml", "expected auto, json or console"},
		{"UNKNOWN_ENV=allow", "expected error, warn or ignore"},
		{"LOG_LEVEL=" + strings.Repeat("x", 500), strings.Repeat("x", 100) + `...": expected`},
		{"LOG_LEVEL=a\x1bb", `saw "a\x1bb"`},
	}
}

// TestBoundAddressIsChecked: what a name such as localhost means is up to /etc/hosts.
func TestBoundAddressIsChecked(t *testing.T) {
	s, _, _ := Load([]string{upstreamSetting})
	for ip, want := range map[string]bool{"127.0.0.1": true, "::1": true, "10.0.0.1": false, "0.0.0.0": false} {
		if got := s.LoopbackOnly(&net.TCPAddr{IP: net.ParseIP(ip)}); got != want {
			t.Errorf("loopbackOnly(%s) = %v", ip, got)
		}
	}
	s.Listen.AllowNonLoopback = true
	if !s.LoopbackOnly(&net.TCPAddr{IP: net.IPv4zero}) {
		t.Error("not allowed although it was asked for")
	}
}

func TestLoopsAreToldFromNeighbours(t *testing.T) {
	for _, row := range []struct {
		listen, upstream string
		same             bool
	}{
		{"127.0.0.1:6432", "127.0.0.1:6432", true},
		{"127.0.0.1:6432", "localhost.:6432", true},
		{"127.0.0.1:6432", "[::ffff:127.0.0.1]:6432", true},
		{"localhost:6432", "LOCALHOST:6432", true},
		{":6432", "127.0.0.5:6432", true},
		{":6432", "0.0.0.0:6432", true},
		{"0.0.0.0:6432", "[::1]:6432", true},
		{"10.0.0.1:6432", "10.0.0.1:6432", true},
		{"127.0.0.1:6432", "127.0.0.1:5432", false},
		{"127.0.0.1:6432", "127.0.0.2:6432", false},
		{"127.0.0.1:6432", "db:6432", false},
		{":6432", "db:6432", false},
		{":6432", "10.0.0.1:6432", false},
		{"127.0.0.1:6432", "", false},
	} {
		if got := sameAddr(row.listen, row.upstream); got != row.same {
			t.Errorf("sameAddr(%q, %q) = %v", row.listen, row.upstream, got)
		}
	}
}

func TestNonLoopbackIsAllowedOnRequest(t *testing.T) {
	for _, addr := range []string{":6432", "0.0.0.0:6432", "[::]:6432", "192.0.2.1"} {
		_, _, problems := Load([]string{upstreamSetting, "PGORIGIN_LISTEN_ALLOW_NON_LOOPBACK=true", "PGORIGIN_LISTEN_ADDR=" + addr})
		if len(problems) > 0 {
			t.Errorf("%s: %v", addr, problems)
		}
	}
}

func badAdminAddresses(dir string) []badValue {
	return []badValue{
		{"ADMIN_ADDR=0.0.0.0:9633", "expected a loopback address such as 127.0.0.1:9633"},
		{"ADMIN_ADDR=10.0.0.7:9633", "anyone who reaches it can end this process"},
		{"ADMIN_ADDR=pod.example:9633", "expected a loopback address"},
		{"ADMIN_ADDR=:9633", "the host is missing"},
		{"ADMIN_ADDR=127.0.0.1", "the port is missing"},
		{"ADMIN_ADDR=127.0.0.1:9633,127.0.0.1:9634", "expected one address"},
		{"ADMIN_ADDR=unix:admin.sock", "is no absolute path"},
		{"ADMIN_ADDR=unix:" + dir, "use unix:" + dir + "/admin.sock"},
		{"ADMIN_ADDR=127.0.0.1:9632", "expected another address than PGORIGIN_HEALTH_ADDR"},
		{"ADMIN_ADDR=localhost:6432", "expected another address than PGORIGIN_LISTEN_ADDR"},
	}
}

func badProbeSettings() []badValue {
	return []badValue{
		{"READINESS=remote", "expected local or upstream"},
		{"READINESS=upsteam", "did you mean upstream?"},
		{"STARTUP_CHECK=local", "expected none or upstream"},
		{"PROBE_INTERVAL=15", "did you mean 15s?"},
		{"PROBE_INTERVAL=0", "expected a duration above zero"},
		{"PROBE_INTERVAL=100ms", "expected at least 1s; each probe is a TLS handshake"},
	}
}

func TestProbeDoubts(t *testing.T) {
	for settings, want := range map[string]int{
		"PGORIGIN_READINESS=upstream PGORIGIN_HEALTH_ADDR=off":     1,
		"PGORIGIN_STARTUP_CHECK=upstream PGORIGIN_HEALTH_ADDR=off": 1,
		"PGORIGIN_HEALTH_ADDR=off":                                 0,
		"PGORIGIN_READINESS=upstream":                              0,
	} {
		s, _, problems := Load(append(strings.Fields(settings), upstreamSetting))
		if got := s.Warnings(); len(got) != want || len(problems) > 0 {
			t.Errorf("%s: doubts %v, problems %v", settings, got, problems)
		}
	}
}

func TestSocketPath(t *testing.T) {
	dir := t.TempDir()
	for addr, want := range map[string]string{
		"unix:" + dir:               filepath.Join(dir, socketName),
		"unix:" + dir + "/":         filepath.Join(dir, socketName),
		"unix:" + dir + "/own.sock": filepath.Join(dir, "own.sock"),
	} {
		if got, err := SocketPath(addr); err != nil || got != want {
			t.Errorf("%s: %s (%v), want %s", addr, got, err, want)
		}
	}
	for _, addr := range []string{"unix:", "unix:relative", "unix:@abstract", "unix:/" + strings.Repeat("x", 107)} {
		if got, err := SocketPath(addr); err == nil {
			t.Errorf("%s is taken as %s", addr, got)
		}
	}
}
