package tlsorigin

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
)

// checkedNameError is a lookup that found no address, when DNS was asked whether the name exists. The
// resolver of package net says "no such host" for both.
type checkedNameError struct {
	err    error
	exists string // a name that exists, perhaps with a search domain; empty if none does
}

func (e *checkedNameError) Error() string { return e.err.Error() }
func (e *checkedNameError) Unwrap() error { return e.err }

// LookupNetIP resolves a name as Dial does. Its error tells a name without an address from one that does not
// exist.
func LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
	return addrs, checkName(ctx, err, new(net.Dialer).DialContext)
}

// checkingNames returns dial with errors that tell a name without an address from one that does not exist.
func checkingNames(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return conn, checkName(ctx, err, new(net.Dialer).DialContext)
	}
}

// checkName adds to err whether the name exists that was not found. It returns any other error as it is. dial
// leads to DNS servers.
func checkName(ctx context.Context, err error, dial dialFunc) error {
	var dns *net.DNSError
	if !errors.As(err, &dns) || !dns.IsNotFound {
		return err
	}
	var seen dnsAnswers
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, addr string) (net.Conn,
		error,
	) {
		conn, err := dial(ctx, network, addr)
		if packets, ok := conn.(*net.UDPConn); ok {
			return &watchedPackets{packets, &seen}, err
		}
		return conn, err
	}}
	var again *net.DNSError
	if _, second := resolver.LookupNetIP(ctx, "ip", dns.Name); !errors.As(second, &again) || !again.IsNotFound {
		return err // so nothing is known
	}
	return &checkedNameError{err, seen.existing(dns.Name)}
}

// dnsAnswers are the names for which a DNS server answered that they exist.
type dnsAnswers struct {
	mu    sync.Mutex
	names []string
}

// existing returns host if it exists, else another of the names, which is host with a search domain.
func (a *dnsAnswers) existing(host string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := ""
	for _, name := range a.names {
		if found == "" || strings.EqualFold(name, strings.TrimSuffix(host, ".")) {
			found = name
		}
	}
	return found
}

// note notes the name of a DNS message that says NOERROR.
func (a *dnsAnswers) note(message []byte) {
	const header, response, noError = 12, 0x80, 0
	if len(message) < header || message[2]&response == 0 || message[3]&0x0f != noError {
		return
	}
	var labels []string
	for rest := message[header:]; len(rest) > 0; {
		n := int(rest[0])
		if n == 0 {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.names = append(a.names, strings.Join(labels, "."))
			return
		}
		if len(rest) <= n {
			return
		}
		labels, rest = append(labels, string(rest[1:1+n])), rest[1+n:]
	}
}

// watchedPackets is a connection to a DNS server that notes what the server says of names.
type watchedPackets struct {
	*net.UDPConn
	seen *dnsAnswers
}

func (w *watchedPackets) Read(p []byte) (int, error) {
	n, err := w.UDPConn.Read(p)
	w.seen.note(p[:n])
	return n, err
}

// triedKey is the key under which a context has a *triedAddrs: net.Dialer tells of one address that failed,
// and a name may have several.
type triedKey struct{}

// triedAddrs are the addresses that were tried for one name. The zero value is ready to use.
type triedAddrs struct {
	mu    sync.Mutex
	addrs []string
}

func (t *triedAddrs) add(addr string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addrs = append(t.addrs, addr)
}

func (t *triedAddrs) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.addrs
}
