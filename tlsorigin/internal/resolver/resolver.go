package resolver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Resolver asks DNS servers. Its methods may be called concurrently.
type Resolver struct {
	conf *confFile
	only string // host:port of the only server; empty means those of the file
	dial dialFunc
}

// dialFunc opens a connection to a DNS server, as net.Dialer.DialContext does.
type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// resolvConf is the file that most systems have. See resolv.conf(5).
const resolvConf = "/etc/resolv.conf"

// New returns a Resolver for the servers of resolv.conf. The error says that there is no such file.
func New() (*Resolver, error) {
	file, err := openConf(resolvConf)
	if err != nil {
		return nil, err
	}
	return &Resolver{conf: file, dial: new(net.Dialer).DialContext}, nil
}

// NewFor returns a Resolver that asks one server. If there is a resolv.conf, its search list and its options
// are in force.
func NewFor(server netip.AddrPort) *Resolver {
	file, err := openConf(resolvConf)
	if err != nil {
		file = fixedConf(parseConf("", ""))
	}
	return &Resolver{conf: file, only: server.String(), dial: new(net.Dialer).DialContext}
}

// Error says why a lookup gave no address. It wraps a *net.DNSError.
type Error struct {
	Err     *net.DNSError // IsNotFound: the servers answered, and there is no address
	Exists  string        // a name that exists, perhaps with a search domain; empty if none does
	Servers []string      // those that were asked, as host:port
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Servers returns the DNS servers in force, as host:port, in their order.
func (r *Resolver) Servers(ctx context.Context) []string { return r.settings(ctx).servers }

// settings returns those in force.
func (r *Resolver) settings(ctx context.Context) conf {
	c := r.conf.load(ctx)
	if r.only != "" {
		c.servers = []string{r.only}
	}
	return c
}

// LookupNetIP returns the addresses of host, IPv4 first. The network is ip, ip4 or ip6. The error is an *Error.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	types := typesOf(network)
	if isLocalhost(host) {
		return loopback(types), nil
	}
	c := r.settings(ctx)
	var all outcome
	for _, name := range c.names(host) {
		found := r.lookUp(ctx, c, name, types)
		if len(found.addrs) > 0 {
			return found.addrs, nil
		}
		all.add(found)
		if found.silent { // other names would have to wait for as long
			break
		}
	}
	return nil, all.failure(host)
}

func typesOf(network string) []dnsmessage.Type {
	switch network {
	case "ip4":
		return []dnsmessage.Type{dnsmessage.TypeA}
	case "ip6":
		return []dnsmessage.Type{dnsmessage.TypeAAAA}
	}
	return []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA}
}

// isLocalhost reports whether host is a name of loopback by RFC 6761. The resolver asks no DNS server for it.
func isLocalhost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func loopback(types []dnsmessage.Type) []netip.Addr {
	var addrs []netip.Addr
	if slices.Contains(types, dnsmessage.TypeA) {
		addrs = append(addrs, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	if slices.Contains(types, dnsmessage.TypeAAAA) {
		addrs = append(addrs, netip.IPv6Loopback())
	}
	return addrs
}

// outcome is what came of one or several questions. Its zero value says that a name does not exist.
type outcome struct {
	addrs  []netip.Addr
	exists string // a name that exists
	silent bool   // no server answered at all

	err    error // why there is no answer; nil: there is one
	server string
	asked  []string
}

// add adds what came of another question. Of two failures, the later one is reported.
func (o *outcome) add(other outcome) {
	o.addrs = append(o.addrs, other.addrs...)
	o.silent = o.silent || other.silent
	if o.exists == "" {
		o.exists = other.exists
	}
	if other.err != nil {
		o.err, o.server = other.err, other.server
	}
	for _, server := range other.asked {
		if !slices.Contains(o.asked, server) {
			o.asked = append(o.asked, server)
		}
	}
}

// failure returns why host has no address. Without an answer for each of its names, nobody knows whether it has
// one: a caller that has an earlier answer may use that.
func (o *outcome) failure(host string) *Error {
	e := &Error{Err: &net.DNSError{Name: host}, Servers: o.asked}
	if o.err == nil {
		e.Err.Err, e.Err.IsNotFound, e.Exists = "no such host", true, o.exists
		return e
	}
	var timeout net.Error
	e.Err.Err, e.Err.Server, e.Err.IsTemporary, e.Err.UnwrapErr = reasonOf(o.err), o.server, true, o.err
	e.Err.IsTimeout = errors.Is(o.err, context.DeadlineExceeded) || errors.As(o.err, &timeout) && timeout.Timeout()
	return e
}

// lookUp asks for one full name, for all types side by side.
func (r *Resolver) lookUp(ctx context.Context, c conf, name string, types []dnsmessage.Type) outcome {
	answers := make([]chan outcome, len(types))
	for i, kind := range types {
		answers[i] = make(chan outcome, 1)
		go func() { answers[i] <- r.ask(ctx, c, name, kind) }()
	}
	var all outcome
	for _, answer := range answers {
		all.add(<-answer)
	}
	return all
}

// ask asks the servers in their order until one has an answer. A name that does not exist is an answer.
func (r *Resolver) ask(ctx context.Context, c conf, name string, kind dnsmessage.Type) outcome {
	found := outcome{silent: true}
	full, err := dnsmessage.NewName(name)
	if err != nil {
		return outcome{err: errName}
	}
	q := dnsmessage.Question{Name: full, Type: kind, Class: dnsmessage.ClassINET}
	for range c.attempts {
		for _, server := range c.order() {
			a, err := r.exchange(ctx, c, server, q)
			found.add(outcome{err: err, server: server, asked: []string{server}})
			switch {
			case err == nil:
				found.addrs, found.err, found.silent = a.addrs, nil, false
				if a.exists {
					found.exists = strings.TrimSuffix(name, ".")
				}
				return found
			case ctx.Err() != nil:
				return found
			case isAnswered(err):
				found.silent = false
			}
		}
	}
	return found
}
