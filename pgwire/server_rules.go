package pgwire

// Cases of what a server says. A pooler is pgbouncer or another program in the place of a server.
const (
	CaseHotStandbyOff        Case = "hot_standby_off"        // a standby that takes no sessions
	CaseRoleFull             Case = "role_full"              // the connection limit of the role
	CaseDatabaseFull         Case = "database_full"          // the connection limit of the database
	CaseSendersFull          Case = "senders_full"           // max_wal_senders
	CasePoolerFull           Case = "pooler_full"            // Value is the parameter of the pooler
	CasePoolerShareFull      Case = "pooler_share_full"      // the same for one user or database
	CasePoolerServer         Case = "pooler_server"          // the pooler cannot log in to its server
	CaseWrongPassword        Case = "wrong_password"         // or no such user: servers do not say which
	CaseStalePassword        Case = "stale_password"         // the bridge's own
	CaseTicketRefused        Case = "ticket_refused"         // of Kerberos, by GSSAPI or SSPI
	CaseNoHBAEntry           Case = "no_hba_entry"           // pg_hba.conf allows no such connection
	CaseNoRole               Case = "no_role"                // the role does not exist
	CaseRoleNoLogin          Case = "role_nologin"           // the role may not log in
	CaseNoDatabase           Case = "no_database"            // the database does not exist
	CaseDatabaseDenied       Case = "database_denied"        // the role may not connect to the database
	CaseDatabaseClosed       Case = "database_closed"        // the database takes no connections
	CaseNoClientCA           Case = "no_client_ca"           // the server cannot check client certificates
	CaseReplication          Case = "replication"            // the role may not replicate
	CaseParameter            Case = "parameter"              // Value is a startup parameter that the server refuses
	CasePoolerTLS            Case = "pooler_tls"             // the pooler reaches its server without TLS
	CasePoolerPassword       Case = "pooler_password"        // wrong for the pooler
	CasePoolerServerPassword Case = "pooler_server_password" // the pooler's own, for its server
	CasePoolerUser           Case = "pooler_user"            // the pooler does not know the user
	CasePoolerDatabase       Case = "pooler_database"        // the pooler does not know the database
	CasePoolerDisabled       Case = "pooler_disabled"        // the database is disabled in the pooler
	CasePoolerHBA            Case = "pooler_hba"             // the pooler's auth_hba_file
	CasePoolerAdmin          Case = "pooler_admin"           // its console is for other users
	CasePoolerParameter      Case = "pooler_parameter"       // Value is a startup parameter that the pooler refuses
	CasePoolerConfig         Case = "pooler_config"          // its own configuration is wrong
	CaseCertificateUser      Case = "certificate_user"       // the client certificate is for another user
	CaseTimeLimit            Case = "time_limit"             // Value is the parameter that ended the session
	CaseConflict             Case = "recovery_conflict"      // a standby ended the session
)

// serverRule says what an ErrorResponse means. An empty field fits everything.
type serverRule struct {
	state   string // SQLSTATE; if there is a text, pgbouncer's 08P01 fits, too: it forwards texts of its server
	routine string // function of PostgreSQL
	pooler  bool   // only without a routine
	// text begins the message, and end ends it. Between them are names, which a client chooses. PostgreSQL
	// translates its messages, so a rule without a text follows. pgbouncer translates none.
	text, end string

	reason Reason
	which  Case
	value  string // Value of the error
	// named means that the Value is the name that follows the text, and that there is no match without.
	named bool
}

// serverRules returns the rules. The first that fits counts.
func serverRules() []serverRule { return append(poolerRules(), postgresRules()...) }

// postgresRules are for PostgreSQL, and for poolers that use its SQLSTATEs.
func postgresRules() []serverRule {
	const (
		starting, full, rejected = ReasonServerStarting, ReasonServerFull, ReasonAuthRejected
		shutdown, gone           = ReasonUpstreamShutdown, ReasonUpstreamGone
		certificate              = ReasonClientCertRequired
		otherCertificate         = ReasonClientCertRejected
	)
	return []serverRule{
		{
			state: "57P03", text: "the database system is not accepting",
			reason: starting, which: CaseHotStandbyOff,
		},
		{state: "57P03", text: "the database system is shutting down", reason: shutdown},
		{state: "57P03", text: "the database system is starting up", reason: starting},
		{state: "57P03", text: "the database system is in recovery mode", reason: starting},
		{state: "57P03", text: "the database system is not yet accepting", reason: starting},
		{state: "57P03", reason: starting},
		{state: "57P01", text: "terminating connection due to administrator command", reason: shutdown},
		{state: "57P01", reason: shutdown},
		{state: "57P02", text: "terminating connection because of crash", reason: shutdown},
		{state: "57P02", reason: shutdown},

		{state: "53300", routine: "InitializeSessionUserId", reason: full, which: CaseRoleFull},
		{state: "53300", text: "too many connections for role", reason: full, which: CaseRoleFull},
		{state: "53300", routine: "CheckMyDatabase", reason: full, which: CaseDatabaseFull},
		{
			state: "53300", text: "too many connections for database",
			reason: full, which: CaseDatabaseFull,
		},
		{
			state: "53300", text: "number of requested standby connections exceeds",
			reason: full, which: CaseSendersFull,
		},
		{state: "53300", text: "sorry, too many clients", reason: full},
		{state: "53300", text: "remaining connection slots are reserved", reason: full},
		{state: "53300", reason: full},

		{state: "28P01", reason: rejected, which: CaseWrongPassword},
		{state: "28000", text: "connection requires a valid client certificate", reason: certificate},
		{
			state: "28000", text: "certificate authentication failed for user",
			reason: otherCertificate, which: CaseCertificateUser,
		},
		{
			state: "F0000", text: "client certificates can only be checked if",
			reason: rejected, which: CaseNoClientCA,
		},
		{
			state: "28000", text: "no pg_hba.conf entry", end: "no encryption",
			reason: rejected, which: CasePoolerTLS,
		},
		{
			state: "28000", text: "no pg_hba.conf entry", end: "SSL off",
			reason: rejected, which: CasePoolerTLS,
		},
		{state: "28000", text: "no pg_hba.conf entry", reason: rejected, which: CaseNoHBAEntry},
		{state: "28000", text: "pg_hba.conf rejects", reason: rejected, which: CaseNoHBAEntry},
		{state: "28000", routine: "ClientAuthentication", reason: rejected, which: CaseNoHBAEntry},
		{state: "28000", text: "Ident authentication failed", reason: rejected, which: CaseNoHBAEntry},
		{state: "28000", text: "GSSAPI authentication failed", reason: rejected, which: CaseTicketRefused},
		{state: "28000", text: "SSPI authentication failed", reason: rejected, which: CaseTicketRefused},
		{state: "28000", routine: "auth_failed", reason: rejected, which: CaseWrongPassword},
		{
			state: "28000", text: "role \"", end: "is not permitted to log in",
			reason: rejected, which: CaseRoleNoLogin,
		},
		{state: "28000", text: "role \"", reason: rejected, which: CaseNoRole},
		{state: "28000", routine: "InitializeSessionUserId", reason: rejected, which: CaseNoRole},

		{state: "55000", routine: "CheckMyDatabase", reason: rejected, which: CaseDatabaseClosed},
		{
			state: "55000", text: "database", end: "accepting connections",
			reason: rejected, which: CaseDatabaseClosed,
		},
		{
			state: "3D000", text: "database", end: "is disabled", pooler: true,
			reason: rejected, which: CasePoolerDisabled,
		},
		{state: "3D000", text: "database", pooler: true, reason: rejected, which: CasePoolerDatabase},
		{state: "3D000", reason: rejected, which: CaseNoDatabase},
		{state: "42501", routine: "CheckMyDatabase", reason: rejected, which: CaseDatabaseDenied},
		{
			state: "42501", text: "permission denied for database",
			reason: rejected, which: CaseDatabaseDenied,
		},
		{
			state: "42501", text: "must be superuser or replication role",
			reason: rejected, which: CaseReplication,
		},
		{
			state: "42501", text: "permission denied to start WAL sender",
			reason: rejected, which: CaseReplication,
		},
		{
			state: "42501", text: "permission denied to set parameter",
			reason: rejected, which: CaseParameter, named: true,
		},
		{
			state: "42704", text: "unrecognized configuration parameter",
			reason: rejected, which: CaseParameter, named: true,
		},
		{
			state: "22023", text: "invalid value for parameter",
			reason: rejected, which: CaseParameter, named: true,
		},
		{state: "55P02", text: "parameter", reason: rejected, which: CaseParameter, named: true},

		{state: "57014", reason: ReasonLoginTimeout, which: CaseClientSilent},
		{
			state:  "25P03",
			reason: gone, which: CaseTimeLimit, value: "idle_in_transaction_session_timeout",
		},
		{state: "25P04", reason: gone, which: CaseTimeLimit, value: "transaction_timeout"},
		{state: "57P05", reason: gone, which: CaseTimeLimit, value: "idle_session_timeout"},
		{state: "40001", reason: gone, which: CaseConflict},
	}
}

// poolerRules are for the texts of pgbouncer itself, which are never translated. It has 08P01 for almost
// everything.
func poolerRules() []serverRule {
	const rejected, gone = ReasonAuthRejected, ReasonUpstreamGone
	rules := []serverRule{
		{
			text:   "no more connections allowed (",
			reason: ReasonServerFull, which: CasePoolerFull, named: true,
		},
		{
			text:   "client connections exceeded (", // of one user or database
			reason: ReasonServerFull, which: CasePoolerShareFull, named: true,
		},
		{text: "query_wait_timeout", reason: ReasonPoolTimeout},
		{text: "server login", reason: ReasonPoolTimeout, which: CasePoolerServer},
		{text: "client_login_timeout (server down)", reason: ReasonPoolTimeout, which: CasePoolerServer},
		{text: "pgbouncer cannot connect to server", reason: ReasonPoolTimeout, which: CasePoolerServer},
		{text: "server DNS lookup failed", reason: ReasonPoolTimeout, which: CasePoolerServer},
		{text: "connect failed", reason: ReasonPoolTimeout, which: CasePoolerServer},
		{text: "client_login_timeout", reason: ReasonLoginTimeout, which: CaseClientSilent},
		{text: "server shutting down", reason: ReasonUpstreamShutdown},

		{text: "certificate authentication failed", reason: ReasonClientCertRequired},
		{text: "no such user", reason: rejected, which: CasePoolerUser},
		{text: "\"trust\" authentication failed", reason: rejected, which: CasePoolerUser},
		{state: "28P01", reason: rejected, which: CasePoolerPassword}, // perhaps of a server that is no PostgreSQL
		{
			text:   "password authentication failed for user",
			reason: rejected, which: CasePoolerServerPassword,
		},
		{text: "password authentication failed", reason: rejected, which: CasePoolerPassword},
		{text: "SASL authentication failed", reason: rejected, which: CasePoolerPassword},
		{text: "PAM authentication failed", reason: rejected, which: CasePoolerPassword},
		{text: "LDAP authentication failed", reason: rejected, which: CasePoolerPassword},
		{text: "auth failed", reason: rejected, which: CasePoolerPassword},
		{text: "no such database", reason: rejected, which: CasePoolerDatabase},
		{text: "database", end: "is disabled", reason: rejected, which: CasePoolerDisabled},
		{text: "login rejected", reason: rejected, which: CasePoolerHBA},
		{text: "not allowed", reason: rejected, which: CasePoolerAdmin},
		{
			text:   "unsupported startup parameter in options",
			reason: rejected, which: CasePoolerParameter, named: true,
		},
		{text: "unsupported options", reason: rejected, which: CasePoolerParameter, value: "options"},
		{
			text:   "unsupported startup parameter",
			reason: rejected, which: CasePoolerParameter, named: true,
		},
		{text: "bouncer config error", reason: rejected, which: CasePoolerConfig},

		{text: "client_idle_timeout", reason: gone, which: CaseTimeLimit, value: "client_idle_timeout"},
		{
			text:   "idle transaction timeout",
			reason: gone, which: CaseTimeLimit, value: "idle_transaction_timeout",
		},
		{text: "transaction timeout", reason: gone, which: CaseTimeLimit, value: "transaction_timeout"},
		{text: "query timeout", reason: gone, which: CaseTimeLimit, value: "query_timeout"},
		{text: "query_timeout", reason: gone, which: CaseTimeLimit, value: "query_timeout"},
	}
	for i := range rules {
		rules[i].pooler = true
	}
	return rules
}
