package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

// addrRules say which addresses a variable takes.
type addrRules struct {
	defaultPort string // empty means that an address needs a port
	example     string // for messages
	emptyHost   bool   // ":6432" means every address of this machine
	sockets     bool   // unix:/path is an address, too
}

// maxHost is the limit of RFC 1035 for a name, in bytes.
const maxHost = 253

// hostPattern matches DNS names. Host names have no underscore, but services of compose do.
var hostPattern = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)

// parseAddrs reads a comma list of addresses and returns each as host:port.
func parseAddrs(list string, rules addrRules) ([]string, error) {
	var addrs []string
	for entry := range strings.SplitSeq(list, ",") {
		addr, err := rules.parse(strings.TrimSpace(entry))
		if err != nil && strings.Contains(list, ",") {
			return nil, fmt.Errorf("entry %s: %w", Shown(strings.TrimSpace(entry)), err)
		}
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

// parseAddr reads a single address.
func parseAddr(value string, rules addrRules) (string, error) {
	addrs, err := parseAddrs(value, rules)
	if err != nil {
		return "", err
	}
	if len(addrs) != 1 {
		return "", errors.New("expected one address; keep one of them")
	}
	return addrs[0], nil
}

// parse reads one address. Its error says what pgorigin expects, and what to do.
func (r addrRules) parse(entry string) (string, error) {
	expected := func(cure string) error {
		return fmt.Errorf("expected host:port, for example %s; %s", r.example, cure)
	}
	switch {
	case entry == "":
		return "", expected("there is an empty entry, remove a comma")
	case strings.HasPrefix(entry, UnixScheme) && r.sockets:
		if _, err := SocketPath(entry); err != nil {
			return "", fmt.Errorf("expected unix:/dir or unix:/dir/file; the path %w", err)
		}
		return entry, nil
	case strings.HasPrefix(entry, "/") && r.sockets:
		return "", fmt.Errorf("expected host:port or unix:/dir; a Unix socket is written unix:%s", entry)
	case strings.HasPrefix(entry, UnixScheme) || strings.HasPrefix(entry, "/"):
		return "", expected("a Unix socket is not possible here")
	case strings.Contains(entry, "://") || strings.Contains(entry, "@"):
		cure := "of a URL keep only the part with host and port"
		if r.defaultPort != "" && !r.sockets {
			cure += ", or put the URL into UPSTREAM_URL instead"
		}
		return "", expected(cure)
	case strings.Contains(entry, "="):
		return "", expected("of a connection string keep only host and port")
	case strings.HasPrefix(entry, "*"):
		return "", expected("for every address of this machine write 0.0.0.0" + strings.TrimPrefix(entry, "*"))
	}
	host, port, err := splitHostPort(entry)
	if err != nil {
		return "", expected(err.Error())
	}
	if port == "" && r.defaultPort == "" {
		return "", expected("the port is missing")
	}
	if port == "" {
		port = r.defaultPort
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", expected("a port is a number from 1 to 65535")
	}
	if host != "" || !r.emptyHost {
		if err := checkHost(host); err != nil {
			return "", expected(err.Error())
		}
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}

// splitHostPort works like net.SplitHostPort with an optional port. Its errors are advice.
func splitHostPort(entry string) (host, port string, err error) {
	if inner, ok := strings.CutPrefix(entry, "["); ok {
		host, rest, closed := strings.Cut(inner, "]")
		if ip, err := netip.ParseAddr(host); !closed || err != nil || !ip.Is6() {
			return "", "", errors.New("brackets are for IPv6 addresses, as in [::1]:6432")
		}
		port, ok := strings.CutPrefix(rest, ":")
		if rest != "" && (!ok || port == "") {
			return "", "", errors.New("only :port may follow the bracket")
		}
		return host, port, nil
	}
	if ip, err := netip.ParseAddr(entry); err == nil && ip.Is6() {
		return "", "", fmt.Errorf("put an IPv6 address in brackets: [%s]", entry)
	}
	if strings.Count(entry, ":") > 1 {
		return "", "", errors.New("there is more than one colon; put an IPv6 address in brackets, as in [::1]:6432")
	}
	host, port, colon := strings.Cut(entry, ":")
	if colon && port == "" {
		return "", "", errors.New("there is no port after the colon")
	}
	if _, err := strconv.Atoi(host); err == nil && !colon {
		return "", "", fmt.Errorf("%s looks like a port alone, add the host", safetext.Quote(host))
	}
	return host, port, nil
}

// checkHost accepts IP addresses and DNS names. It refuses digits and dots that are not an IP address,
// because a resolver would need time to do so.
func checkHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	switch {
	case host == "":
		return errors.New("the host is missing")
	case strings.Trim(host, "0123456789.") == "":
		return fmt.Errorf("%s is no IP address", safetext.Quote(host))
	case len(host) > maxHost || !hostPattern.MatchString(host):
		return fmt.Errorf("%s is no host name", safetext.Quote(host))
	}
	return nil
}

// IsLoopback reports whether only this machine can reach a listener on addr. Of names, only localhost is
// believed.
func IsLoopback(addr string) bool {
	if strings.HasPrefix(addr, UnixScheme) {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return strings.EqualFold(host, "localhost")
	}
	return ip.Unmap().IsLoopback()
}

// sameAddr reports whether dialling dialled, or listening on it, would meet a listener on listen.
func sameAddr(listen, dialled string) bool {
	host1, port1, err1 := net.SplitHostPort(listen)
	host2, port2, err2 := net.SplitHostPort(dialled)
	if err1 != nil || err2 != nil || port1 != port2 {
		return false
	}
	ip1, every1 := LocalIP(host1)
	ip2, every2 := LocalIP(host2)
	switch {
	case every1 && every2:
		return true
	case every1:
		return ip2.IsLoopback()
	case every2:
		return ip1.IsLoopback()
	case ip1.IsValid() && ip2.IsValid():
		return ip1 == ip2
	}
	return strings.EqualFold(host1, host2)
}

// LocalIP returns the IP address in host, with localhost as 127.0.0.1, and whether it stands for every
// address of this machine. For any other name the address is not valid.
func LocalIP(host string) (ip netip.Addr, every bool) {
	if host == "" {
		return netip.IPv4Unspecified(), true
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), false
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, false
	}
	ip = ip.Unmap()
	return ip, ip.IsUnspecified()
}

// ListenIPs returns the TCP addresses on which clients are served. A name other than localhost is left out.
func (s *Config) ListenIPs() []netip.AddrPort {
	var all []netip.AddrPort
	for _, o := range s.AllOrigins() {
		for _, addr := range o.Listen.Addr {
			host, port, err := net.SplitHostPort(addr)
			if err != nil { // a Unix socket
				continue
			}
			number, _ := strconv.ParseUint(port, 10, 16) // addrRules.parse has checked it
			ip, _ := LocalIP(host)
			if host == "" {
				ip = netip.IPv6Unspecified() // which takes IPv4, too
			}
			if ip.IsValid() {
				all = append(all, netip.AddrPortFrom(ip, uint16(number)))
			}
		}
	}
	return all
}

const (
	// UnixScheme begins a listen address that is a Unix socket.
	UnixScheme = "unix:"
	// socketName is the file name that libpq makes of a directory and the default port.
	socketName = ".s.PGSQL.6432"
	// maxSocketPath is what fits into sockaddr_un on Linux.
	maxSocketPath = 107
)

// SocketPath returns the file that a listen address such as unix:/dir or unix:/dir/file stands for.
func SocketPath(addr string) (string, error) {
	path := addr[len(UnixScheme):]
	if !filepath.IsAbs(path) {
		return "", errors.New("is no absolute path")
	}
	path = filepath.Clean(path)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, socketName)
	}
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("is longer than the %d bytes that a socket path may have", maxSocketPath)
	}
	return path, nil
}

// sameListener reports whether two listen addresses are one.
func sameListener(a, b string) bool {
	if !strings.HasPrefix(a, UnixScheme) || !strings.HasPrefix(b, UnixScheme) {
		return sameAddr(a, b)
	}
	path1, err1 := SocketPath(a)
	path2, err2 := SocketPath(b)
	return err1 == nil && err2 == nil && path1 == path2
}
