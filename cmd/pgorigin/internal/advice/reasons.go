package advice

import (
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// SQLSTATEs that clients get; see appendix "Error Codes" of PostgreSQL's manual.
const (
	cannotConnect      = "08001"
	connectionLost     = "08006"
	protocolViolation  = "08P01"
	notAuthorized      = "28000"
	tooManyConnections = "53300"
	queryCanceled      = "57014"
	adminShutdown      = "57P01"
	cannotConnectNow   = "57P03"
)

// reason is one row of the table: all that there is to say about one reason word.
type reason struct {
	Word    string
	Stages  []diagnose.Stage // stages of "pgorigin check" that fail with Word
	Ends    []end            // phases in which a session ends with Word
	Meaning string           // one sentence
	Cures   []string         // templates of sentences, the best one first; none if there is nothing to do
	Cases   []reasonCase     // findings of the same reason that have cures of their own; usually none

	// Everybody means that the upstream refuses every login for this, whoever the user is.
	Everybody bool
}

// reasonCase is a row below a reason: what the program knows when it has found out more than the word says.
type reasonCase struct {
	Case  string   // of tlsorigin or pgwire
	When  string   // completes "If …", such as "the server does not take direct TLS"
	Cures []string // in place of those of the reason; {} stands for the Value of the error

	// Some means that this case concerns only some users or databases, although the reason has Everybody.
	Some bool
}

// The stages of "pgorigin check" besides those of package diagnose: the first two, and the last two.
const (
	StageConfig         diagnose.Stage = "config"
	StageFiles          diagnose.Stage = "files"
	StageListen         diagnose.Stage = "listen"
	StageAuthentication diagnose.Stage = "authentication"
	StageLogin          diagnose.Stage = "login"
)

// end is one way in which a session ends with a reason.
type end struct {
	Phase    pgwire.Phase
	SQLState string // what the client gets; noAnswer or serversOwn in place of a code
}

// What a client gets when pgorigin has no SQLSTATE for it.
const (
	noAnswer   = ""
	serversOwn = "the server's own"
)

// ofDial are the ends for a reason that only a dial has.
func ofDial() []end { return []end{{pgwire.PhaseDial, cannotConnect}} }

// ofOutage are the ends for a reason that only a dial has, and that may pass by itself.
func ofOutage() []end { return []end{{pgwire.PhaseDial, cannotConnectNow}} }

// ofDoubt are the ends for a reason that only a dial has, and that passes by itself only in some cases: most
// often if the upstream was verified before.
func ofDoubt() []end { return append(ofDial(), ofOutage()...) }

// ofConnection are the ends for a reason that a dial has, and an established connection has, too.
func ofConnection() []end { return append(ofDial(), ofLoss()...) }

// ofLoss are the ends for a reason that only an established connection has.
func ofLoss() []end {
	return []end{{pgwire.PhaseAuth, connectionLost}, {pgwire.PhaseRelay, connectionLost}}
}

// group is a part of the table of reasons.
type group struct {
	Title   string
	Reasons []reason
}

// groups is the table of reasons.
func groups() []group {
	return []group{
		{"Clients", clientReasons()},
		{"The upstream", upstreamReasons()},
		{"TLS", tlsReasons()},
		{"Certificates", certificateReasons()},
		{"Logins", loginReasons()},
	}
}

func clientReasons() []reason {
	return []reason{{
		Word:    "ok",
		Ends:    []end{{pgwire.PhaseRelay, noAnswer}},
		Meaning: "The client ended its session normally.",
	}, {
		Word: "client_protocol",
		Ends: []end{
			{pgwire.PhaseStartup, noAnswer},
			{pgwire.PhaseStartup, protocolViolation},
			{pgwire.PhaseAuth, protocolViolation},
		},
		Meaning: "The client sent no Postgres startup packet, or broke the rules of a login.",
		Cures: []string{
			"Connect with a Postgres client.",
			"The health endpoints are at {HEALTH_ADDR}.",
		},
		Cases: append(clientTLS(), sentHTTP()),
	}, {
		Word: "client_gone",
		Ends: []end{
			{pgwire.PhaseStartup, noAnswer},
			{pgwire.PhaseDial, noAnswer},
			{pgwire.PhaseAuth, noAnswer},
			{pgwire.PhaseRelay, noAnswer},
		},
		Meaning: "The client left without a Terminate message.",
		Cases:   []reasonCase{wantsTLS()},
	}, {
		Word:    "client_timeout",
		Ends:    []end{{pgwire.PhaseStartup, noAnswer}},
		Meaning: "The client sent no startup packet in time. Port checks do that, too.",
		Cures:   []string{"Make the client send its startup packet at once.", "Or raise {LOGIN_TIMEOUT}."},
	}, {
		Word:    "client_denied",
		Ends:    []end{{pgwire.PhaseStartup, notAuthorized}},
		Meaning: "The client's user may not connect to the Unix socket.",
		Cures: []string{
			"Add the client's user ID to {LISTEN_ALLOW_UIDS}.",
			"Or connect as a user whose ID is there.",
		},
	}, {
		Word:    "too_many_sessions",
		Ends:    []end{{pgwire.PhaseStartup, tooManyConnections}},
		Meaning: "The limit of sessions that the message names is reached.",
		Cures: []string{
			"Use fewer connections.",
			"Or raise the limit that the message names: memory or open files.",
		},
		Cases: []reasonCase{maxSessions()},
	}, {
		Word: "draining",
		Ends: []end{
			{pgwire.PhaseStartup, noAnswer},
			{pgwire.PhaseStartup, cannotConnectNow},
			{pgwire.PhaseDial, cannotConnectNow},
			{pgwire.PhaseAuth, cannotConnectNow},
			{pgwire.PhaseRelay, adminShutdown},
		},
		Meaning: "This pgorigin is shutting down.",
		Cures: []string{
			"Connect again.",
			"{SHUTDOWN_TIMEOUT} says how long running sessions may go on.",
		},
	}}
}
