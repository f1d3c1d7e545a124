package advice

import (
	"errors"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// cureRow says what a person changes when something ended with that reason.
type cureRow struct{ reason, cure string }

// cures is the closed vocabulary of reasons, in the order of the documentation, each with the cure that a client gets as
// hint. An empty cure is for an end that nobody has to do anything about.
func cures() []cureRow {
	return []cureRow{
		{"ok", ""},
		{"client_protocol", "Let a Postgres client connect here, with sslmode=disable; health endpoints are at PGORIGIN_HEALTH_ADDR."},
		{"client_gone", ""},
		{"client_timeout", "Let the client send its startup packet at once, or raise PGORIGIN_LOGIN_TIMEOUT."},
		{"client_denied", "Add the client's user ID to PGORIGIN_LISTEN_ALLOW_UIDS, or connect as one that is there."},
		{"too_many_sessions", "Use fewer connections, or raise the limit that the message names: PGORIGIN_MAX_SESSIONS, memory or open files."},
		{"draining", "Connect again: this pgorigin is shutting down. PGORIGIN_SHUTDOWN_TIMEOUT is how long running sessions may go on."},
		{"upstream_dns", "Check the host in PGORIGIN_UPSTREAM_ADDR and the name service of this machine or pod."},
		{"upstream_refused", "Check that the server runs and that PGORIGIN_UPSTREAM_ADDR has its port; pgbouncer usually has 6432, PostgreSQL 5432."},
		{"upstream_unreachable", "Check PGORIGIN_UPSTREAM_ADDR and the routes and network policies on the way there."},
		{"upstream_timeout", "Check firewalls and network policies on the way to PGORIGIN_UPSTREAM_ADDR, or raise PGORIGIN_DIAL_TIMEOUT."},
		{"upstream_gone", "Connect again; if this repeats, the server's log says why it closes connections, and PGORIGIN_UPSTREAM_ADDR names that server."},
		{"upstream_lost", "Connect again. If this repeats, check the machine at PGORIGIN_UPSTREAM_ADDR and the network on the way there."},
		{"upstream_protocol", "Check that PGORIGIN_UPSTREAM_ADDR is a pgbouncer or PostgreSQL server."},
		{"tls_refused", "Switch TLS on in the server (pgbouncer: client_tls_sslmode=require, PostgreSQL: ssl=on), or let PGORIGIN_UPSTREAM_ADDR name one that has it."},
		{"tls_injection", "Somebody on the way to PGORIGIN_UPSTREAM_ADDR may be injecting plaintext: find out who before you connect again."},
		{"tls_protocol", "Check that PGORIGIN_UPSTREAM_ADDR is a Postgres port, that the server has a TLS version from PGORIGIN_TLS_MIN_VERSION on, and, with PGORIGIN_TLS_NEGOTIATION=direct, that it is new enough for that."},
		{"tls_timeout", "The server accepts connections but does not finish TLS: check its load and the MTU of the way there, try PGORIGIN_TLS_POST_QUANTUM=off, or raise PGORIGIN_DIAL_TIMEOUT."},
		{"tls_alert", "The server ended TLS: its log says why. If it wants a client certificate, set PGORIGIN_TLS_CERT_FILE and PGORIGIN_TLS_KEY_FILE; it must also have a TLS version from PGORIGIN_TLS_MIN_VERSION on."},
		{"tls_alpn", "The server did not agree to speak Postgres inside TLS: check that PGORIGIN_UPSTREAM_ADDR is a Postgres port, or set PGORIGIN_TLS_NEGOTIATION=postgres."},
		{"cert_unknown_authority", "Set PGORIGIN_TLS_CA_FILE (or PGORIGIN_TLS_CA_PEM) to the CA that signed the server's certificate, and let the server send its intermediates."},
		{"cert_name_mismatch", "Set PGORIGIN_TLS_SERVER_NAME to a name that the certificate carries, if that is the server you mean, or get a certificate for the host in PGORIGIN_UPSTREAM_ADDR."},
		{"cert_expired", "Renew the server's certificate (the one at PGORIGIN_UPSTREAM_ADDR) and check this machine's clock; an expired CA is replaced in PGORIGIN_TLS_CA_FILE."},
		{"cert_not_yet_valid", "Check the clocks of this machine and of the one that issued the server's certificate (the one at PGORIGIN_UPSTREAM_ADDR)."},
		{"cert_revoked", "Replace the server's certificate (the one at PGORIGIN_UPSTREAM_ADDR): a list in PGORIGIN_TLS_CRL_FILE says that it, or an authority above it, is revoked."},
		{"cert_pin_mismatch", "Check who is at PGORIGIN_UPSTREAM_ADDR: its chain is valid but has none of the keys in PGORIGIN_TLS_PINS. If its key was replaced on purpose, add the new pin, which the message names."},
		{"cert_usage", "Issue the server's certificate (the one at PGORIGIN_UPSTREAM_ADDR) for server authentication."},
		{"cert_invalid", "Replace the server's certificate, or the CA in PGORIGIN_TLS_CA_FILE, by one that follows the rules named in the message; a missing or outdated CRL belongs into PGORIGIN_TLS_CRL_FILE."},
		{"client_cert_rejected", "Set PGORIGIN_TLS_CERT_FILE and PGORIGIN_TLS_KEY_FILE to a certificate that the server trusts; the server's log says what it dislikes."},
		{"auth_rejected", "Check user, password and database; the server's own message says more. PGORIGIN_AUTH_REQUIRE lists the methods that a server may ask for. Unless it lists allowed methods, a bridge accepts scram-sha-256 alone."},
		{"auth_channel_binding", "Set PGORIGIN_AUTH_CHANNEL_BINDING=bridge, with which pgorigin logs in itself and binds the channel, for every driver; or =pass for a client whose own channel binding is switched off. A bridge needs PGORIGIN_LISTEN_ADDR on loopback or a Unix socket, or PGORIGIN_AUTH_PASSWORD_FILE."},
		{"login_timeout", "Check the load of the server at PGORIGIN_UPSTREAM_ADDR, or raise PGORIGIN_LOGIN_TIMEOUT."},
	}
}

// Reasons returns the words alone.
func Reasons() []string {
	var reasons []string
	for _, row := range cures() {
		reasons = append(reasons, row.reason)
	}
	return reasons
}

// DialReasons returns the words with which opening an upstream leg can end.
func DialReasons() []string {
	reasons := []string{"ok", "client_cert_rejected"}
	for _, reason := range Reasons() {
		ofDial := strings.HasPrefix(reason, "upstream_") || strings.HasPrefix(reason, "tls_") || strings.HasPrefix(reason, "cert_")
		if ofDial && reason != "upstream_protocol" { // that one needs a login under way
			reasons = append(reasons, reason)
		}
	}
	return reasons
}

// Hint is what pgwire tells a client behind the error itself: the cure for err's reason, "" without one.
func Hint(err error) string {
	var reasoned interface{ Reason() string }
	if !errors.As(err, &reasoned) {
		return ""
	}
	for _, row := range cures() {
		if row.reason == reasoned.Reason() {
			return row.cure
		}
	}
	return ""
}

// VanishCure is for a large ClientHello that gets no answer where a small one does.
const VanishCure = "Let the firewalls and inspection boxes on the way to PGORIGIN_UPSTREAM_ADDR pass a ClientHello of more than one packet, " +
	"or set PGORIGIN_TLS_POST_QUANTUM=off to send small ones only."

func ExpiryCure(role string) string {
	switch role {
	case health.RoleCA:
		return "add the next CA to " + config.Prefix + "TLS_CA_FILE"
	case health.RoleClient:
		return "renew it, in " + config.Prefix + "TLS_CERT_FILE and " + config.Prefix + "TLS_KEY_FILE"
	case health.RoleCRL:
		return "put the issuer's latest list into " + config.Prefix + "TLS_CRL_FILE"
	}
	return "renew the certificate of the server at " + config.Prefix + "UPSTREAM_ADDR"
}

// CauseText says how the first ClientHello came to nothing, and what that usually means.
func CauseText(cause tlsorigin.PathCause) string {
	switch cause {
	case tlsorigin.CausePacketsLost:
		return "large packets are lost on the way: check MTU"
	case tlsorigin.CauseUnanswered:
		return "the hello was delivered but not answered: an inspection box or a server that reads once"
	case tlsorigin.CauseReset:
		return "the hello was answered by a reset: an inspection box or a server that reads once"
	case tlsorigin.CauseClosed:
		return "the hello was answered by closing the connection: an inspection box or a server that reads once"
	}
	return "the hello was not answered"
}

func FallbackCure(f tlsorigin.Fallback) string {
	if f == tlsorigin.FallbackSmallSegments {
		return "repair the MTU, or let ICMP 'fragmentation needed' pass; until then TCP segments are small"
	}
	return "let the box on the way pass a ClientHello in two segments; " + config.Prefix +
		"TLS_POST_QUANTUM=off stops asking, =require refuses to go without"
}

// CureFor returns the cure of a reason, "" for a word that has none.
func CureFor(reason string) string {
	for _, row := range cures() {
		if row.reason == reason {
			return row.cure
		}
	}
	return ""
}
