package advice

import (
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// ofRefusal are the ends for a reason that only an ErrorResponse of the upstream has.
func ofRefusal(phases ...pgwire.Phase) []end {
	var ends []end
	for _, phase := range phases {
		ends = append(ends, end{phase, serversOwn})
	}
	return ends
}

// withCase makes the row of a case.
func withCase(which pgwire.Case, when string, cures ...string) reasonCase {
	return reasonCase{Case: string(which), When: when, Cures: cures}
}

// ofSome makes the row of a case that concerns only some users or databases.
func ofSome(which pgwire.Case, when string, cures ...string) reasonCase {
	c := withCase(which, when, cures...)
	c.Some = true
	return c
}

// poolerServer is the case of a pooler that works and has no server.
func poolerServer() reasonCase {
	return withCase(pgwire.CasePoolerServer, "the pooler cannot log in to the server behind it",
		"Start the PostgreSQL server behind the pooler at {UPSTREAM_ADDR}, or correct how the pooler reaches it.",
		"The log of the pooler says why it cannot log in there. A database may also be paused: RESUME ends that.")
}

// timeLimit is a case of upstream_gone, as the next two are.
func timeLimit() reasonCase {
	return withCase(pgwire.CaseTimeLimit, "a time limit of the upstream ended the session",
		"Raise {} at the upstream, or let the application use and end its connections and transactions sooner.",
		"Let the application's pool close connections before that limit.")
}

func didNotWait() reasonCase {
	return withCase(pgwire.CaseClientSilent, "it ended while the upstream waited for the client to authenticate",
		"Make the client answer sooner: it may wait for a person to enter a password.",
		"Or raise authentication_timeout of PostgreSQL, or client_login_timeout of pgbouncer.")
}

func recoveryConflict() reasonCase {
	return withCase(pgwire.CaseConflict, "the session was in the way of the recovery of a standby",
		"Connect again, and repeat the transaction.",
		"If this repeats, raise max_standby_streaming_delay of the standby, or set hot_standby_feedback=on.")
}

func upstreamShutdown() reason {
	return reason{
		Word:      "upstream_shutdown",
		Stages:    []diagnose.Stage{StageAuthentication, StageLogin},
		Ends:      append(ofRefusal(pgwire.PhaseAuth, pgwire.PhaseRelay), end{pgwire.PhaseRelay, connectionLost}),
		Everybody: true,
		Meaning:   "The upstream shuts down or restarts, or its administrator ended the session.",
		Cures: []string{
			"Connect again, as soon as the upstream at {UPSTREAM_ADDR} runs.",
			"With {UPSTREAM_WAIT}, new clients wait until then.",
			"If this repeats, read its log: it says who or what stops it.",
		},
	}
}

// maxSessions is a case of too_many_sessions.
func maxSessions() reasonCase {
	return withCase(pgwire.CaseMaxSessions, "the limit is that of the configuration",
		"Raise {own:MAX_SESSIONS}.", "Or let the application use a smaller pool.")
}

// sentHTTP is a case of client_protocol.
func sentHTTP() reasonCase {
	return withCase(pgwire.CaseHTTPRequest, "the client sent an HTTP request",
		"Send probes and other HTTP requests to the port of {HEALTH_ADDR}: its default is 127.0.0.1:9632.",
		"Probes of Kubernetes need {HEALTH_ADDR}=:9632.")
}

// wantsTLS is a case of client_gone.
func wantsTLS() reasonCase {
	return withCase(pgwire.CaseWantsTLS, "the client left because pgorigin has no TLS for clients",
		withoutTLS, "Or set {own:LISTEN_TLS}=self-signed: clients with sslmode=require then connect as well, over TCP.")
}

// withoutTLS is a cure for a client that wants TLS, and gets none.
const withoutTLS = "Set sslmode=disable in the client: pgorigin encrypts for it, on the way to the upstream."

// clientTLS are the cases of client_protocol that are about TLS.
func clientTLS() []reasonCase {
	return []reasonCase{
		withCase(pgwire.CaseClientHello, "the client began with TLS, and pgorigin has no TLS for clients",
			withoutTLS, "Leave sslnegotiation=direct out, too.",
			"Or set {own:LISTEN_TLS}=self-signed, which serves clients with and without TLS, over TCP."),
		withCase(pgwire.CaseDistrusted, "the client does not trust the certificate of the listener",
			"Set sslrootcert in the client to the CA of the certificate that pgorigin shows.",
			"Or leave it out, and set sslmode=require.",
			"With {own:LISTEN_TLS}=self-signed, {own:LISTEN_TLS_CA_FILE} has that CA.",
			"Each start of pgorigin makes a new one: clients must read the file again.",
			"With {own:LISTEN_TLS}=files, show a certificate for servers, from a CA that the client knows.",
			"If it has an RSA key, that needs 2048 bits."),
		withCase(pgwire.CaseHandshake, "the TLS handshake with the client failed",
			"Give the client a TLS library that can do TLS 1.2 or 1.3.",
			"A client that begins with TLS at once must ask for postgresql by ALPN. Otherwise it must send SSLRequest first.",
			"Or set sslmode=disable in the client."),
	}
}

// certificateUser is a case of client_cert_rejected.
func certificateUser() reasonCase {
	return withCase(pgwire.CaseCertificateUser, "the certificate is for another user",
		"Set {own:TLS_CERT_FILE} and {own:TLS_KEY_FILE} to a certificate whose CN is the user.",
		"Or map its CN to the user in pg_ident.conf of the server.")
}

// protocolCases are those of upstream_protocol.
func protocolCases() []reasonCase {
	return []reasonCase{
		withCase(pgwire.CaseSCRAMUnproven, "the upstream did not prove that it knows the password",
			"Set {own:UPSTREAM_ADDR} to the server on which this user has this password.",
			"If it is that server already, something between pgorigin and the server answers in its place."),
		withCase(pgwire.CaseUnknownMethod, "the upstream asks for a method that pgorigin does not know",
			"Set the method in pg_hba.conf of the server to scram-sha-256."),
	}
}

// readinessReasons are those of a server that refuses everybody.
func readinessReasons() []reason {
	return []reason{{
		Word:      "server_starting",
		Stages:    []diagnose.Stage{StageAuthentication, StageLogin},
		Ends:      ofRefusal(pgwire.PhaseAuth, pgwire.PhaseRelay),
		Everybody: true,
		Meaning:   "The server does not take logins yet: it starts or recovers.",
		Cures: []string{
			"Wait until the upstream at {UPSTREAM_ADDR} has started, and connect again.",
			"Its log says how far the recovery is.",
			"If the upstream takes longer to start than clients wait, raise {UPSTREAM_WAIT}.",
		},
		Cases: []reasonCase{withCase(pgwire.CaseHotStandbyOff, "the server is a standby that takes no sessions",
			"Start the primary, or promote this standby.",
			"Or set {own:UPSTREAM_ADDR} to the primary.",
			"For sessions that only read, set hot_standby=on at the server, and restart it.")},
	}, {
		Word:      "server_full",
		Stages:    []diagnose.Stage{StageAuthentication, StageLogin},
		Ends:      ofRefusal(pgwire.PhaseAuth, pgwire.PhaseRelay),
		Everybody: true,
		Meaning:   "The server has as many connections as it allows.",
		Cures: []string{
			"Use fewer connections: close idle ones, which pg_stat_activity lists.",
			"Or make the pools of applications smaller, or raise max_connections of the server.",
		},
		Cases: []reasonCase{
			withCase(pgwire.CasePoolerFull, "the pooler has as many clients as it allows",
				"Raise {} in the configuration of the pooler.",
				"Or make the pools of applications smaller."),
			ofSome(pgwire.CasePoolerShareFull, "the limit is that of the user or database in the pooler",
				"Raise {} for the user or database in the configuration of the pooler.",
				"Or make the pools of applications smaller."),
			ofSome(pgwire.CaseRoleFull, "the limit is that of the user",
				"Raise the limit of the user that the message names: ALTER ROLE NAME CONNECTION LIMIT 100.",
				"Or make the pools of applications smaller."),
			ofSome(pgwire.CaseDatabaseFull, "the limit is that of the database",
				"Raise the limit of the database that the message names: ALTER DATABASE NAME CONNECTION LIMIT 100.",
				"Or make the pools of applications smaller."),
			ofSome(pgwire.CaseSendersFull, "the limit is that of replication",
				"Raise max_wal_senders of the server.",
				"Or end replication that nobody needs: pg_stat_replication lists it."),
		},
	}, {
		Word:    "pool_timeout",
		Stages:  []diagnose.Stage{StageAuthentication, StageLogin},
		Ends:    ofRefusal(pgwire.PhaseAuth, pgwire.PhaseRelay),
		Meaning: "A pooler had no server connection for the client in time.",
		Cures: []string{
			"Raise default_pool_size of the pooler at {UPSTREAM_ADDR}, or the pool_size of the database.",
			"The pooler's console shows who waits, and who holds connections: SHOW POOLS, SHOW CLIENTS.",
			"Check that the server behind the pooler runs, and that the database is not paused: RESUME ends that.",
		},
		Cases: []reasonCase{poolerServer()},
	}}
}

func loginReasons() []reason {
	return append(readinessReasons(), reason{
		Word:    "auth_rejected",
		Stages:  []diagnose.Stage{StageAuthentication, StageLogin},
		Ends:    []end{{pgwire.PhaseAuth, serversOwn}, {pgwire.PhaseAuth, notAuthorized}},
		Meaning: "The upstream refused the login, or asked for a method that is not allowed.",
		Cures: []string{
			"Correct what the message of the upstream names.",
			"The log of the upstream at {UPSTREAM_ADDR} often says more.",
		},
		Cases: append(append(ownRefusals(), serverRefusals()...), poolerRefusals()...),
	}, reason{
		Word:    "login_abandoned",
		Ends:    []end{{pgwire.PhaseAuth, noAnswer}},
		Meaning: "The client left when it was asked to authenticate. psql does so before it asks for a password.",
		Cures: []string{
			"Give the client a password for this user, for instance in PGPASSWORD or in a password file.",
			"The client must support the method. Its require_auth and channel_binding must allow it.",
			"For a client that is too old for SCRAM, set {own:AUTH_CHANNEL_BINDING}=bridge.",
		},
		Cases: abandonedCases(),
	}, reason{
		Word:    "auth_channel_binding",
		Stages:  []diagnose.Stage{StageAuthentication, StageLogin},
		Ends:    []end{{pgwire.PhaseAuth, notAuthorized}},
		Meaning: "Client and upstream do not agree on binding the login to the TLS channel.",
		Cures: []string{
			"Set {own:AUTH_CHANNEL_BINDING}=bridge: pgorigin then logs in itself, with channel binding.",
			"A bridge needs {LISTEN_ADDR} on loopback or a Unix socket, or {AUTH_PASSWORD_FILE}.",
			"Or set {own:AUTH_CHANNEL_BINDING}=pass for a client whose own channel binding is switched off.",
		},
		Cases: append(bindingCases(), boundToClient()),
	}, reason{
		Word:   "login_timeout",
		Stages: []diagnose.Stage{StageAuthentication, StageLogin},
		Ends: []end{
			{pgwire.PhaseDial, queryCanceled}, {pgwire.PhaseAuth, queryCanceled}, {pgwire.PhaseAuth, serversOwn},
		},
		Meaning: "The login took too long.",
		Cures: []string{
			"Check the load of the upstream at {UPSTREAM_ADDR}. A pooler may wait for a server connection.",
			"Or raise {LOGIN_TIMEOUT}.",
		},
		Cases: []reasonCase{
			withCase(pgwire.CaseClientSilent, "the client did not authenticate in time",
				"Make the client answer sooner: it may wait for a person to enter a password.",
				"Or raise the limit that ended the login: {LOGIN_TIMEOUT}, authentication_timeout of PostgreSQL, "+
					"or client_login_timeout of pgbouncer."),
			withCase(pgwire.CasePoolerWaits, "the upstream authenticated the client, and the login did not go on",
				"Start the PostgreSQL server behind the pooler at {UPSTREAM_ADDR}, or end what holds its connections.",
				"The pooler's console shows both: SHOW POOLS, SHOW DATABASES. A database may be paused: RESUME ends that.",
				"Without a pooler, a lock on a catalog holds up logins: pg_locks of the server lists it."),
		},
	})
}

// boundToClient is a case of auth_channel_binding.
func boundToClient() reasonCase {
	return withCase(pgwire.CaseBoundToClient, "the client has TLS to pgorigin, and would bind the login to that channel",
		"Set {own:AUTH_CHANNEL_BINDING}=bridge: pgorigin then logs in itself, with channel binding.",
		"Remove channel_binding=require from the client's settings: no mode can serve it.",
		"Or set channel_binding=disable or sslmode=disable in the client, with {own:AUTH_CHANNEL_BINDING}=strip.")
}

// ownRefusals are the logins that pgorigin itself ends.
func ownRefusals() []reasonCase {
	return []reasonCase{
		withCase(pgwire.CaseMethodNotAllowed, "pgorigin ended the login, because the method is not allowed",
			"Add {} to {own:AUTH_REQUIRE}, if you accept that method.",
			"Or make the server ask for another method: its pg_hba.conf and the user's password decide.",
			"Without {own:AUTH_REQUIRE}, a bridge accepts only scram-sha-256."),
		withCase(pgwire.CaseNoMethod, "pgorigin ended the login, because the upstream asks for no password at all",
			"Replace trust by scram-sha-256 in pg_hba.conf of the upstream at {UPSTREAM_ADDR}.",
			"Or add none to {own:AUTH_REQUIRE}, if you accept a login without any proof."),
		withCase(pgwire.CasePasswordUnreadable, "pgorigin ended the login, because it has no password",
			"Put the user's password into {}, which {AUTH_PASSWORD_FILE} names, and let pgorigin read it.",
			"The log of pgorigin says what is wrong with it."),
		withCase(pgwire.CaseStalePassword, "the upstream refused the password from pgorigin's password file",
			"Put the user's current password into {}, which {AUTH_PASSWORD_FILE} names.",
			"It must be the password of the user that the client names.",
			"A pooler must know the user, too: pgbouncer in auth_file, or by auth_query."),
	}
}

// serverRefusals are those of PostgreSQL.
func serverRefusals() []reasonCase {
	return []reasonCase{
		withCase(pgwire.CaseWrongPassword, "the password is wrong, or the user does not exist",
			"Give the client the right password for the user that the message names.",
			"The log of the server says whether the user exists, has a password, and whether that has expired."),
		withCase(pgwire.CaseNoHBAEntry, "pg_hba.conf of the server does not allow the connection",
			"Add a hostssl line to pg_hba.conf of the server for what the message names, and reload it.",
			"The address in that line is that of pgorigin, as the server sees it."),
		withCase(pgwire.CaseNoRole, "the user does not exist",
			"Correct the user in the client's connection settings.",
			"Or create the user: CREATE ROLE NAME LOGIN."),
		withCase(pgwire.CaseRoleNoLogin, "the user may not log in",
			"Allow the user that the message names to log in: ALTER ROLE NAME LOGIN."),
		withCase(pgwire.CaseNoDatabase, "the database does not exist",
			"Correct the database in the client's connection settings. Without one, libpq takes the name of the user.",
			"Or create the database: CREATE DATABASE NAME."),
		withCase(pgwire.CaseTicketRefused, "the server refuses the Kerberos ticket for this user",
			"Correct the user in the client's connection settings: it must fit the principal that klist shows.",
			"Or map the principal to the user in pg_ident.conf of the server."),
		withCase(pgwire.CaseDatabaseDenied, "the user may not connect to the database",
			"Grant the right to connect: GRANT CONNECT ON DATABASE NAME TO USER."),
		withCase(pgwire.CaseDatabaseClosed, "the database takes no connections",
			"Allow connections to the database: ALTER DATABASE NAME ALLOW_CONNECTIONS true."),
		withCase(pgwire.CaseNoClientCA, "pg_hba.conf demands client certificates, and the server has no CA for them",
			"Set ssl_ca_file of PostgreSQL to the CA that signs client certificates, and reload it.",
			"Or remove clientcert from the line of pg_hba.conf."),
		withCase(pgwire.CaseReplication, "the user may not replicate",
			"Allow the user to replicate: ALTER ROLE NAME REPLICATION."),
		withCase(pgwire.CaseParameter, "the server refuses a parameter of the client's connection settings",
			"Remove or correct {} in the client's connection settings."),
	}
}

// poolerRefusals are those of pgbouncer.
func poolerRefusals() []reasonCase {
	return []reasonCase{
		withCase(pgwire.CasePoolerPassword, "the pooler refuses the password, or does not know the user",
			"Give the client the right password for this user.",
			"The pooler must know the user, too: pgbouncer in auth_file, or by auth_query.",
			"The server behind it must take the same password."),
		withCase(pgwire.CasePoolerServerPassword, "the server behind a pooler refuses the password that the pooler has",
			"Put the user's current password into auth_file of the pooler, or into its entry in [databases].",
			"Without a pooler, give the client the right password."),
		withCase(pgwire.CasePoolerUser, "the pooler does not know the user",
			"Add the user to auth_file of pgbouncer, or set auth_query there.",
			"Or correct the user in the client's connection settings."),
		withCase(pgwire.CasePoolerDatabase, "the pooler has no such database",
			"Correct the database in the client's connection settings.",
			"Or add it to [databases] of pgbouncer, or correct its dbname there."),
		withCase(pgwire.CasePoolerDisabled, "the database is disabled in the pooler",
			"Enable the database in the console of pgbouncer: ENABLE NAME."),
		withCase(pgwire.CasePoolerHBA, "the rules of the pooler do not allow the connection",
			"Add a hostssl line to auth_hba_file of pgbouncer, and reload it.",
			"The address in that line is that of pgorigin, as pgbouncer sees it."),
		withCase(pgwire.CasePoolerAdmin, "the client may not use the console of the pooler",
			"Add the user to admin_users or stats_users of pgbouncer.",
			"Or connect to another database than pgbouncer."),
		withCase(pgwire.CasePoolerParameter, "the pooler does not know a parameter of the client",
			"Add {} to ignore_startup_parameters of pgbouncer, and reload it.",
			"Or remove it from the client's connection settings."),
		withCase(pgwire.CasePoolerTLS, "the pooler connects to its server without TLS, and pg_hba.conf demands TLS",
			"Set server_tls_sslmode=require or stronger in pgbouncer.",
			"Or allow the pooler without TLS in pg_hba.conf of the server: a line that begins with host."),
		withCase(pgwire.CasePoolerConfig, "the configuration of the pooler contradicts itself",
			"Correct the configuration of pgbouncer: its log names the mistake."),
	}
}

// abandonedCases are by what the client was asked for.
func abandonedCases() []reasonCase {
	return []reasonCase{
		withCase(pgwire.CaseAskedByBridge, "pgorigin asked for the password itself, as a bridge",
			"Give the client a password for this user, for instance in PGPASSWORD or in a password file.",
			"Remove require_auth from the client: pgorigin asks for the password in the clear, on this machine.",
			"Or set {own:AUTH_PASSWORD_FILE}: pgorigin then asks no client."),
		withCase(pgwire.CaseAskedForBound, "the client was offered channel binding, which it cannot use",
			"Set {own:AUTH_CHANNEL_BINDING}=strip.",
			"Or set {own:AUTH_CHANNEL_BINDING}=bridge: pgorigin then binds the login itself."),
		withCase(pgwire.CaseAskedForOAuth, "the upstream asked for an OAuth token",
			"Use a client that supports OAuth, such as libpq 18 with oauth_issuer and oauth_client_id."),
		withCase(pgwire.CaseAskedForToken, "the upstream asked for Kerberos, by GSSAPI or SSPI",
			"For libpq, set host to the name of the server and hostaddr to the address of pgorigin: a ticket is for that name.",
			"Get a Kerberos ticket for the client, with kinit.",
			"Or set the method in pg_hba.conf of the server to scram-sha-256."),
	}
}

func bindingCases() []reasonCase {
	return []reasonCase{
		withCase(pgwire.CaseBridgeNotLocal, "the client of a bridge comes over a network",
			"Set {own:LISTEN_ADDR} to a loopback address or a Unix socket.",
			"Or set {own:AUTH_PASSWORD_FILE}: pgorigin then asks no client for a password."),
		withCase(pgwire.CaseNothingToBindTo, "the upstream's certificate allows no channel binding",
			"Let a CA with an ECDSA or RSA key sign the upstream's certificate, and not one with an Ed25519 key.",
			"Or allow scram-sha-256, without channel binding, in {own:AUTH_REQUIRE} and at the upstream."),
	}
}
