package tlsorigin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const (
	defaultTimeout    = 10 * time.Second
	defaultMinVersion = tls.VersionTLS12
)

// Config says where the upstream is, what it must prove and what is presented to it.
type Config struct {
	// Addrs are host:port pairs, tried in order within one Timeout. Each Dial resolves the names. If DNS gives
	// no answer, Dial uses an answer of the last ten minutes.
	Addrs []string

	// ServerName is the DNS name or IP address that the certificate must carry. A DNS name is also sent as
	// SNI. Empty means the host of the address in use.
	ServerName string

	// CAFile names a PEM file with the trusted roots. CAPEM holds such PEM itself. At most one may be set.
	// Each certificate is trusted, even an intermediate or the upstream's own. Both empty means the system
	// roots.
	CAFile, CAPEM string

	// VerifyCA leaves out the comparison of the name, and nothing else. Any server certificate of the
	// configured roots is accepted. It needs CAFile or CAPEM, because anybody can get a certificate of a
	// public authority.
	VerifyCA bool

	// CRLFile names a PEM file with certificate revocation lists. Each certificate below the trusted root
	// needs a list that its issuer signed and that is in force. Empty means that revocation is not checked.
	CRLFile string

	// Pins are public keys, each as Pin returns it: "sha256/" and the base64 of the SHA-256 of a
	// SubjectPublicKeyInfo. A certificate of the verified chain must have one of these keys. Empty means that
	// the chain alone decides.
	Pins []string

	// CertFile holds the client certificate and its chain, leaf first; KeyFile its key. An upstream that asks
	// for a client certificate gets it, whatever list of authorities it sends along. Set both or none.
	CertFile, KeyFile string

	// MinVersion is tls.VersionTLS12 or tls.VersionTLS13. Zero means TLS 1.2.
	MinVersion uint16

	// Groups are the key-exchange groups to offer. Empty means those that PostQuantum implies. Their order
	// has no effect: crypto/tls has its own order, and sends the key share of the first group in it that is
	// among Groups. An upstream that wants another group asks for it, at the cost of a round trip.
	Groups []tls.CurveID

	// PostQuantum is the policy for hybrid groups. Empty means PostQuantumPrefer. PostQuantumRequire makes
	// MinVersion TLS 1.3.
	PostQuantum PostQuantum

	// Negotiation says how TLS begins. Empty means NegotiatePostgres.
	Negotiation Negotiation

	// ResumeFor is how long after a whole handshake its session may be resumed. In a resumed session, the
	// upstream proves that it knows the secret of the session. It makes no new signature with the key of its
	// certificate. Everything else is verified as always. Only sessions of TLS 1.3 without a client
	// certificate are resumed, and a reload that changes something ends them. Zero means never.
	ResumeFor time.Duration

	// Timeout bounds resolving, TCP, SSLRequest and TLS for all addresses together. Zero means ten seconds.
	Timeout time.Duration

	// Resolver says how names are resolved: ResolverSystem, ResolverDNS, or the IP address and the port of a DNS
	// server. With the last two, the hosts file is not read. Empty means ResolverSystem.
	Resolver string

	// OwnAddress reports whether a connection to an address would reach this process itself. Dial refuses such
	// an address. Nil means that there is none.
	OwnAddress func(netip.AddrPort) bool

	// NetDial opens the TCP connection. Nil means a net.Dialer with keep-alive. NetDial gets Addrs as they are:
	// it resolves names itself.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Trace observes the Dialer. Nil means no hooks.
	Trace *Trace
}

// Trace holds hooks that a Dialer runs. Any may be nil. They must not block, and may run concurrently: one
// Dial makes several attempts at one time.
type Trace struct {
	// Attempt is called once for each try of an address, background probes included. An attempt that the
	// caller's context or a faster address cut short is not reported.
	Attempt func(Attempt)

	// KeyExchangeChanged is called when key exchange with a resolved address has changed. It may also run on
	// the goroutine of a background probe.
	KeyExchangeChanged func(KeyExchangeChange)

	// AddressChanged is called when the state of a resolved address has changed. It may also run on the
	// goroutine of a background probe.
	AddressChanged func(before, after AddressStatus)

	// Reloaded is called after each Reload, those of Watch included. It is also called if a failed Dial found
	// new files. The error is that of Reload. Calls do not overlap. Connections that were made ahead of their
	// use under the state before must go. Reloaded must not call Reload.
	Reloaded func(Reloaded, error)
}

// Attempt describes one address tried.
type Attempt struct {
	Addr     string   // host:port as configured
	Resolved net.Addr // nil if there was no TCP connection

	Connect    time.Duration // resolving and TCP
	SSLRequest time.Duration // until its answer; zero if it was not sent
	TLS        time.Duration // handshake and verification; zero if it was not begun

	State tls.ConnectionState // zero unless the peer was verified
	Err   *Error              // nil when all went well

	// Fallback is set if this attempt followed one whose ClientHello vanished. Cause says how that one ended.
	Fallback Fallback
	Cause    VanishCause
	Probe    bool // made for no client
}

// route is one address to try and the name that must be proved there.
type route struct {
	host string // host:port as configured
	dial string // for NetDial: a resolved address; host if only Config.NetDial resolves
	name string // to be verified: a DNS name without final dot, or an IP address

	dns    string        // the name to look up; empty if dial is known
	port   uint16        // for its addresses
	lookup time.Duration // how long it took

	direct bool // TLS begins at once, without SSLRequest
}

// routes checks the addresses and the server name.
func (c *Config) routes() ([]route, []error) {
	var problems []error
	complain := func(field, value string, err error) {
		problems = append(problems, unusable(field, value, err))
	}
	serverName := ""
	if c.ServerName != "" {
		var err error
		if serverName, err = verifiableName(c.ServerName); err != nil {
			complain("ServerName", c.ServerName, err)
		}
	}
	if len(c.Addrs) == 0 {
		complain("Addrs", "", errors.New("at least one host:port is needed"))
	}
	var routes []route
	for _, addr := range c.Addrs {
		host, err := splitAddr(addr)
		name := serverName
		if err == nil && c.ServerName == "" {
			name, err = verifiableName(host)
		} else if err == nil {
			// An IPv6 zone says where to dial. A certificate cannot carry it, but here ServerName is
			// verified.
			place, _, _ := strings.Cut(host, "%")
			_, err = verifiableName(place)
		}
		if err != nil {
			complain("Addrs", addr, err)
			continue
		}
		r := route{host: addr, dial: addr, name: name, direct: c.Negotiation == NegotiateDirect}
		if c.NetDial == nil {
			r = r.resolvable()
		}
		routes = append(routes, r)
	}
	return routes, problems
}

// resolvable returns r with what Dial needs to resolve it.
func (r route) resolvable() route {
	host, portText, _ := net.SplitHostPort(r.host) // splitAddr has checked both
	port, _ := strconv.ParseUint(portText, 10, 16)
	r.port = uint16(port)
	ip, err := netip.ParseAddr(host)
	if err != nil {
		r.dns = host
	} else {
		r.dial = netip.AddrPortFrom(ip.Unmap(), r.port).String()
	}
	return r
}

func splitAddr(addr string) (host string, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", errors.New("want host:port, with an IPv6 address in brackets")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	if host == "" {
		return "", errors.New("want host:port, the host is missing")
	}
	return host, nil
}

// dottedNumbers reports whether the last label of host is a number. No DNS name has that, but every spelling
// of an IPv4 address that inet_aton knows: "127.1", "0x7f.1", and "010.0.0.1", which is octal to some
// programs and decimal to others.
func dottedNumbers(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	_, err := strconv.ParseUint(last, 0, 64)
	return err == nil || (last != "" && strings.Trim(last, "0123456789") == "")
}

// verifiableName returns name as it is compared with a certificate. The error says why no certificate can
// carry it.
func verifiableName(name string) (string, error) {
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip.Zone() != "" {
			return "", errors.New("a certificate cannot name an IPv6 zone; use another name of the server")
		}
		return name, nil
	}
	// A final dot only says that no search domain is appended.
	trimmed := strings.TrimSuffix(name, ".")
	if dottedNumbers(trimmed) {
		return "", errors.New("is not an IP address in its usual spelling (four decimal numbers without " +
			"leading zeros)")
	}
	if len(trimmed) > 253 {
		return "", errors.New("is longer than the 253 characters that a DNS name may have")
	}
	for label := range strings.SplitSeq(trimmed, ".") {
		if len(label) == 0 || len(label) > 63 {
			return "", errors.New("is not a DNS name: its parts between dots have 1 to 63 characters")
		}
		for _, c := range []byte(label) {
			letter := 'a' <= c|0x20 && c|0x20 <= 'z'
			digit := '0' <= c && c <= '9'
			if !letter && !digit && c != '-' && c != '_' {
				return "", errors.New("is neither a DNS name (letters, digits, '-', '_'; write others as " +
					"xn--...) nor an IP address")
			}
		}
	}
	return trimmed, nil
}

// limits checks the version and the timeout, and resolves their defaults.
func (c *Config) limits() (minVersion uint16, timeout time.Duration, problems []error) {
	minVersion, timeout = c.MinVersion, c.Timeout
	if minVersion == 0 {
		minVersion = defaultMinVersion
	}
	if minVersion != tls.VersionTLS12 && minVersion != tls.VersionTLS13 {
		err := errors.New("want TLS 1.2 or TLS 1.3")
		problems = append(problems, unusable("MinVersion", tls.VersionName(minVersion), err))
	}
	if c.PostQuantum == PostQuantumRequire && minVersion == tls.VersionTLS12 {
		minVersion = tls.VersionTLS13 // hybrid groups exist in no other
	}
	if timeout == 0 {
		timeout = defaultTimeout
	}
	if timeout < 0 {
		problems = append(problems, unusable("Timeout", timeout.String(), errors.New("is negative")))
	}
	if c.ResumeFor < 0 {
		problems = append(problems, unusable("ResumeFor", c.ResumeFor.String(), errors.New("is negative")))
	}
	return minVersion, timeout, problems
}
