package main

import (
	"errors"
	"strings"
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

// allReasons returns the words alone.
func allReasons() []string {
	var reasons []string
	for _, row := range cures() {
		reasons = append(reasons, row.reason)
	}
	return reasons
}

// dialReasons returns the words with which opening an upstream leg can end.
func dialReasons() []string {
	reasons := []string{"ok", "client_cert_rejected"}
	for _, reason := range allReasons() {
		ofDial := strings.HasPrefix(reason, "upstream_") || strings.HasPrefix(reason, "tls_") || strings.HasPrefix(reason, "cert_")
		if ofDial && reason != "upstream_protocol" { // that one needs a login under way
			reasons = append(reasons, reason)
		}
	}
	return reasons
}

// hint is what pgwire tells a client behind the error itself: the cure for err's reason, "" without one.
func hint(err error) string {
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
