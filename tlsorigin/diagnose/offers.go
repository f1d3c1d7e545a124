package diagnose

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// SuiteKind is a kind of cipher suites of TLS 1.2.
type SuiteKind string

// The kinds that are offered.
const (
	SuitesAEAD SuiteKind = "ecdhe_aead"
	SuitesCBC  SuiteKind = "ecdhe_cbc"
	SuitesDHE  SuiteKind = "dhe"
	SuitesRSA  SuiteKind = "rsa"
)

// Acceptance is what an address takes of the ClientHellos of others. What is missing was not found out. The
// peer that gave these answers has proved nothing.
type Acceptance struct {
	Versions  map[uint16]bool
	Suites    map[SuiteKind]bool // in TLS 1.2
	Groups    map[tls.CurveID]bool
	LostHello int // bytes of the smallest ClientHello that got no answer, if a smaller one did; or zero
	GoodHello int // bytes of the largest one that got an answer; or zero
	NeedsSNI  bool
	// Sent are the certificates of a handshake of TLS 1.2, the server's own first, and Path is what of them is
	// linked. Nobody verified them.
	Sent, Path     []*x509.Certificate
	NegativeSerial bool // of one of the certificates
	// OnlySHA1 says that the server signs a TLS 1.2 handshake with nothing better.
	OnlySHA1 bool
	// PSSKey and MLDSAKey say that the server's key is for signatures that crypto/tls does not have.
	PSSKey, MLDSAKey bool
}

const (
	// offerTimeout bounds one offer. An answer takes three round trips.
	offerTimeout = 3 * time.Second
	// offersAtOnce bounds the connections under way.
	offersAtOnce = 6
	// oneSegment is a size that fits into one TCP segment of most networks, and twoSegments one that does not.
	// The post-quantum ClientHellos of all stacks are larger.
	oneSegment, twoSegments = 1380, 1470
)

// accepts finds out which ClientHellos an address answers. On each connection, it sends SSLRequest and one
// ClientHello, reads the first answer and closes. So it verifies nothing, and sends nothing else.
func accepts(ctx context.Context, addr *tlsorigin.Addr, serverName string, direct bool) *Acceptance {
	p := &prober{addr: addr.TCP.String(), direct: direct, timeout: offerTimeout}
	if _, err := netip.ParseAddr(serverName); err != nil {
		p.serverName = strings.TrimSuffix(serverName, ".") // RFC 6066
	}
	return p.askAll(ctx)
}

// askAll makes the first offer, and the others if it got an answer.
func (p *prober) askAll(ctx context.Context) *Acceptance {
	a := &Acceptance{Versions: map[uint16]bool{}, Suites: map[SuiteKind]bool{}, Groups: map[tls.CurveID]bool{}}
	offers := p.offers()
	answers := make([]offerAnswer, len(offers))
	if answers[0] = p.ask(ctx, &offers[0].hello); !answers[0].came() {
		return a
	}
	places := make(chan struct{}, offersAtOnce)
	var asking sync.WaitGroup
	for i := range offers[1:] {
		asking.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			answers[1+i] = p.ask(ctx, &offers[1+i].hello)
		})
	}
	asking.Wait()
	for i, answer := range answers {
		if answer.vanished && offers[i].hello.size > 0 && ctx.Err() == nil {
			answers[i] = p.askAgain(ctx, &offers[i].hello, &offers[0].hello)
		}
	}
	for i, answer := range answers {
		if answer.came() {
			offers[i].note(a, offers[i].takes(answer))
		}
		a.readCertificates(answer.certificates)
	}
	a.measure(answers)
	if !a.Versions[tls.VersionTLS12] && !a.Versions[tls.VersionTLS13] { // every offer of signatures is refused
		a.PSSKey, a.MLDSAKey = false, p.isMLDSA(ctx)
	}
	a.NeedsSNI = p.serverName != "" && answers[0].hello.answered && !answers[1].hello.answered &&
		(answers[1].came() || answers[1].vanished)
	return a
}

// readCertificates notes certificates, and what forbids crypto/x509 to read them.
func (a *Acceptance) readCertificates(sent []*x509.Certificate) {
	for _, cert := range sent {
		if cert.PublicKeyAlgorithm == x509.UnknownPublicKeyAlgorithm && cert.Version == 0 {
			a.NegativeSerial = a.NegativeSerial || cert.SerialNumber != nil
			return
		}
	}
	if len(sent) > 0 {
		a.Sent, a.Path = sent, pathOf(sent, nil)
	}
}

// askAgain repeats an offer that got no answer. One lost packet proves nothing about its size, and neither
// does a server that is too slow to answer an ordinary hello.
func (p *prober) askAgain(ctx context.Context, hello, ordinary *clientHello) offerAnswer {
	answer := p.ask(ctx, hello)
	if answer.vanished {
		control := p.ask(ctx, ordinary)
		answer.vanished = control.came()
	}
	return answer
}

// measure compares the sizes of what was answered and of what was not.
func (a *Acceptance) measure(answers []offerAnswer) {
	for _, answer := range answers {
		if answer.came() {
			a.GoodHello = max(a.GoodHello, answer.size)
		}
	}
	for _, answer := range answers {
		lost := answer.vanished && answer.size > a.GoodHello
		if lost && a.GoodHello > 0 && (a.LostHello == 0 || answer.size < a.LostHello) {
			a.LostHello = answer.size
		}
	}
}

// offer is a ClientHello and what its answer tells.
type offer struct {
	hello clientHello
	note  func(a *Acceptance, takes bool)
}

// takes reports whether the server chose a version that was offered. Some choose a lower one, which clients
// refuse.
func (o *offer) takes(answer offerAnswer) bool {
	return answer.hello.answered && slices.Contains(o.hello.versions, answer.hello.version)
}

// offers returns what is sent. The first has the server name, and the second is the same without it.
func (p *prober) offers() []offer {
	modern, tls12 := []uint16{tls.VersionTLS13, tls.VersionTLS12}, []uint16{tls.VersionTLS12}
	old := []uint16{tls.VersionTLS11, tls.VersionTLS10}
	// Most hellos have one small key share, and are small. A server asks for another by a HelloRetryRequest.
	groups, share := singleGroups(), []tls.CurveID{tls.X25519}
	everything := slices.Concat(suitesTLS13(), suitesOf(SuitesAEAD), suitesOf(SuitesCBC), suitesOf(SuitesDHE),
		suitesOf(SuitesRSA))
	nothing := func(*Acceptance, bool) {}
	hello := func(versions, suites []uint16) clientHello {
		return clientHello{
			serverName: p.serverName, versions: versions, suites: suites, groups: groups, shares: share,
		}
	}
	// A HelloRetryRequest comes before a server looks at the name, so these two have the usual shares.
	named := hello(modern, everything)
	named.groups = groups[1:] // without a post-quantum one
	named.shares = []tls.CurveID{tls.X25519, tls.CurveP256}
	nameless := named
	nameless.serverName = ""
	shown := hello(tls12, everything)
	shown.certificates = true
	segment, segments := hello(modern, everything), hello(modern, everything)
	segment.size, segments.size = oneSegment, twoSegments
	all := []offer{
		{named, nothing},
		{nameless, nothing},
		{segment, nothing},
		{segments, nothing},
		{hello([]uint16{tls.VersionTLS13}, suitesTLS13()), noteVersions(tls.VersionTLS13)},
		{shown, noteVersions(tls.VersionTLS12)},
		{hello(old, everything), noteVersions(old...)},
	}
	for _, kind := range []SuiteKind{SuitesAEAD, SuitesCBC, SuitesDHE, SuitesRSA} {
		all = append(all, offer{
			hello(tls12, suitesOf(kind)),
			func(a *Acceptance, takes bool) { a.Suites[kind] = takes },
		})
	}
	ecdhe := slices.Concat(suitesTLS13(), suitesOf(SuitesAEAD), suitesOf(SuitesCBC))
	for _, group := range singleGroups() {
		alone := hello(modern, ecdhe)
		alone.groups, alone.shares = []tls.CurveID{group}, nil
		all = append(all, offer{alone, func(a *Acceptance, takes bool) { a.Groups[group] = takes }})
	}
	sha2, noPSS := hello(tls12, ecdhe), hello(modern, everything)
	sha2.signatures = without(tls.ECDSAWithSHA1, tls.PKCS1WithSHA1)
	noPSS.signatures = without(pssKeyWithSHA256, pssKeyWithSHA384, pssKeyWithSHA512)
	return append(all,
		offer{sha2, func(a *Acceptance, takes bool) {
			a.OnlySHA1 = !takes && (a.Suites[SuitesAEAD] || a.Suites[SuitesCBC]) // the offers before
		}},
		offer{noPSS, func(a *Acceptance, takes bool) { a.PSSKey = !takes }})
}

// isMLDSA reports whether the server, which refuses the first offer, takes one of ML-DSA.
func (p *prober) isMLDSA(ctx context.Context) bool {
	hello := clientHello{
		serverName: p.serverName, versions: []uint16{tls.VersionTLS13}, suites: suitesTLS13(),
		groups:     singleGroups(),
		signatures: []tls.SignatureScheme{mldsa44, mldsa65, mldsa87},
	}
	answer := p.ask(ctx, &hello)
	return answer.hello.answered
}

func noteVersions(versions ...uint16) func(*Acceptance, bool) {
	return func(a *Acceptance, takes bool) {
		for _, v := range versions {
			a.Versions[v] = takes
		}
	}
}

func suitesTLS13() []uint16 {
	return []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256}
}

// suitesOf returns the suites of a kind, for keys of RSA and of ECDSA.
func suitesOf(kind SuiteKind) []uint16 {
	switch kind {
	case SuitesAEAD:
		return []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		}
	case SuitesCBC:
		return []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
		}
	case SuitesDHE:
		return []uint16{0x009e, 0x009f, 0x0033, 0x0039} // DHE_RSA with AES-GCM and AES-CBC
	case SuitesRSA:
		return []uint16{
			tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
		}
	}
	return nil
}

// prober asks one address.
type prober struct {
	addr       string
	serverName string // for SNI; empty for an IP address
	direct     bool
	timeout    time.Duration // of each offer
}

// offerAnswer is what became of an offer.
type offerAnswer struct {
	hello    serverHello
	size     int  // of the offer
	vanished bool // not one byte came in answer

	certificates []*x509.Certificate // if the offer asked for them
}

// came reports whether there was an answer that says something.
func (a *offerAnswer) came() bool { return a.hello.answered || a.hello.refused }

// ask sends one offer. The answer is empty if it did not come to that.
func (p *prober) ask(ctx context.Context, hello *clientHello) offerAnswer {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	sent := *hello
	if p.direct {
		sent.protocol = "postgresql"
	}
	record, err := sent.marshal()
	if err != nil {
		return offerAnswer{}
	}
	conn, err := p.connect(ctx)
	if err != nil {
		return offerAnswer{}
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(record); err != nil {
		return offerAnswer{}
	}
	answer := offerAnswer{size: len(record)}
	received, most := []byte(nil), maxServerHello
	if sent.certificates {
		most = maxCertificateBytes
	}
	for buffer := make([]byte, 4096); len(received) < most; {
		n, err := conn.Read(buffer)
		received = append(received, buffer[:n]...)
		parsed, ok := parseServerHello(received)
		if answer.hello = parsed; ok && sent.certificates && parsed.answered {
			answer.certificates, ok = parseCertificates(received)
		}
		if ok || err != nil {
			break
		}
	}
	answer.vanished = len(received) == 0 && !errors.Is(ctx.Err(), context.Canceled)
	return answer
}

var errNoTLS = errors.New("SSLRequest was not answered with S")

// connect opens a connection on which TLS may begin.
func (p *prober) connect(ctx context.Context) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if end, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(end)
	}
	if p.direct {
		return conn, nil
	}
	var answer [1]byte
	_, err = io.WriteString(conn, "\x00\x00\x00\x08\x04\xd2\x16\x2f")
	if err == nil {
		_, err = io.ReadFull(conn, answer[:])
	}
	if err == nil && answer[0] != 'S' {
		err = errNoTLS
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("ask for TLS: %w", err)
	}
	return conn, nil
}
