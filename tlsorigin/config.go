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
	// Addrs are host:port pairs, tried in order within one Timeout. Names are resolved anew for each Dial.
	Addrs []string

	// ServerName is the DNS name or IP address that the certificate must carry, and the name sent as SNI when it is a
	// DNS name. Empty means the host of the address in use.
	ServerName string

	// CAFile names a PEM file with the trusted roots, CAPEM holds such PEM itself; at most one may be set. A
	// certificate found there is trusted even if it is an intermediate or the upstream's own. Both empty means the
	// system roots.
	CAFile, CAPEM string

	// VerifyCA leaves out the comparison of the name, and nothing else: whoever has a server certificate of the configured
	// roots is accepted. It needs CAFile or CAPEM, because everybody can get a certificate of a public authority.
	VerifyCA bool

	// CRLFile names a PEM file with certificate revocation lists. If it is set, each certificate below the trusted root
	// needs a list of its issuer, in force and signed by it. Empty means that revocation is not checked.
	CRLFile string

	// Pins are public keys, each "sha256/" and the base64 of the SHA-256 of a SubjectPublicKeyInfo, as Pin returns it. At
	// least one must be that of a certificate in the verified chain. None means that the chain alone decides.
	Pins []string

	// CertFile (chain, leaf first) and KeyFile are presented to an upstream that asks for a client certificate,
	// whatever list of authorities it sends along. Both or none.
	CertFile, KeyFile string

	// MinVersion is tls.VersionTLS12 (zero means that) or tls.VersionTLS13.
	MinVersion uint16

	// Groups are the key-exchange groups to offer. Empty means those that PostQuantum implies, in the end Go's own. Their
	// order has no effect: crypto/tls has an order of its own and sends the key share of the first group in it that is
	// among Groups. A server that wants another one says so, at the cost of a round trip.
	Groups []tls.CurveID

	// PostQuantum is the policy for hybrid groups. Empty means PostQuantumPrefer. PostQuantumRequire makes MinVersion
	// TLS 1.3.
	PostQuantum PostQuantum

	// Negotiation says how TLS begins. Empty means NegotiatePostgres.
	Negotiation Negotiation

	// ResumeFor is how long after a whole handshake its session may be resumed, in which the server proves that it knows the
	// session's secret and not once more that it has the key of its certificate; everything else is verified as ever. Only
	// sessions of TLS 1.3 without client certificate are, under the files in force. Zero means never.
	ResumeFor time.Duration

	// Timeout bounds resolving, TCP, SSLRequest and TLS for all addresses together. Zero means ten seconds.
	Timeout time.Duration

	// NetDial opens the TCP connection. Nil means a net.Dialer with keep-alive, and with TCP_USER_TIMEOUT on Linux.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Trace observes; nil means nobody does.
	Trace *Trace
}

// Trace holds hooks that a Dialer runs. Any may be nil. They run on the dialling goroutine and must not block.
type Trace struct {
	// Attempt is called once for each try of an address, probes in the background included. An attempt that the caller's context cut short says nothing
	// about the upstream and is not reported.
	Attempt func(Attempt)

	// PathChanged is called when something new is found out about key exchange with a resolved address. It may also run
	// on the goroutine of a background probe.
	PathChanged func(PathChange)

	// Reloaded is called after each Reload, those of Watch included, and after a Dial that failed has looked at the
	// files and found something new. The error is Reload's. Calls do not overlap, and whatever was made ahead of its
	// use under the state before has to go. It must not call Reload.
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

	// Fallback is set when this was another try with that ClientHello, because an earlier one vanished by Cause.
	Fallback Fallback
	Cause    PathCause
	Probe    bool // made in the background, for no client
}

// route is one address to try and the name that must be proved there.
type route struct {
	host string // host:port as configured
	dial string // what NetDial gets: host, or the resolved address of an earlier connection
	name string // verified; a DNS name without final dot, or an IP address

	direct bool // TLS begins at once, without SSLRequest
}

// routes checks the addresses and the server name.
func (c *Config) routes() ([]route, []error) {
	var problems []error
	complain := func(field, value string, err error) {
		problems = append(problems, &ConfigError{Field: field, Value: value, Problem: ProblemUnusable, Err: err})
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
			// An IPv6 zone says where to dial; only a certificate cannot carry it.
			place, _, _ := strings.Cut(host, "%")
			_, err = verifiableName(place)
		}
		if err != nil {
			complain("Addrs", addr, err)
			continue
		}
		routes = append(routes, route{host: addr, dial: addr, name: name, direct: c.Negotiation == NegotiateDirect})
	}
	return routes, problems
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

// dottedNumbers reports whether the last label of host is a number, which no DNS name has but every spelling of an IPv4
// address that inet_aton knows: "010.0.0.1" (octal to some programs and decimal to others), "127.1", "0x7f.1".
func dottedNumbers(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	_, err := strconv.ParseUint(last, 0, 64)
	return err == nil || (last != "" && strings.Trim(last, "0123456789") == "")
}

// verifiableName returns name as it is compared with a certificate, or why no certificate can carry it.
func verifiableName(name string) (string, error) {
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip.Zone() != "" {
			return "", errors.New("a certificate cannot name an IPv6 zone; name the server otherwise")
		}
		return name, nil
	}
	// A name with a final dot is the same name, only that no search domain is appended.
	trimmed := strings.TrimSuffix(name, ".")
	if dottedNumbers(trimmed) {
		return "", errors.New("is not an IP address in its usual spelling (four decimal numbers without leading zeros)")
	}
	if len(trimmed) > 253 {
		return "", errors.New("is longer than the 253 characters that a DNS name may have")
	}
	for label := range strings.SplitSeq(trimmed, ".") {
		if len(label) == 0 || len(label) > 63 {
			return "", errors.New("is no DNS name: its parts between dots have 1 to 63 characters")
		}
		for _, c := range []byte(label) {
			letter := 'a' <= c|0x20 && c|0x20 <= 'z'
			digit := '0' <= c && c <= '9'
			if !letter && !digit && c != '-' && c != '_' {
				return "", errors.New("is neither a DNS name (letters, digits, '-', '_'; write others as xn--...) nor an IP address")
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
		problems = append(problems, &ConfigError{Field: "MinVersion", Value: tls.VersionName(minVersion), Problem: ProblemUnusable, Err: err})
	}
	if c.PostQuantum == PostQuantumRequire && minVersion == tls.VersionTLS12 {
		minVersion = tls.VersionTLS13 // hybrid groups exist in no other
	}
	if timeout == 0 {
		timeout = defaultTimeout
	}
	if timeout < 0 {
		problems = append(problems, &ConfigError{Field: "Timeout", Value: timeout.String(), Problem: ProblemUnusable, Err: errors.New("is negative")})
	}
	if c.ResumeFor < 0 {
		problems = append(problems, &ConfigError{Field: "ResumeFor", Value: c.ResumeFor.String(), Problem: ProblemUnusable, Err: errors.New("is negative")})
	}
	return minVersion, timeout, problems
}
