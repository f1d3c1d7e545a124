package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is what a server knows, by full name without the final dot. A name that is not there does not exist.
type zone map[string]entry

type entry struct {
	code  dnsmessage.RCode
	addrs []string // none means that the name exists without an address
	alias string   // a CNAME
	late  bool     // the CNAME comes behind what it leads to
}

// server is a DNS server on loopback, by UDP and by TCP.
type server struct {
	addr string
	zone zone

	mu   sync.Mutex
	raw  rawAnswer // nil: the zone answers
	seen []string  // network, name and type of each question
}

// rawAnswer answers a question by itself. Nil as its answer is silence.
type rawAnswer = func(network string, question []byte) [][]byte

// answerBy lets raw answer all questions from now on.
func (s *server) answerBy(raw rawAnswer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw = raw
}

func (s *server) byItself() rawAnswer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw
}

func startServer(t *testing.T, z zone) *server {
	t.Helper()
	return startServerAt(t, "127.0.0.1:0", z)
}

func startServerAt(t *testing.T, addr string, z zone) *server {
	t.Helper()
	var packets net.PacketConn
	var stream net.Listener
	var err error
	for range 20 { // the port has to be free for both
		if packets, err = net.ListenPacket("udp", addr); err != nil {
			t.Fatal(err)
		}
		if stream, err = net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			break
		}
		packets.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: packets.LocalAddr().String(), zone: z}
	t.Cleanup(func() { packets.Close(); stream.Close() })
	go func() {
		packet := make([]byte, maxPacket)
		for {
			n, from, err := packets.ReadFrom(packet)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			for _, answer := range s.answer("udp", packet[:n]) {
				packets.WriteTo(answer, from)
			}
		}
	}()
	go func() {
		for {
			conn, err := stream.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	for { // libc asks for both families on one connection
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, question); err != nil {
			return
		}
		for _, answer := range s.answer("tcp", question) {
			if s.byItself() == nil {
				answer = append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)
			}
			conn.Write(answer)
		}
	}
}

func (s *server) answer(network string, question []byte) [][]byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	s.mu.Lock()
	s.seen = append(s.seen, network+" "+q.Name.String()+" "+strings.TrimPrefix(q.Type.String(), "Type"))
	s.mu.Unlock()
	if raw := s.byItself(); raw != nil {
		return raw(network, question)
	}
	return [][]byte{s.zone.reply(network, m)}
}

// questions returns what was asked, once each, in the order of the alphabet.
func (s *server) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.seen)
	slices.Sort(all)
	return slices.Compact(all)
}

func (z zone) reply(network string, m dnsmessage.Message) []byte {
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	known, ok := z[strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))]
	m.RCode = known.code
	if !ok {
		m.RCode = dnsmessage.RCodeNameError
	}
	owner := q.Name
	if known.alias != "" {
		owner = dnsmessage.MustNewName(known.alias + ".")
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.CNAMEResource{CNAME: owner},
		})
	}
	for _, text := range known.addrs {
		ip := netip.MustParseAddr(text)
		header := dnsmessage.ResourceHeader{Name: owner, Class: q.Class}
		switch {
		case ip.Is4() && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: ip.As4()}})
		case ip.Is6() && q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}})
		}
	}
	if known.late {
		slices.Reverse(m.Answers)
	}
	packed, err := m.Pack()
	if err != nil {
		panic(err)
	}
	if network == "udp" && len(packed) > payload {
		m.Answers, m.Truncated = nil, true
		packed, _ = m.Pack()
	}
	return packed
}

// asking returns a Resolver with the text of a resolv.conf. Its name servers are NS1 and so on.
func asking(t *testing.T, text string, servers ...*server) *Resolver {
	t.Helper()
	places := map[string]string{}
	for i, s := range servers {
		ip := netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}).String()
		places[net.JoinHostPort(ip, "53")] = s.addr
		text = "nameserver " + ip + "\n" + text
	}
	lines := strings.Split(text, "\n")
	slices.Reverse(lines[:len(servers)])
	return &Resolver{
		conf: fixedConf(parseConf(strings.Join(lines, "\n"), "")),
		dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if place, ok := places[addr]; ok {
				addr = place
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
}

// lookUp returns the addresses as text.
func lookUp(t *testing.T, r *Resolver, network, host string) (string, *Error) {
	t.Helper()
	addrs, err := r.LookupNetIP(t.Context(), network, host)
	var texts []string
	for _, addr := range addrs {
		texts = append(texts, addr.String())
	}
	var failed *Error
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("got %T: %v", err, err)
	}
	return strings.Join(texts, " "), failed
}
