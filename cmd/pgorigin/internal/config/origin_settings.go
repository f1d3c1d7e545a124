package config

import (
	"fmt"
	"net"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// Origin are the variables that each origin has for itself. The type is exported because envconfig leaves an
// embedded struct alone whose type is not.
type Origin struct {
	Upstream struct {
		Addr UpstreamAddrs `unset:"required" desc:"host[:6432] of pgbouncer or PostgreSQL; a comma list is tried in order; names are resolved anew for each connection"`
	}
	Listen struct {
		Addr             listenAddrs `default:"127.0.0.1:6432" desc:"plaintext address for clients; a comma list is possible; unix:/dir makes the socket /dir/.s.PGSQL.6432, unix:/dir/file that file"`
		AllowNonLoopback bool        `split_words:"true" default:"false" desc:"allow LISTEN_ADDR to be reachable from other machines, without encryption"`
		Socket           struct {
			Mode socketMode `default:"0600" desc:"file mode of Unix sockets"`
		}
		Allow struct {
			UIDs uidList `unset:"all" desc:"comma list of the numeric user IDs that may connect to the Unix sockets, whatever their mode; there may be no TCP address then"`
		}
	}
	TLS struct {
		ServerName string `split_words:"true" unset:"host of the upstream" desc:"name or IP address that the upstream's certificate must carry"`
		CA         struct {
			File string `unset:"system roots" desc:"PEM file with the CA certificates that the upstream's certificate must chain to"`
			PEM  string `hidden:"true" unset:"system roots" desc:"the same as text, instead of the file"`
		}
		Verify verifyMode `default:"verify-full" desc:"verify-full, or verify-ca to accept any name; that needs TLS_CA_FILE or TLS_CA_PEM"`
		CRL    struct {
			File string `unset:"none" desc:"PEM file with certificate revocation lists; each certificate below the root then needs one of its issuer, in force"`
		}
		Pins pinList `unset:"none" desc:"comma list of sha256/BASE64 of public keys; one of them must be in the verified chain, in addition"`
		Cert struct {
			File string `unset:"none" desc:"PEM file with the client certificate and its chain"`
		}
		Key struct {
			File string `unset:"none" desc:"PEM file with the private key of the client certificate; both or none"`
		}
		MinVersion     tlsVersion     `split_words:"true" default:"1.2" desc:"lowest TLS version to accept: 1.2 or 1.3"`
		Groups         TlsGroups      `unset:"Go's own" desc:"comma list of key-exchange groups to offer, such as X25519MLKEM768,X25519,P-256; a set: Go has an order of its own"`
		PostQuantum    postQuantum    `split_words:"true" default:"prefer" desc:"hybrid post-quantum key exchange: prefer falls back once, visibly, where the way upstream swallows it; require never does; off"`
		Negotiation    negotiation    `default:"postgres" desc:"postgres asks with SSLRequest; direct begins with TLS and ALPN, for PostgreSQL 17, pgbouncer 1.25 and later"`
		ResumeFor      Delay          `split_words:"true" default:"10m" desc:"how long after a whole TLS 1.3 handshake its session may be resumed: the server then signs nothing, all the rest is verified as ever; 0 turns that off"`
		ReloadInterval reloadInterval `split_words:"true" default:"30s" desc:"how often the certificate files are looked at, by content; 0 turns that off; SIGHUP looks at once"`
	}
	Auth struct {
		ChannelBinding channelBinding `split_words:"true" default:"strip" desc:"strip takes SCRAM-SHA-256-PLUS out of the server's offer, as libpq needs it; pass leaves it; bridge asks the client for a cleartext password and logs in itself, bound to the TLS channel, for every driver"`
		Require        requiredAuth   `unset:"any" desc:"comma list of the methods that the upstream may ask for: scram-sha-256, scram-sha-256-plus (bound, bridge only), oauth, md5, password, gss, sspi, none; an exclamation mark before each excludes them; unless it lists allowed methods, bridge accepts scram-sha-256 alone"`
		Password       struct {
			File string `unset:"ask the client" desc:"file with the password that bridge uses for every login; read for each"`
		}
	}
	WarmSpares  spareCount `split_words:"true" default:"0" desc:"verified connections to keep ready ahead of clients; each is a process of PostgreSQL, or one of pgbouncer's max_client_conn; 0 keeps none"`
	MaxSessions limit      `split_words:"true" default:"0" desc:"limit of sessions; more get SQLSTATE 53300; cancel requests do not count; with 0, memory and open files set the limit"`

	name      string          // "" for the unnamed one
	inherited map[string]bool // by word, such as TLS_CA_FILE: what was taken from the unnamed origin
}

// Name returns the name of the origin in logs and metrics.
func (o *Origin) Name() string {
	if o.name == "" {
		return DefaultOrigin
	}
	return o.name
}

// check finds what is wrong with values that parse; found are the problems with those that do not. The problems call
// variables as the unnamed origin does.
func (o *Origin) check(found []Problem) []Problem {
	var problems []Problem
	if mentions(found, Prefix+"LISTEN_ADDR") {
		o.Listen.Addr = nil // and not the default
	}
	if len(o.Upstream.Addr) == 0 && !mentions(found, Prefix+"UPSTREAM_ADDR") {
		problems = append(problems, Problem{
			Variable: Prefix + "UPSTREAM_ADDR", Unset: true,
			Text: "expected the address of pgbouncer or PostgreSQL; set it to host:port, for example pgbouncer.prod.svc:6432",
		})
	}
	for _, addr := range o.Listen.Addr {
		if !o.Listen.AllowNonLoopback && !IsLoopback(addr) {
			problems = append(problems, Problem{
				Variable: Prefix + "LISTEN_ADDR", Value: addr,
				Text: "expected a loopback address, because this leg is plaintext; use 127.0.0.1 or [::1], or set " +
					Prefix + "LISTEN_ALLOW_NON_LOOPBACK=true if the network in between is yours",
			})
		}
	}
	problems = append(problems, o.checkAuth()...)
	return append(problems, o.checkSockets()...)
}

// LoopbackOnly reports whether what a listener is really bound to keeps the promise of LISTEN_ADDR: a name such as
// localhost means what /etc/hosts makes of it.
func (o *Origin) LoopbackOnly(bound net.Addr) bool {
	return o.Listen.AllowNonLoopback || OnlyHere(bound)
}

// OnlyHere reports whether only this machine can reach a listener that is bound to addr.
func OnlyHere(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return addr.Network() == "unix" || (ok && tcp.IP.IsLoopback())
}

func (o *Origin) RootText(source tlsorigin.RootSource) string {
	switch source.Setting {
	case "CAFile":
		return o.Rename(Prefix+"TLS_CA_FILE") + " " + safetext.Printable(source.Path) + countText(source.Certificates)
	case "CAPEM":
		return o.Rename(Prefix+"TLS_CA_PEM") + countText(source.Certificates)
	case "":
		return strings.TrimSpace("system roots " + source.Path)
	}
	text := source.Setting + " " + safetext.Printable(source.Path)
	if source.Unreadable {
		text += " (not found)"
	}
	return text
}

func countText(n int) string {
	if n == 1 {
		return " (1 certificate)"
	}
	return fmt.Sprintf(" (%d certificates)", n)
}

// Verification says in one line what an upstream of o has to prove.
func (o *Origin) Verification() string {
	name := o.TLS.ServerName
	if name == "" {
		name = "the host of the address"
	}
	texts := []string{string(o.TLS.Verify) + ": chain and the name " + safetext.Printable(name)}
	if o.TLS.Verify == VerifyCA {
		texts = []string{string(o.TLS.Verify) + ": chain, no name"}
	}
	if n := len(o.TLS.Pins); n > 0 {
		texts = append(texts, fmt.Sprintf("one of %d pinned keys", n))
	}
	if o.TLS.CRL.File != "" {
		texts = append(texts, "not revoked by "+safetext.Printable(o.TLS.CRL.File))
	}
	return strings.Join(append(texts, "TLS "+o.TLS.MinVersion.String()+" or later"), ", ")
}
