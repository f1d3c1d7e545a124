package tlsorigin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/resolver"
)

// lookupError is a failed lookup, and what the resolver of package net does not say about it.
type lookupError struct {
	err     error
	checked bool     // DNS was asked whether the name exists: net says "no such host" also for one without address
	past    bool     // the hosts file was not read
	exists  string   // a name that exists, perhaps with a search domain; empty if none does
	servers []string // the DNS servers of this machine; nil if err names one, or says that a name was not found
}

func (e *lookupError) Error() string { return e.err.Error() }
func (e *lookupError) Unwrap() error { return e.err }

// The values of Config.Resolver that are no address.
const (
	ResolverSystem = "system" // the hosts file, then DNS
	ResolverDNS    = "dns"    // the servers of /etc/resolv.conf, without the hosts file
)

// resolver returns what resolves names past the hosts file; nil for the system's.
func (c *Config) resolver() (*resolver.Resolver, []error) {
	switch c.Resolver {
	case "", ResolverSystem:
		return nil, nil
	case ResolverDNS:
		asked, err := resolver.New()
		if err != nil {
			return nil, []error{unusable("Resolver", c.Resolver, fmt.Errorf("/etc/resolv.conf %w", err))}
		}
		return asked, nil
	}
	server, err := netip.ParseAddrPort(c.Resolver)
	if err != nil || server.Port() == 0 {
		return nil, []error{unusable("Resolver", c.Resolver, errors.New("is not the IP address and port of a DNS server"))}
	}
	return resolver.NewFor(server), nil
}

// lookupPast returns the function that resolves names by asked.
func lookupPast(asked *resolver.Resolver) LookupFunc {
	return func(ctx context.Context, network, host string) ([]netip.Addr, error) {
		addrs, err := asked.LookupNetIP(ctx, network, host)
		var failed *resolver.Error
		if errors.As(err, &failed) {
			err = &lookupError{err: err, checked: true, past: true, exists: failed.Exists, servers: failed.Servers}
		}
		return addrs, err
	}
}

// NameServers returns the DNS servers that Dial asks past the hosts file, as host:port. It is empty if the system
// resolves names.
func (d *Dialer) NameServers(ctx context.Context) []string {
	if d.asked == nil {
		return nil
	}
	return d.asked.Servers(ctx)
}

// LookupNetIP resolves a name as Dial does with ResolverSystem. Its error says more than that of package net.
func LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
	return addrs, explainLookup(ctx, err, new(net.Dialer).DialContext)
}

// explainLookup returns err as a *lookupError if it is that of a lookup. dial leads to DNS servers.
func explainLookup(ctx context.Context, err error, dial dialFunc) error {
	var dns *net.DNSError
	switch {
	case !errors.As(err, &dns):
		return err
	case dns.IsNotFound:
		return checkName(ctx, err, dns.Name, dial)
	case dns.Server == "":
		return &lookupError{err: err, servers: dnsServers(ctx, dns.Name)}
	}
	return err
}

// checkName adds to err whether name exists, which was not found.
func checkName(ctx context.Context, err error, name string, dial dialFunc) error {
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
	if _, second := resolver.LookupNetIP(ctx, "ip", name); !errors.As(second, &again) || !again.IsNotFound {
		return err // so nothing is known
	}
	return &lookupError{err: err, checked: true, exists: seen.existing(name)}
}

// dnsServers returns the DNS servers that this machine would ask for name. It asks none of them.
func dnsServers(ctx context.Context, name string) (servers []string) {
	var mu sync.Mutex
	resolver := net.Resolver{PreferGo: true, Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if !slices.Contains(servers, addr) {
			servers = append(servers, addr)
		}
		return nil, errOnlyNames
	}}
	_, _ = resolver.LookupNetIP(context.WithoutCancel(ctx), "ip", name) // fails
	return servers
}

var errOnlyNames = errors.New("only the names of DNS servers are wanted")

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
