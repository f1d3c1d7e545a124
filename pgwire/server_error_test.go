package pgwire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jackc/pgproto3/v2"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/test/hostiletext"
)

// fromPostgres is an ErrorResponse as PostgreSQL sends it.
func fromPostgres(t *testing.T, state, message, routine string) []byte {
	t.Helper()
	return errorMessage(t, pgproto3.ErrorResponse{
		Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: state, Message: message, File: "x.c", Line: 1,
		Routine: routine,
	})
}

// fromPgbouncer is an ErrorResponse as pgbouncer sends it.
func fromPgbouncer(t *testing.T, state, message string) []byte {
	t.Helper()
	return errorMessage(t, pgproto3.ErrorResponse{Severity: "FATAL", Code: state, Message: message})
}

func errorMessage(t *testing.T, e pgproto3.ErrorResponse) []byte {
	t.Helper()
	message, err := e.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// TestLoginRefusals has what PostgreSQL 15 and pgbouncer 1.18 to 1.25 say.
func TestLoginRefusals(t *testing.T) {
	for _, row := range []struct {
		state, text, routine string // no routine: from pgbouncer
		reason               Reason
		which                Case
		value                string
	}{
		{"57P03", "the database system is starting up", "ProcessStartupPacket", ReasonServerStarting, "", ""},
		{"57P03", "das Datenbanksystem startet", "ProcessStartupPacket", ReasonServerStarting, "", ""},
		{"57P03", "the database system is in recovery mode", "ProcessStartupPacket", ReasonServerStarting, "", ""},
		{"57P03", "the database system is not yet accepting connections", "ProcessStartupPacket", ReasonServerStarting, "", ""},
		{"57P03", "the database system is not accepting connections", "ProcessStartupPacket", ReasonServerStarting, CaseHotStandbyOff, ""},
		{"57P03", "the database system is shutting down", "ProcessStartupPacket", ReasonUpstreamShutdown, "", ""},
		{"57P01", "terminating connection due to administrator command", "ProcessInterrupts", ReasonUpstreamShutdown, "", ""},
		{"53300", "sorry, too many clients already", "InitProcess", ReasonServerFull, "", ""},
		{"53300", "remaining connection slots are reserved for non-replication superuser connections", "InitPostgres", ReasonServerFull, "", ""},
		{"53300", `too many connections for role "app"`, "InitializeSessionUserId", ReasonServerFull, CaseRoleFull, ""},
		{"53300", `zu viele Verbindungen von Rolle »app«`, "InitializeSessionUserId", ReasonServerFull, CaseRoleFull, ""},
		{"53300", `too many connections for database "shop"`, "CheckMyDatabase", ReasonServerFull, CaseDatabaseFull, ""},
		{"53300", "number of requested standby connections exceeds max_wal_senders (currently 10)", "InitProcess", ReasonServerFull, CaseSendersFull, ""},
		{"28P01", `password authentication failed for user "app"`, "auth_failed", ReasonAuthRejected, CaseWrongPassword, ""},
		{"28000", `LDAP authentication failed for user "app"`, "auth_failed", ReasonAuthRejected, CaseWrongPassword, ""},
		{"28000", "connection requires a valid client certificate", "ClientAuthentication", ReasonClientCertRequired, "", ""},
		{"28000", `GSSAPI authentication failed for user "app"`, "auth_failed", ReasonAuthRejected, CaseTicketRefused, ""},
		{"28000", `certificate authentication failed for user "app"`, "auth_failed", ReasonClientCertRejected, CaseCertificateUser, ""},
		{"28000", `no pg_hba.conf entry for host "10.1.2.3", user "app", database "shop", SSL encryption`, "ClientAuthentication", ReasonAuthRejected, CaseNoHBAEntry, ""},
		{"28000", "kein pg_hba.conf-Eintrag für Host »10.1.2.3«", "ClientAuthentication", ReasonAuthRejected, CaseNoHBAEntry, ""},
		{"28000", `pg_hba.conf rejects connection for host "10.1.2.3"`, "ClientAuthentication", ReasonAuthRejected, CaseNoHBAEntry, ""},
		{"28000", `role "app" does not exist`, "InitializeSessionUserId", ReasonAuthRejected, CaseNoRole, ""},
		{"28000", `role "app" is not permitted to log in`, "InitializeSessionUserId", ReasonAuthRejected, CaseRoleNoLogin, ""},
		{"3D000", `database "shop" does not exist`, "InitPostgres", ReasonAuthRejected, CaseNoDatabase, ""},
		{"42501", `permission denied for database "shop"`, "CheckMyDatabase", ReasonAuthRejected, CaseDatabaseDenied, ""},
		{"42501", "must be superuser or replication role to start walsender", "InitPostgres", ReasonAuthRejected, CaseReplication, ""},
		{"F0000", "client certificates can only be checked if a root certificate store is available", "ClientAuthentication", ReasonAuthRejected, CaseNoClientCA, ""},
		{"55000", `database "shop" is not currently accepting connections`, "CheckMyDatabase", ReasonAuthRejected, CaseDatabaseClosed, ""},
		{"42704", `unrecognized configuration parameter "foo.bar"`, "find_option", ReasonAuthRejected, CaseParameter, "foo.bar"},
		{"57014", "canceling authentication due to timeout", "ProcessInterrupts", ReasonLoginTimeout, CaseClientSilent, ""},
		{"08P01", "invalid startup packet layout: shutting down", "ProcessStartupPacket", ReasonAuthRejected, "", ""},

		{"08P01", "no more connections allowed (max_client_conn)", "", ReasonServerFull, CasePoolerFull, "max_client_conn"},
		{"08P01", "client connections exceeded (max_db_client_connections)", "", ReasonServerFull, CasePoolerShareFull, "max_db_client_connections"},
		{"08P01", "query_wait_timeout", "", ReasonPoolTimeout, CasePoolerServer, ""},
		{"08P01", "server login has been failing, try again later (server_login_retry)", "", ReasonPoolTimeout, CasePoolerServer, ""},
		{"08P01", "server login has been failing, cached error: connect failed (server_login_retry)", "", ReasonPoolTimeout, CasePoolerServer, ""},
		{"08P01", "pgbouncer cannot connect to server", "", ReasonPoolTimeout, CasePoolerServer, ""},
		{"08P01", "client_login_timeout (server down)", "", ReasonPoolTimeout, CasePoolerServer, ""},
		{"08P01", "server login failed: wrong password type", "", ReasonPoolTimeout, CasePoolerServer, ""},
		{"08P01", "client_login_timeout", "", ReasonLoginTimeout, CaseClientSilent, ""},
		{"08P01", "server shutting down", "", ReasonUpstreamShutdown, "", ""},
		{"08P01", "no such user", "", ReasonAuthRejected, CasePoolerUser, ""},
		{"08P01", "SASL authentication failed", "", ReasonAuthRejected, CasePoolerPassword, ""},
		{"08P01", "LDAP authentication failed", "", ReasonAuthRejected, CasePoolerPassword, ""},
		{"08P01", "password authentication failed", "", ReasonAuthRejected, CasePoolerPassword, ""},
		{"08P01", "certificate authentication failed", "", ReasonClientCertRequired, "", ""},
		{"08P01", "no such database: nowhere", "", ReasonAuthRejected, CasePoolerDatabase, ""},
		{"08P01", `database "shop" is disabled`, "", ReasonAuthRejected, CasePoolerDisabled, ""},
		{"08P01", "login rejected", "", ReasonAuthRejected, CasePoolerHBA, ""},
		{"08P01", "not allowed", "", ReasonAuthRejected, CasePoolerAdmin, ""},
		{"08P01", "unsupported startup parameter: extra_float_digits", "", ReasonAuthRejected, CasePoolerParameter, "extra_float_digits"},
		{"08P01", "unsupported startup parameter in options: geqo", "", ReasonAuthRejected, CasePoolerParameter, "geqo"},
		{"08P01", "bouncer config error", "", ReasonAuthRejected, CasePoolerConfig, ""},
		{"08P01", "something new", "", ReasonAuthRejected, "", ""},
		{"08P01", "no such database: the database system is starting up", "", ReasonAuthRejected, CasePoolerDatabase, ""},
		{"3D000", `database "sorry, too many clients" does not exist`, "InitPostgres", ReasonAuthRejected, CaseNoDatabase, ""},

		// What pgbouncer forwards of its server's words, in the older releases under its own SQLSTATE.
		{"08P01", `password authentication failed for user "app"`, "", ReasonAuthRejected, CasePoolerServerPassword, ""},
		{"28P01", `password authentication failed for user "app"`, "", ReasonAuthRejected, CasePoolerPassword, ""},
		{"08P01", `database "shop" does not exist`, "", ReasonAuthRejected, CasePoolerDatabase, ""},
		{"3D000", `database "shop" does not exist`, "", ReasonAuthRejected, CasePoolerDatabase, ""},
		{"08P01", `role "app" does not exist`, "", ReasonAuthRejected, CaseNoRole, ""},
		{"08P01", "the database system is starting up", "", ReasonServerStarting, "", ""},
		{"08P01", "sorry, too many clients already", "", ReasonServerFull, "", ""},
		{"08P01", `no pg_hba.conf entry for host "10.1.2.3", user "app", database "shop", no encryption`, "", ReasonAuthRejected, CasePoolerTLS, ""},
		{"28000", `no pg_hba.conf entry for host "10.1.2.3", user "app", database "shop", SSL off`, "", ReasonAuthRejected, CasePoolerTLS, ""},
	} {
		message := fromPgbouncer(t, row.state, row.text)
		if row.routine != "" {
			message = fromPostgres(t, row.state, row.text, row.routine)
		}
		got := LoginRefusal(message)
		if got.Kind != row.reason || got.Case != row.which || got.Value != row.value {
			t.Errorf("%s %q: %s, case %q, value %q; want %s, %q, %q",
				row.state, row.text, got.Kind, got.Case, got.Value, row.reason, row.which, row.value)
		}
		if got.State != "" || got.Server.SQLState != row.state || got.Server.Message != row.text {
			t.Errorf("%s %q: %+v", row.state, row.text, got.Server)
		}
		contains(t, got.Text, "("+"SQLSTATE "+row.state+": "+row.text+")")
	}
}

// TestSessionEnds has what ends a session after its login.
func TestSessionEnds(t *testing.T) {
	for _, row := range []struct {
		state, text string
		pooler      bool
		reason      Reason
		which       Case
		value       string
	}{
		{"57P01", "terminating connection due to administrator command", false, ReasonUpstreamShutdown, "", ""},
		{"57P02", "terminating connection because of crash of another server process", false, ReasonUpstreamShutdown, "", ""},
		{"25P03", "terminating connection due to idle-in-transaction timeout", false, ReasonUpstreamGone, CaseTimeLimit, "idle_in_transaction_session_timeout"},
		{"57P05", "terminating connection due to idle-session timeout", false, ReasonUpstreamGone, CaseTimeLimit, "idle_session_timeout"},
		{"40001", "terminating connection due to conflict with recovery", false, ReasonUpstreamGone, CaseConflict, ""},
		{"XX000", "out of luck", false, ReasonUpstreamGone, "", ""},
		{"08P01", "client_idle_timeout", true, ReasonUpstreamGone, CaseTimeLimit, "client_idle_timeout"},
		{"08P01", "idle transaction timeout", true, ReasonUpstreamGone, CaseTimeLimit, "idle_transaction_timeout"},
		{"08P01", "query_timeout", true, ReasonUpstreamGone, CaseTimeLimit, "query_timeout"},
		{"08P01", "query_wait_timeout", true, ReasonPoolTimeout, "", ""},
		{"08P01", `password authentication failed for user "app"`, true, ReasonPoolTimeout, CasePoolerServer, ""},
		{"57P03", "the database system is starting up", true, ReasonServerStarting, "", ""},
	} {
		message := fromPgbouncer(t, row.state, row.text)
		if !row.pooler {
			message = fromPostgres(t, row.state, row.text, "ProcessInterrupts")
		}
		got := SessionEnd(message)
		if got.Kind != row.reason || got.Case != row.which || got.Value != row.value {
			t.Errorf("%s %q: %s, case %q, value %q", row.state, row.text, got.Kind, got.Case, got.Value)
		}
	}
}

// TestServerMessageQuotesNothing: values of parameters, and what belongs to a query, are in no message.
func TestServerMessageQuotesNothing(t *testing.T) {
	const secret = "hunter2"
	raised := fromPostgres(t, "57P01", secret, "exec_stmt_raise")
	for name, row := range map[string]struct {
		got           *Error
		reason        Reason
		which         Case
		value, remain string
	}{
		"a value": {
			LoginRefusal(fromPostgres(t, "22023", `invalid value for parameter "TimeZone": "hunter2"`, "f")),
			ReasonAuthRejected, CaseParameter, "TimeZone", `invalid value for parameter "TimeZone"`,
		},
		"a value for a pooler": {
			LoginRefusal(fromPgbouncer(t, "08P01", "unsupported startup parameter: my.key=hunter2")),
			ReasonAuthRejected, CasePoolerParameter, "my.key", "unsupported startup parameter: my.key",
		},
		"a value in another language": {
			LoginRefusal(fromPostgres(t, "22023", "ungültiger Wert: »hunter2«", "f")), ReasonAuthRejected, "", "", "",
		},
		"an argument": {
			LoginRefusal(fromPostgres(t, "42601", "invalid command-line argument: hunter2", "f")),
			ReasonAuthRejected, "", "", "",
		},
		"data, with exit_on_error": {
			SessionEnd(fromPostgres(t, "22P02", `invalid input syntax for type integer: "hunter2"`, "f")),
			ReasonUpstreamGone, "", "", "",
		},
		"a query, with exit_on_error": {
			SessionEnd(fromPostgres(t, "42601", `syntax error at or near "hunter2"`, "scanner_yyerror")),
			ReasonUpstreamGone, "", "", "",
		},
		"a table, with exit_on_error": {
			SessionEnd(fromPostgres(t, "42501", "permission denied for database hunter2", "aclcheck_error")),
			ReasonUpstreamGone, "", "", "",
		},
		"no SQLSTATE":                       {SessionEnd(fromPostgres(t, "", secret, "f")), ReasonUpstreamGone, "", "", ""},
		"what a function raises":            {SessionEnd(raised), ReasonUpstreamGone, "", "", ""},
		"what a function raises in a login": {LoginRefusal(raised), ReasonAuthRejected, "", "", ""},
	} {
		got := row.got
		if got.Kind != row.reason || got.Case != row.which || got.Value != row.value || got.Server.Message != row.remain {
			t.Errorf("%s: %s, case %q, value %q, message %q", name, got.Kind, got.Case, got.Value, got.Server.Message)
		}
		if strings.Contains(got.Text, secret) {
			t.Errorf("%s: %s", name, got.Text)
		}
	}
}

// TestForwarded: what a pooler repeats concerns one of its servers only.
func TestForwarded(t *testing.T) {
	const full = "sorry, too many clients already"
	for name, row := range map[string]struct {
		message   []byte
		forwarded bool
	}{
		"by an older pgbouncer": {fromPgbouncer(t, "08P01", full), true},
		"by a newer one":        {fromPgbouncer(t, "53300", full), true},
		"pgbouncer's own":       {fromPgbouncer(t, "08P01", "no more connections allowed (max_client_conn)"), false},
		"PostgreSQL":            {fromPostgres(t, "53300", full, "InitProcess"), false},
	} {
		if got := LoginRefusal(row.message); got.Kind != ReasonServerFull || got.Server.Forwarded != row.forwarded {
			t.Errorf("%s: %s, forwarded: %v", name, got.Kind, got.Server.Forwarded)
		}
	}
}

// TestServerMessageIsFit: whatever a server says is bounded and on one line, and so is what a cure names.
func TestServerMessageIsFit(t *testing.T) {
	message := func(text string) *Error {
		body := append([]byte("SFATAL\x00C08P01\x00M"), strings.ReplaceAll(text, "\x00", "")...)
		return LoginRefusal(encodeMessage(typeErrorResponse, append(body, 0, 0)))
	}
	say := func(text string) string { return message(text).Server.Message }
	hostiletext.Test(t, say, 3*maxServerMessage, false)
	for _, text := range []string{"unsupported startup parameter: \x1b[31m", "unsupported startup parameter: ", "max (\u202e)"} {
		if got := message(text); got.Value != "" || got.Case != "" {
			t.Errorf("%q: case %q, value %q", text, got.Case, got.Value)
		}
	}
	for _, body := range []string{"", "\x00", "S", "SFATAL", "C1", "M\x00C\x00", "Cabcdefgh\x00"} {
		if got := LoginRefusal(encodeMessage(typeErrorResponse, []byte(body))); got.Server.SQLState != "" {
			t.Errorf("%q: %+v", body, got.Server)
		}
	}
}

// TestLastError: an ErrorResponse is kept if it may be the last message, however the stream is divided.
func TestLastError(t *testing.T) {
	fatal := pgtest.ErrorResponse("57P01", "terminating connection")
	plain := errorMessage(t, pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42601", Message: "x"})
	french := errorMessage(t, pgproto3.ErrorResponse{Severity: "ERREUR", SeverityUnlocalized: "ERROR", Code: "42601", Message: "x"})
	long := errorMessage(t, pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P01", Message: strings.Repeat("x", 10*maxFarewell)})
	warning := "SWARNING\x00VWARNING\x00C57P02\x00Mterminating connection because of crash\x00R"
	crash := pgtest.Message('N', warning+"quickdie\x00\x00")
	raised := pgtest.Message('N', warning+"exec_stmt_raise\x00\x00")
	ready := pgtest.ReadyForQuery('I')
	for name, row := range map[string]struct {
		says [][]byte
		want string // SQLSTATE
	}{
		"FATAL":                    {[][]byte{fatal}, "57P01"},
		"FATAL after others":       {[][]byte{plain, ready, pgtest.Message('N', "notice"), fatal}, "57P01"},
		"a long one":               {[][]byte{long}, "57P01"},
		"an ordinary error":        {[][]byte{plain}, ""},
		"an ordinary one, in full": {[][]byte{french}, ""},
		"a crash":                  {[][]byte{crash}, "57P02"},
		"a function raises one":    {[][]byte{raised}, ""},
		"a notice":                 {[][]byte{pgtest.Message('N', "SNOTICE\x00VNOTICE\x00C00000\x00Mx\x00\x00")}, ""},
		"something follows":        {[][]byte{fatal, pgtest.Message('C', "SELECT 0\x00")}, ""},
		"the session goes on":      {[][]byte{fatal, ready}, ""},
		"nothing":                  {nil, ""},
	} {
		stream := append(pgtest.Login("pid4key4"), bytes.Join(row.says, nil)...)
		for _, piece := range []int{len(stream), 1000, 60} {
			tracker := new(txTracker)
			for rest := stream; len(rest) > 0; {
				n := min(piece, len(rest))
				tracker.upstreamSays(rest[:n], false)
				rest = rest[n:]
			}
			said, got := tracker.lastWords(), ""
			if said != nil {
				got = SessionEnd(said).Server.SQLState
			}
			if got != row.want || len(said) > messageHeader+maxFarewell+1 {
				t.Errorf("%s, in pieces of %d: %q (%d bytes), want %q", name, piece, got, len(said), row.want)
			}
		}
	}
}

// TestOrdinaryErrorsCostNothing: a session that has many failing queries keeps and allocates nothing.
func TestOrdinaryErrorsCostNothing(t *testing.T) {
	tracker := new(txTracker)
	tracker.upstreamSays(pgtest.Login("pid4key4"), false)
	plain := errorMessage(t, pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42601", Message: "x"})
	query, answer := pgtest.Message('Q', "select\x00"), append(plain, pgtest.ReadyForQuery('I')...)
	if allocations := testing.AllocsPerRun(100, func() {
		tracker.clientSays(query)
		tracker.upstreamSays(answer, false)
	}); allocations > 0 {
		t.Errorf("%v allocations for a query that fails", allocations)
	}
}
