package config

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

// resolvers are system, dns, and the IP address of a DNS server. A name would need a resolver itself.
func resolvers() Type {
	return Type{Name: "system, dns or IP address", parse: func(value string) (string, error) {
		value = strings.ToLower(strings.TrimSpace(value))
		if value == tlsorigin.ResolverSystem || value == tlsorigin.ResolverDNS {
			return value, nil
		}
		server, err := netip.ParseAddrPort(value)
		if ip, alone := netip.ParseAddr(strings.Trim(value, "[]")); alone == nil {
			server, err = netip.AddrPortFrom(ip, dnsPort), nil
		}
		if err != nil || server.Port() == 0 || server.Addr().IsUnspecified() {
			return "", errors.New("expected system, dns, or the IP address of a DNS server such as 10.96.0.10 or " +
				"127.0.0.1:5353")
		}
		return server.String(), nil
	}}
}

// dnsPort is the port of DNS servers.
const dnsPort = 53

// maxHostsFile is the limit of the hosts file, in bytes.
const maxHostsFile = 1 << 20

// hostsFile returns the path of the file that leads names to addresses before DNS does.
func hostsFile() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("SystemRoot"), "System32", "drivers", "etc", "hosts")
	}
	return "/etc/hosts"
}

// hostsOf returns the addresses that the hosts file at path has for name. A file that cannot be read has none.
func hostsOf(path, name string) []string {
	text, _, err := configfile.Read(path, maxHostsFile)
	if err != nil {
		return nil
	}
	var addrs []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		for _, known := range words[min(1, len(words)):] {
			if strings.EqualFold(strings.TrimSuffix(known, "."), strings.TrimSuffix(name, ".")) {
				addrs = append(addrs, words[0])
				break
			}
		}
	}
	return addrs
}

// checkHostsFile finds upstreams whose name the hosts file at path leads to one of our own listeners, and nowhere
// else. It asks no DNS server.
func (s *Config) checkHostsFile(path string) []Problem {
	var problems []Problem
	for _, o := range s.AllOrigins() {
		if o.Upstream.Resolver != tlsorigin.ResolverSystem {
			continue
		}
		for _, upstream := range o.Upstream.Addr {
			host, port, err := net.SplitHostPort(upstream)
			if ip, _ := LocalIP(host); err != nil || ip.IsValid() {
				continue // checkLoops knows these
			}
			variable, listen := s.listenerBehind(hostsOf(path, host), port)
			if variable == "" {
				continue
			}
			problems = append(problems, Problem{
				Variable: o.Variable("UPSTREAM_ADDR"), Value: upstream,
				Text: o.Fill("expected a name that leads to the server, but {} leads it to our own "+variable+
					" ({}), so pgorigin would connect to itself; set {own:UPSTREAM_RESOLVER}=dns, and pgorigin "+
					"does not read that file", path, listen),
			})
		}
	}
	return problems
}

// listenerBehind returns the listener to which all of these IP addresses lead, with the name of its variable. Both
// are empty if one leads elsewhere.
func (s *Config) listenerBehind(ips []string, port string) (variable, addr string) {
	for _, ip := range ips {
		if variable, addr = s.listenerAt(net.JoinHostPort(ip, port)); variable == "" {
			return "", ""
		}
	}
	return variable, addr
}

// listenerAt returns the listener that a connection to addr would reach.
func (s *Config) listenerAt(addr string) (variable, listen string) {
	for _, o := range s.AllOrigins() {
		for _, listen := range o.Listen.Addr {
			if sameAddr(listen, addr) {
				return o.Variable("LISTEN_ADDR"), listen
			}
		}
	}
	return "", ""
}
