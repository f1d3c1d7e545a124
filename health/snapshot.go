package health

import "time"

// Snapshot is what pgorigin knows about itself at one moment. It is the body of /statusz, and the status page
// shows it. JSON keys are stable: keys are added, never changed. Times are in UTC. A Snapshot names no user
// and no database. Texts from certificates and peers are free of control characters, but not escaped for
// HTML.
type Snapshot struct {
	Time time.Time `json:"time"`
	About
	Started    bool             `json:"started"`    // as in /startupz
	Live       bool             `json:"live"`       // as in /livez
	Ready      bool             `json:"ready"`      // as in /readyz
	Draining   bool             `json:"draining"`   // told to stop
	Conditions []Condition      `json:"conditions"` // of readiness
	Notes      []Note           `json:"notes"`      // such as a failed reload; they do not affect readiness
	Origins    []OriginSnapshot `json:"origins"`    // the unnamed one first
}

// About says what runs.
type About struct {
	Version   string    `json:"version"`
	Revision  string    `json:"revision"` // empty: unknown
	Go        string    `json:"go"`
	Platform  string    `json:"platform"`
	FIPS      bool      `json:"fips"`    // Go's cryptography is in FIPS 140-3 mode
	GODEBUG   string    `json:"godebug"` // as in the environment
	StartedAt time.Time `json:"started_at"`
}

// Condition is one line of a verbose answer.
type Condition struct {
	Name     string `json:"name"`
	OK       bool   `json:"ok"`
	Excluded bool   `json:"excluded,omitempty"` // by ?exclude=; it does not count
	Reason   string `json:"reason,omitempty"`   // why it does not hold
	Detail   string `json:"detail,omitempty"`   // more about a condition that holds
}

// Note is something that people should know and that does not affect readiness.
type Note struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Names of the notes about an origin. With several origins, the name of the origin and a slash come first.
const (
	NoteUpstream     = "upstream"     // it is down; Probe says more
	NoteKeyExchange  = "key_exchange" // it fell back; KeyExchange says more
	NoteCertificates = "certificates" // new files were refused
	NoteExpiry       = "expiry"       // a certificate ends soon or has ended
)

// OriginSnapshot is the state of one origin.
type OriginSnapshot struct {
	Name       string   `json:"name"`
	Listen     []string `json:"listen"`      // bound addresses, and paths of Unix sockets
	Upstream   []string `json:"upstream"`    // host:port as configured, in the order of attempts
	ServerName string   `json:"server_name"` // in the certificate; empty: the upstream's host
	Verify     string   `json:"verify"`      // "verify-full" or "verify-ca"
	MinVersion string   `json:"min_version"` // "1.2"

	Verification string   `json:"verification"` // what an upstream has to prove, in one line
	Roots        []string `json:"roots"`        // where the trusted certificates come from

	Verified    *Verified     `json:"verified"`     // the latest verified handshake; nil: none so far
	KeyExchange []KeyExchange `json:"key_exchange"` // one for each remembered address
	Own         []Expiry      `json:"own"`          // our own certificates and CRLs, the first to end first

	Sessions Sessions  `json:"sessions"`
	Cancels  Cancels   `json:"cancels"`
	Failures []Failure `json:"failures"` // one for each reason, the latest first
	Reloads  []Reload  `json:"reloads"`  // the latest first, at most ten
	Probe    Probe     `json:"probe"`
	Spares   *Spares   `json:"spares"` // nil: none are kept

	Wait      Wait      `json:"wait"`
	Addresses []Address `json:"addresses"` // remembered ones, in the order in which a connection would try them
}

// Verified describes a handshake in which the upstream has proved its identity.
type Verified struct {
	At          time.Time     `json:"at"`
	Upstream    string        `json:"upstream"`     // host:port as configured
	Address     string        `json:"address"`      // resolved
	Version     string        `json:"version"`      // of TLS: "1.3"
	Cipher      string        `json:"cipher"`       // "TLS_AES_128_GCM_SHA256"
	Group       string        `json:"group"`        // of the key exchange: "X25519MLKEM768"
	PostQuantum bool          `json:"post_quantum"` // that group is a hybrid one
	Resumed     bool          `json:"resumed"`      // it resumed an earlier verified session
	Chain       []Certificate `json:"chain"`        // from the authority to the server
}

// Certificate is a certificate of a verified chain. Subject, Issuer and Names are in double quotes, free of
// control characters, and bounded in length.
type Certificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names"` // the first few subject alternative names
	Key       string    `json:"key"`   // "ECDSA P-256", "RSA 2048"
	SHA256    string    `json:"sha256"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	DaysLeft  int       `json:"days_left"` // whole days; negative after NotAfter
}

// KeyExchange is what is known about key exchange with one resolved address.
type KeyExchange struct {
	Upstream string `json:"upstream"` // host:port as configured
	Address  string `json:"address"`
	// State is "negotiated", "server_lacks", "path_blocked" or "disabled".
	State    string    `json:"state"`
	Fallback string    `json:"fallback,omitempty"` // "small_segments" or "classical"; empty: none
	Cause    string    `json:"cause,omitempty"`    // why, in words
	Cure     string    `json:"cure,omitempty"`
	Until    time.Time `json:"until,omitzero"` // the time of the next attempt without the fallback
}

// Expiry is the end of a certificate or revocation list of our own.
type Expiry struct {
	Role     string    `json:"role"`    // one of the Role constants
	Subject  string    `json:"subject"` // in double quotes, as in Certificate; empty for revocation lists
	NotAfter time.Time `json:"not_after"`
	DaysLeft int       `json:"days_left"`
}

// Values of Expiry.Role.
const (
	RoleUpstream = "upstream" // the certificate that the upstream presented last
	RoleClient   = "client"   // our own client certificate
	RoleCA       = "ca"       // the CA certificate that ends first
	RoleCRL      = "crl"      // the revocation list that runs out first
	RoleListener = "listener" // the certificate that clients with TLS see
)

// Sessions counts clients, cancel requests included.
type Sessions struct {
	Open  int   `json:"open"`
	Total int64 `json:"total"` // since the start, open ones included
	Limit int   `json:"limit"` // of open sessions; zero: none
	// LimitFrom is what sets Limit: a variable, or the machine for all origins together.
	LimitFrom string   `json:"limit_from,omitempty"`
	OffLoop   int      `json:"off_loop"` // that no event loop relays
	Logins    []Logins `json:"logins"`   // since the start, one for each used method
	Minutes   []Minute `json:"minutes"`  // the last hour, the oldest first
}

// Logins counts the logins by one method.
type Logins struct {
	Method string `json:"method"` // "scram-sha-256-plus"; "none": without proof
	Count  int64  `json:"count"`
}

// Minute is one point of a chart.
type Minute struct {
	Start  time.Time `json:"start"`
	Open   int       `json:"open"`   // the most sessions that were open at one time
	Opened int       `json:"opened"` // new sessions
	Failed int       `json:"failed"` // sessions that ended with a reason in Failures
}

// Cancels counts cancel requests that have ended.
type Cancels struct {
	Forwarded  int64 `json:"forwarded"`   // delivered, for a session of this process
	Failed     int64 `json:"failed"`      // not delivered, for a session of this process
	UnknownKey int64 `json:"unknown_key"` // for no session of this process
}

// Problem says in words why something failed.
type Problem struct {
	Reason string `json:"reason"` // a word of the documentation
	Text   string `json:"text"`   // one sentence
	Cure   string `json:"cure"`   // what to change; empty: unknown
	// Cures are the sentences of Cure, the one that most likely works first.
	Cures []string `json:"cures"`
}

// Failure is a reason with which sessions and probes ended and that somebody should look into.
type Failure struct {
	Problem            // the latest with this reason
	Count    int64     `json:"count"`
	Last     time.Time `json:"last"`
	Harmless bool      `json:"harmless,omitempty"` // clients also do so on purpose, so it calls for no attention
}

// Reload is a check of the certificate files that found something.
type Reload struct {
	At     time.Time `json:"at"`
	Result string    `json:"result"` // ReloadOK, ReloadFailed or ReloadStalled
	Text   string    `json:"text"`
}

// Results of a check of the certificate files.
const (
	ReloadOK        = "ok"        // they had changed, and the new ones are in force
	ReloadUnchanged = "unchanged" // they hold what is in force
	ReloadFailed    = "error"     // they are wrong; what was in force stays
	ReloadStalled   = "stalled"   // their mount does not answer; what was in force stays
)

// Probe is what sessions and, if Active, background probes know about reaching the upstream.
type Probe struct {
	Active          bool      `json:"active"`
	IntervalSeconds float64   `json:"interval_seconds"`
	State           string    `json:"state"`                 // one of the Probe constants
	Since           time.Time `json:"since,omitzero"`        // of State; ProbeDown: its first failure
	LastTry         time.Time `json:"last_try,omitzero"`     // end of the latest try, probe or session
	TookSeconds     float64   `json:"took_seconds"`          // duration of the last try
	LastSuccess     time.Time `json:"last_success,omitzero"` // likewise
	Failures        int       `json:"consecutive_failures"`  // at most one counts in each interval
	Problem         *Problem  `json:"problem"`               // of the last try; nil: success, or no try
}

// States of a Probe.
const (
	ProbeUnknown = "unknown" // nothing was tried
	ProbeUp      = "up"
	ProbeDown    = "down" // enough failures in a row, or a failure before the first success
)

// Wait says whether the upstream is away, and how many clients wait for it.
type Wait struct {
	LimitSeconds float64   `json:"limit_seconds"` // how long a client waits at most; zero: none waits
	Away         bool      `json:"away"`
	Since        time.Time `json:"since,omitzero"` // of Away
	Waiting      int       `json:"waiting"`        // clients
	Problem      *Problem  `json:"problem"`        // why it is away; nil: it is not
}

// Address is what is remembered about one resolved address of the upstream.
type Address struct {
	Upstream string    `json:"upstream"` // host:port as configured
	Address  string    `json:"address"`
	State    string    `json:"state"`                  // one of the Address constants
	Since    time.Time `json:"since,omitzero"`         // of State
	Verified time.Time `json:"last_verified,omitzero"` // the latest verified handshake
	Problem  *Problem  `json:"problem"`                // the latest failure; nil: none
	NextTry  time.Time `json:"next_try,omitzero"`      // while another address is good, it is not tried before
}

// States of an Address.
const (
	AddressUnknown     = "unknown"     // not tried lately
	AddressGood        = "good"        // verified
	AddressRefused     = "refused"     // refuses connections
	AddressUnreachable = "unreachable" // no route leads there
	AddressSilent      = "silent"      // does not answer
	AddressFailing     = "failing"     // answers, and fails in TLS or in verification
	AddressNotReady    = "not_ready"   // verified, and takes no logins: it starts or stops
)

// Spares counts the warm spares.
type Spares struct {
	Wanted int `json:"wanted"`
	Ready  int `json:"ready"`
}
