package resolver

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

const (
	// maxServers is how many name servers every resolver knows.
	maxServers = 3
	// maxSearch bounds the search list: each domain may be a question.
	maxSearch   = 32
	maxNdots    = 15
	maxTimeout  = 30 * time.Second
	maxAttempts = 5
	// maxName is the limit of a full name with its final dot.
	maxName = 254
	// maxConf is the limit of the file, in bytes.
	maxConf = 64 << 10
	// confLife is how long the file is believed to be unchanged.
	confLife = 5 * time.Second
	// confPatience is how long a lookup waits for the file. It uses the earlier settings then.
	confPatience = 250 * time.Millisecond
)

// conf is what resolv.conf says.
type conf struct {
	servers  []string // host:port
	search   []string // with a final dot
	ndots    int
	timeout  time.Duration // of one question to one server
	attempts int
	rotate   bool
	tcp      bool
}

// parseConf reads the text of a resolv.conf, like libc and package net. What it does not know, it leaves out.
// Without a search list, the domain of this machine's name is searched.
func parseConf(text, hostname string) conf {
	c := conf{ndots: 1, timeout: 5 * time.Second, attempts: 2}
	if _, domain, ok := strings.Cut(hostname, "."); ok && domain != "" {
		c.search = rooted([]string{domain})
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || line[0] == ';' || line[0] == '#' {
			continue
		}
		switch words[0] {
		case "nameserver":
			if ip, err := netip.ParseAddr(words[1]); err == nil && len(c.servers) < maxServers {
				c.servers = append(c.servers, net.JoinHostPort(ip.String(), "53"))
			}
		case "domain":
			c.search = rooted(words[1:2])
		case "search":
			c.search = rooted(words[1:min(len(words), 1+maxSearch)])
		case "options":
			for _, option := range words[1:] {
				c.set(option)
			}
		}
	}
	if c.servers == nil {
		c.servers = []string{"127.0.0.1:53"}
	}
	return c
}

// set reads one word of options.
func (c *conf) set(option string) {
	name, value, _ := strings.Cut(option, ":")
	n, err := strconv.Atoi(value)
	switch {
	case name == "rotate":
		c.rotate = true
	case name == "use-vc", name == "usevc", name == "tcp":
		c.tcp = true
	case err != nil:
	case name == "ndots":
		c.ndots = min(max(n, 0), maxNdots)
	case name == "timeout":
		c.timeout = min(max(time.Duration(n)*time.Second, time.Second), maxTimeout)
	case name == "attempts":
		c.attempts = min(max(n, 1), maxAttempts)
	}
}

// rooted returns domains with a final dot. The root itself is none.
func rooted(domains []string) []string {
	var all []string
	for _, domain := range domains {
		if domain = strings.TrimSuffix(domain, "."); domain != "" {
			all = append(all, domain+".")
		}
	}
	return all
}

// order returns the servers in the order in which they are asked.
func (c *conf) order() []string {
	if !c.rotate {
		return c.servers
	}
	first := rand.IntN(len(c.servers))
	return slices.Concat(c.servers[first:], c.servers[:first])
}

// names returns the full names that host may stand for, in their order. A final dot says that host is one. A
// host with ndots dots is tried as it is first, and any other host last.
func (c *conf) names(host string) []string {
	whole := strings.TrimSuffix(host, ".") + "."
	if strings.HasSuffix(host, ".") {
		return []string{whole}
	}
	var names []string
	for _, domain := range c.search {
		if name := whole + domain; len(name) <= maxName {
			names = append(names, name)
		}
	}
	if strings.Count(host, ".") >= c.ndots {
		return append([]string{whole}, names...)
	}
	return append(names, whole)
}

const (
	// resolvedStub is the server of systemd-resolved. It reads the hosts file, too, so it is not asked.
	resolvedStub = "127.0.0.53:53"
	// resolvedConf names the servers that systemd-resolved asks.
	resolvedConf = "/run/systemd/resolve/resolv.conf"
)

// confFile is a resolv.conf that may change.
type confFile struct {
	path   string // empty means that there is none
	uplink string // resolvedConf, outside tests
	reader configfile.Reader[*conf]

	mu      sync.Mutex
	current conf
	read    time.Time
}

// openConf reads a file for the first time.
func openConf(path string) (*confFile, error) {
	f := &confFile{path: path, uplink: resolvedConf, read: time.Now()}
	var err error
	f.current, err = f.parse()
	return f, err
}

// parse reads the file. In place of systemd-resolved, it has the servers that systemd-resolved asks.
func (f *confFile) parse() (conf, error) {
	text, _, err := configfile.Read(f.path, maxConf)
	if err != nil {
		return conf{}, err
	}
	c := parseConf(string(text), hostname())
	if !slices.Contains(c.servers, resolvedStub) {
		return c, nil
	}
	if text, _, err = configfile.Read(f.uplink, maxConf); err == nil && strings.Contains(string(text), "nameserver") {
		c.servers = parseConf(string(text), "").servers
	}
	return c, nil
}

func fixedConf(c conf) *confFile { return &confFile{current: c} }

func hostname() string {
	name, _ := os.Hostname() // without one, there is no domain
	return name
}

// load returns the settings in force. It reads the file anew if the settings are old. A file that cannot be
// read changes nothing: it may be about to be replaced.
func (f *confFile) load(ctx context.Context) conf {
	f.mu.Lock()
	current, fresh := f.current, time.Since(f.read) < confLife
	f.mu.Unlock()
	if fresh || f.path == "" {
		return current
	}
	ctx, cancel := context.WithTimeout(ctx, confPatience)
	defer cancel()
	parsed, err := f.reader.Do(ctx, func() *conf {
		c, err := f.parse()
		if err != nil {
			return nil
		}
		return &c
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && parsed != nil {
		f.current, f.read = *parsed, time.Now()
	}
	return f.current
}
