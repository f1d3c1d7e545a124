//go:build faults

package faults

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

// The answers of a name server, by RFC 1035.
const (
	dnsOK, dnsServFail, dnsNoName = 0, 2, 3
	dnsSilent                     = -1
)

// nameServer knows servers.ServerName and says code about everything else.
type nameServer struct {
	ip   string
	code atomic.Int32
	all  atomic.Bool // code holds for every name
}

// lastServer numbers the addresses of name servers: all of them have port 53.
var lastServer atomic.Int32

// nameServer starts one. A code of dnsOK is an answer without addresses.
func (s *scene) nameServer(code int) *nameServer {
	s.Helper()
	n := &nameServer{ip: fmt.Sprintf("127.83.0.%d", lastServer.Add(1))}
	n.code.Store(int32(code))
	s.Cleanup(n.start(s.T))
	return n
}

func (n *nameServer) start(t *testing.T) (stop func()) {
	t.Helper()
	conn, err := net.ListenPacket("udp", n.ip+":53")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		packet := make([]byte, 1500)
		for {
			length, from, err := conn.ReadFrom(packet)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if answer := n.answer(packet[:length]); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	return func() { _ = conn.Close() }
}

// answer reads one question.
func (n *nameServer) answer(query []byte) []byte {
	if len(query) < 17 {
		return nil
	}
	name, at := "", 12
	for at < len(query) && query[at] != 0 {
		end := at + 1 + int(query[at])
		name, at = name+string(query[at+1:end])+".", end
	}
	question := query[12 : at+5]
	kind := binary.BigEndian.Uint16(query[at+1:])
	code, known := n.code.Load(), !n.all.Load() && strings.EqualFold(name, servers.ServerName+".")
	if known {
		code = dnsOK
	}
	if code == dnsSilent {
		return nil
	}
	header := []byte{query[0], query[1], 0x81, 0x80 | byte(code), 0, 1, 0, 0, 0, 0, 0, 0}
	answer := append(header, question...)
	if known && kind == 1 {
		answer[7] = 1
		answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
	}
	return answer
}

// resolves lets pgorigin and check ask a name server.
func (s *scene) resolves(ip string) {
	s.Helper()
	if os.Geteuid() != 0 {
		s.Fatal("a name server of its own needs root")
	}
	config := writeFile(s.T, "resolv.conf", []byte("nameserver "+ip+"\n"))
	s.do(os.Chmod(config, 0o644))
	s.prefix = []string{"unshare", "-m", "sh", "-c", `'mount --bind ` + config + ` /etc/resolv.conf && exec "$0" "$@"'`}
}

func dnsFaults() []fault {
	right := func() string {
		_, port, _ := net.SplitHostPort(shared.postgres.Addr)
		return servers.ServerName + ":" + port
	}
	wrong := func(s *scene, name string, code int) {
		n := s.nameServer(code)
		s.resolves(n.ip)
		good := right()
		s.upstream = name + good[strings.LastIndex(good, ":"):]
		s.set = map[string]string{"PGORIGIN_UPSTREAM_ADDR": good}
	}
	return []fault{
		{
			name: "the name does not exist", lax: `could not translate host name.*(not known|no address)`, reason: "upstream_dns",
			cause: []string{`db\.typo\.test`, `not exist|no such`},
			first: `\bhost\b.*PGORIGIN_UPSTREAM_ADDR|PGORIGIN_UPSTREAM_ADDR.*\bname\b`,
			make:  func(s *scene) { wrong(s, "db.typo.test", dnsNoName) },
		},
		{
			name: "the name has no address", lax: `No address associated`, reason: "dns_no_address",
			cause: []string{`mail\.pgorigin\.test`, `no( IP)? address|neither.*address`}, first: `PGORIGIN_UPSTREAM_ADDR`,
			make: func(s *scene) { wrong(s, "mail.pgorigin.test", dnsOK) },
		},
		{
			name: "a short name that no search domain completes",
			lax:  `could not translate host name.*(not known|no address)`, reason: "upstream_dns",
			cause: []string{`\bdb\b`, `not exist|no such`}, first: `PGORIGIN_UPSTREAM_ADDR`,
			make: func(s *scene) { wrong(s, "db", dnsNoName) },
		},
		{
			name: "the name server is down", lax: `Temporary failure`, reason: "upstream_dns",
			cause: []string{`127\.83\.0\.\d+`, `refused|no answer|not answer|unreachable`},
			first: `name (service|server)|resolver|DNS`,
			make: func(s *scene) {
				n := &nameServer{ip: fmt.Sprintf("127.83.0.%d", lastServer.Add(1))}
				s.resolves(n.ip)
				s.upstream = right()
				s.cure = func() { s.Cleanup(n.start(s.T)) }
			},
		},
		{
			name: "the name server is silent", lax: `Temporary failure|timeout`, reason: "upstream_dns",
			cause: []string{`\bDNS\b`, `no answer`}, first: `name (service|server)|resolver|DNS`,
			make: func(s *scene) {
				s.brief = true
				n := s.nameServer(dnsSilent)
				n.all.Store(true)
				s.resolves(n.ip)
				s.upstream = right()
				s.cure = func() { n.all.Store(false) }
			},
		},
		{
			name: "the name server has failed itself", lax: `Temporary failure`, reason: "upstream_dns",
			cause: []string{`127\.83\.0\.\d+`, `SERVFAIL|misbehaving|failed|error`},
			first: `name (service|server)|resolver|DNS`,
			make: func(s *scene) {
				n := s.nameServer(dnsServFail)
				n.all.Store(true)
				s.resolves(n.ip)
				s.upstream = right()
				s.cure = func() { n.all.Store(false) }
			},
		},
	}
}
