package page

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pgorigin/pgorigin/health"
)

// origin is what origin.html shows.
type origin struct {
	health.OriginSnapshot
	now
	ID      string // of its element; its name can be any text
	Several bool   // there are other origins
}

// tag is a word in the colour of its level.
type tag struct {
	Level level
	Word  string
}

// State says whether the upstream can be reached.
func (o origin) State() tag {
	switch {
	case o.Wait.Away:
		return tag{bad, "away"}
	case o.Probe.State == health.ProbeDown:
		return tag{bad, "down"}
	case o.Probe.State == health.ProbeUnknown:
		return tag{wait, "not tried yet"}
	case o.Probe.Problem != nil:
		return tag{warn, "up, failed last"}
	}
	return tag{good, "up"}
}

// addressState words the state of a health.Address.
func addressState(state string) tag {
	switch state {
	case health.AddressGood:
		return tag{good, "good"}
	case health.AddressUnknown:
		return tag{wait, "not tried lately"}
	case health.AddressRefused:
		return tag{bad, "refuses"}
	case health.AddressNotReady:
		return tag{bad, "not ready"}
	case health.AddressUnreachable, health.AddressSilent, health.AddressFailing:
		return tag{bad, state}
	}
	return tag{wait, "unknown"}
}

// NameMatters reports whether the name of an address says something that the title does not.
func (o origin) NameMatters(a health.Address) bool {
	return len(o.Upstream) > 1 && a.Upstream != a.Address
}

// quantum says whether a key exchange was post-quantum.
func quantum(post bool) tag {
	if post {
		return tag{good, "post-quantum"}
	}
	return tag{warn, "not post-quantum"}
}

// reloadResult says whether the files of a health.Reload are in force.
func reloadResult(result string) tag {
	if result == health.ReloadOK {
		return tag{good, "loaded"}
	}
	return tag{bad, "refused"}
}

// checked says what is verified.
func checked(verify string) string {
	if verify == "verify-full" {
		return "chain and name"
	}
	return "chain, not the name"
}

// Upstreams returns the addresses of the upstream as configured.
func (o origin) Upstreams() string { return strings.Join(o.Upstream, ", ") }

// OpenSessions returns how many sessions are open, and the limit if there is one.
func (o origin) OpenSessions() string {
	if o.Sessions.Limit == 0 {
		return strconv.Itoa(o.Sessions.Open)
	}
	return strconv.Itoa(o.Sessions.Open) + " of " + strconv.Itoa(o.Sessions.Limit)
}

// certificate is one of a verified chain.
type certificate struct {
	health.Certificate
	validity
	Role string
}

// Chain returns the verified chain, the authority first.
func (o origin) Chain() []certificate {
	var chain []certificate
	for i, c := range o.Verified.Chain {
		role := "Intermediate"
		switch i {
		case len(o.Verified.Chain) - 1:
			role = "Server"
		case 0:
			role = "Authority"
		}
		chain = append(chain, certificate{c, validity{o.Moment(c.NotAfter)}, role})
	}
	return chain
}

// FirstToEnd returns the validity of the verified certificate that ends first. Nil means that none was seen
// yet.
func (o origin) FirstToEnd() *validity {
	if o.Verified == nil || len(o.Verified.Chain) == 0 {
		return nil
	}
	first := slices.MinFunc(o.Verified.Chain, func(a, b health.Certificate) int {
		return a.NotAfter.Compare(b.NotAfter)
	})
	return &validity{o.Moment(first.NotAfter)}
}

// configured is a certificate or revocation list of our own.
type configured struct {
	validity
	Role, Subject string
}

// Configured returns the certificates and revocation lists of our own.
func (o origin) Configured() []configured {
	roles := map[string]string{
		health.RoleCA: "Authority", health.RoleClient: "Client", health.RoleCRL: "Revocation list",
		health.RoleListener: "Listener",
	}
	var list []configured
	for _, e := range o.Own {
		list = append(list, configured{validity{o.Moment(e.NotAfter)}, roles[e.Role], e.Subject})
	}
	return list
}

// keyExchange words the state of a health.KeyExchange.
func keyExchange(state string) string {
	return map[string]string{
		"negotiated": "post-quantum", "server_lacks": "classical; the server offers no post-quantum group",
		"path_blocked": "post-quantum is blocked on the way", "disabled": "post-quantum is switched off",
	}[state]
}

// fallback words the fallback of a health.KeyExchange.
func fallback(kind string) string {
	return map[string]string{"small_segments": "small segments", "classical": "classical only"}[kind]
}

// listenAddr returns a bound address as clients know it; a path becomes unix:path.
func listenAddr(addr string) string {
	if _, err := netip.ParseAddrPort(addr); err != nil {
		return "unix:" + addr
	}
	return addr
}
