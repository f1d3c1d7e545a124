package check

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// change is one thing to change about a connection. No change asks less of the upstream's certificate.
type change struct {
	text     string
	settings []setting        // of one room, such as a certificate and its key; none for another kind of change
	addrs    []string         // of the upstream, if a part of a URL changes; nil if none does
	addr     *tlsorigin.Addr  // where to connect instead; nil for the address that failed
	offer    *tlsorigin.Offer // what no setting does; nil for the hello of a connection
	asks     bool             // works only if a login is not refused for want of a client certificate
	timeout  time.Duration    // zero for the usual one
	cure     string           // if it works
	same     string           // is in other cures that say to do the same; empty for none
	last     bool             // the other cures come first, because this one may only evade the fault
}

// setting is a variable and its value. It is unset if the value is empty.
type setting struct{ variable, value string }

func (s setting) text() string {
	if s.value == "" {
		return s.variable + " unset"
	}
	return s.variable + "=" + s.value
}

// changes returns what may help with the failure of d, the likeliest first. The first change that works
// becomes the cure. If none does, longer may help.
func (c *originChecker) changes(d *diagnose.Address) []change {
	var list []change
	switch d.Failed {
	case "": // it needs a fallback
		list = c.postQuantum()
	case diagnose.StageTCP:
		list = c.otherPorts(d)
	case diagnose.StageSSLRequest:
		if d.Err.Kind == tlsorigin.ReasonTLSInjection {
			return nil // whatever helps here helps an attacker
		}
		list = slices.Concat(again(), c.negotiation(), c.otherPorts(d))
	case diagnose.StageTLS:
		list = slices.Concat(again(), c.hostAsName(), c.version(), c.postQuantum(), c.groups(d),
			c.withoutClientCertificate())
		if d.SSLRequest == 0 { // otherwise it has agreed to TLS in this way
			list = slices.Insert(list, 1, c.negotiation()...)
		}
	case diagnose.StageName:
		list = slices.Concat(c.hostAsName(), c.certificatesName(d))
	case diagnose.StageClientCertificate:
		list = c.withoutClientCertificate()
	case diagnose.StageDNS, diagnose.StageChain, diagnose.StageKeyExchange:
		return nil // no setting but the address and the trusted certificates
	}
	if d.Failed == diagnose.StageTLS {
		list = append(list, c.offers(d)...)
	}
	return list
}

// again changes nothing. If it works, the failure comes and goes, and no other trial proves anything.
func again() []change {
	return []change{{
		text: "the same again",
		cure: "Connect again: the second attempt connected, so the failure comes and goes.",
	}}
}

// set changes a variable of this origin alone.
func (c *originChecker) set(word, value string) []change {
	s := setting{c.origin.Fill("{own:" + word + "}"), value}
	return []change{{
		text: s.text(), settings: []setting{s},
		cure: "Set " + s.text() + " (tried: it connects).", same: s.text(),
	}}
}

// setAddress changes where the upstream is. In a URL, only the port has to change.
func (c *originChecker) setAddress(addrs []string, port string, last bool) change {
	verb := "Set "
	if last {
		verb = "Or set "
	}
	if c.origin.Upstream.URL != "" {
		text := c.origin.Fill("the port in {UPSTREAM_URL} to ") + port
		return change{text: "set " + text, addrs: addrs, cure: verb + text + " (tried: it connects).", last: last}
	}
	made := c.set("UPSTREAM_ADDR", strings.Join(addrs, ","))[0]
	made.cure, made.last = verb+made.text+" (tried: it connects).", last
	return made
}

// unset unsets variables of this origin. A value that is inherited stays, because others have it, too.
func (c *originChecker) unset(words ...string) []change {
	var settings []setting
	var names []string
	for _, word := range words {
		name := c.origin.Fill("{own:" + word + "}")
		if name != c.origin.Fill("{"+word+"}") {
			return nil
		}
		settings, names = append(settings, setting{name, ""}), append(names, name)
	}
	return []change{{
		text: settings[0].text(), settings: settings,
		cure: "Unset " + strings.Join(names, " and ") + " (tried: it connects).", same: "Unset " + names[0],
	}}
}

func (c *originChecker) negotiation() []change {
	if c.origin.TLS.Negotiation == tlsorigin.NegotiateDirect {
		return c.set("TLS_NEGOTIATION", string(tlsorigin.NegotiatePostgres))
	}
	return c.set("TLS_NEGOTIATION", string(tlsorigin.NegotiateDirect))
}

// postgresPort is PostgreSQL's own. An address that has it is rarely a mistake.
const postgresPort = "5432"

// usualPorts are those of PostgreSQL and pgbouncer.
func usualPorts() []uint16 { return []uint16{5432, 6432} }

// otherPorts are the other usual ports of the same host. A pooler there may need the server that fails, and a
// server that speaks Postgres without TLS has the right port. Then another port is the last cure.
func (c *originChecker) otherPorts(d *diagnose.Address) []change {
	host, port, err := net.SplitHostPort(d.Addr.Host)
	resolved, ok := d.Addr.TCP.(*net.TCPAddr)
	if err != nil || !ok || d.Err.Kind == tlsorigin.ReasonUpstreamUnreachable {
		return nil
	}
	var list []change
	for _, other := range usualPorts() {
		text := strconv.Itoa(int(other))
		if text == port {
			continue
		}
		addr := net.JoinHostPort(host, text)
		addrs := slices.Clone(c.origin.Upstream.Addr)
		for i := range addrs {
			if addrs[i] == d.Addr.Host {
				addrs[i] = addr
			}
		}
		last := port == postgresPort || d.Err.Kind == tlsorigin.ReasonTLSRefused
		change := c.setAddress(addrs, text, last)
		ip := netip.AddrPortFrom(resolved.AddrPort().Addr(), other)
		change.addr = &tlsorigin.Addr{TCP: net.TCPAddrFromAddrPort(ip), Host: addr}
		list = append(list, change)
	}
	return list
}

// hostAsName expects the host's own name in place of another one.
func (c *originChecker) hostAsName() []change {
	if c.origin.TLS.ServerName == "" {
		return nil
	}
	return c.unset("TLS_SERVER_NAME")
}

// certificatesName expects the name of the certificate, if an authority of one's own suggests it.
func (c *originChecker) certificatesName(d *diagnose.Address) []change {
	if d.Err.Case != tlsorigin.CaseOtherName {
		return nil
	}
	list := c.set("TLS_SERVER_NAME", d.Err.Value)
	list[0].cure = "Set " + list[0].text + ", if that is the server that you mean (tried: it connects)."
	return list
}

func (c *originChecker) version() []change {
	if c.origin.TLS.MinVersion == tls.VersionTLS13 {
		return c.set("TLS_MIN_VERSION", "1.2")
	}
	return c.set("TLS_MIN_VERSION", "1.3")
}

func (c *originChecker) postQuantum() []change {
	if c.origin.TLS.PostQuantum == tlsorigin.PostQuantumPrefer {
		return c.set("TLS_POST_QUANTUM", string(tlsorigin.PostQuantumOff))
	}
	return c.set("TLS_POST_QUANTUM", string(tlsorigin.PostQuantumPrefer))
}

// groups offers those groups that work alone.
func (c *originChecker) groups(d *diagnose.Address) []change {
	var works []tls.CurveID
	for i := range d.KeyExchange {
		if row := &d.KeyExchange[i]; i > 0 && row.Outcome == diagnose.TrialWorks {
			works = append(works, row.Offered...)
		}
	}
	if len(works) == 0 {
		return nil
	}
	return c.set("TLS_GROUPS", strings.Join(tlsorigin.GroupNames(works), ","))
}

func (c *originChecker) withoutClientCertificate() []change {
	if c.origin.TLS.CertFile == "" {
		return nil
	}
	list := c.unset("TLS_CERT_FILE", "TLS_KEY_FILE")
	for i := range list {
		list[i].asks = !c.options.NoStartup
	}
	return list
}

// longer waits longer for an upstream that gave no answer in time, if so much time is left.
func (c *originChecker) longer(d *diagnose.Address, left time.Duration) []change {
	const factor = 3
	limit := c.settings.DialTimeout
	waited := d.Err != nil && slices.Contains([]tlsorigin.Reason{
		tlsorigin.ReasonUpstreamTimeout, tlsorigin.ReasonUpstreamSilent, tlsorigin.ReasonTLSTimeout,
	}, d.Err.Kind)
	if !waited || left < limit*3/2 {
		return nil
	}
	list := c.set("DIAL_TIMEOUT", (factor * limit).String())
	list[0].timeout = factor * limit
	return list
}

// offers are hellos that no setting sends. What works says where the fault is.
func (c *originChecker) offers(d *diagnose.Address) []change {
	var list []change
	offer := func(text, cure string, o tlsorigin.Offer) {
		list = append(list, change{text: text, offer: &o, cure: cure})
	}
	name := c.serverName(d)
	if _, err := netip.ParseAddr(name); err != nil { // an IP address is never sent
		offer("without a server name (SNI)", "Let the upstream, or the proxy before it, accept the name "+name+
			": without SNI, it connects.", tlsorigin.Offer{NoServerName: true})
	}
	if c.origin.TLS.Negotiation != tlsorigin.NegotiateDirect {
		offer("without a protocol name (ALPN)", "Let the upstream, or the proxy before it, accept the protocol "+
			"postgresql (ALPN): without ALPN, it connects.", tlsorigin.Offer{NoProtocols: true})
	}
	if c.origin.TLS.MinVersion == tls.VersionTLS13 || c.origin.TLS.PostQuantum == tlsorigin.PostQuantumRequire {
		return list
	}
	offer("only TLS 1.2", "Update TLS 1.3 of the upstream, or of what inspects TLS on the way: with TLS 1.2 alone, "+
		"it connects.", tlsorigin.Offer{MaxVersion: tls.VersionTLS12})
	const oneKey = "Correct the certificates of the upstream: with one of %s alone, it connects."
	offer("only TLS 1.2 with RSA", fmt.Sprintf(oneKey, "RSA"), tlsorigin.Offer{
		MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	})
	offer("only TLS 1.2 with ECDSA", fmt.Sprintf(oneKey, "ECDSA"), tlsorigin.Offer{
		MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	})
	return list
}

// serverName returns the name that the certificate must carry.
func (c *originChecker) serverName(d *diagnose.Address) string {
	if c.origin.TLS.ServerName != "" {
		return c.origin.TLS.ServerName
	}
	host, _, _ := net.SplitHostPort(d.Addr.Host) // it was split before
	return host
}
