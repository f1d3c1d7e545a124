package check

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// Results of a stage.
const (
	resultOK      = "ok"
	resultWarning = "warning"
	resultFailed  = "failed"
	resultSkipped = "skipped"
)

// resultDegraded is the result of a report. A client gets a connection, though an address or a hello failed.
const resultDegraded = "degraded"

// Report is the result of a check. Its JSON keys are stable: keys are added, not changed. All texts are fit
// for a terminal.
type Report struct {
	Result    string     `json:"result"`             // resultOK, resultDegraded or resultFailed
	OK        bool       `json:"ok"`                 // a client gets a connection: Result is not resultFailed
	Failed    *Failure   `json:"failed"`             // the failing stage for which a client gets none
	Degraded  []Failure  `json:"degraded,omitempty"` // what failed, though a client gets a connection
	Problems  []Problem  `json:"problems,omitempty"`
	Warnings  []string   `json:"warnings,omitempty"`
	Stages    []Stage    `json:"stages"` // config, files and listen
	Upstreams []Upstream `json:"upstreams,omitempty"`
	Sessions  []Sessions `json:"sessions,omitempty"` // of each origin
}

// Failure is a failing stage.
type Failure struct {
	Stage    diagnose.Stage `json:"stage"`
	Origin   string         `json:"origin,omitempty"` // none for the configuration
	Upstream string         `json:"upstream,omitempty"`
	Address  string         `json:"address,omitempty"`
	Reason   string         `json:"reason,omitempty"` // none for the configuration
	Text     string         `json:"text"`
	Cure     string         `json:"cure,omitempty"`
}

// Problem is one problem of the configuration.
type Problem struct {
	Variable string `json:"variable"`
	Value    string `json:"value,omitempty"`
	Text     string `json:"text"`
}

// Stage is one step of the check. An empty Reason means that it has none.
type Stage struct {
	Stage        diagnose.Stage `json:"stage"`
	Result       string         `json:"result"`
	Milliseconds *float64       `json:"milliseconds,omitempty"`
	Reason       string         `json:"reason,omitempty"`
	Text         string         `json:"text,omitempty"`
	Cure         string         `json:"cure,omitempty"`
}

// Upstream is one configured address.
type Upstream struct {
	Origin     string    `json:"origin"`
	Upstream   string    `json:"upstream"`
	ServerName string    `json:"server_name"`
	DNS        Stage     `json:"dns"`
	Addresses  []Address `json:"addresses"`
}

// Address is what was found out about one resolved address.
type Address struct {
	Address           string             `json:"address"`
	Stages            []Stage            `json:"stages"`
	TLS               *TLS               `json:"tls,omitempty"`
	Chain             *Chain             `json:"chain,omitempty"`
	Name              *Name              `json:"name,omitempty"`
	ClientCertificate *ClientCertificate `json:"client_certificate,omitempty"`
	KeyExchange       []KeyExchange      `json:"key_exchange,omitempty"`
	Trials            []Trial            `json:"trials,omitempty"`
	Authentication    []string           `json:"authentication,omitempty"` // methods that the server asks for
	Login             *LoginFacts        `json:"login,omitempty"`
	Clients           *Clients           `json:"clients,omitempty"` // nil without --clients

	failed diagnose.Stage // the stage whose failure Dial reports; empty if it reports none
}

// TLS is what a handshake agreed on.
type TLS struct {
	Version           string `json:"version"`
	Cipher            string `json:"cipher"`
	Group             string `json:"group"`
	HelloRetryRequest bool   `json:"hello_retry_request"`
}

// Chain is what the upstream presented.
type Chain struct {
	Verified     bool                        `json:"verified"`
	TrustAnchor  string                      `json:"trust_anchor,omitempty"` // its subject
	TrustedBy    string                      `json:"trusted_by"`             // variable, or "system roots"
	Certificates []tlsorigin.PeerCertificate `json:"certificates"`           // from the authority down
	Unused       []tlsorigin.PeerCertificate `json:"unused,omitempty"`       // sent, but not part of it
}

// Name is what the certificate had to be valid for, and what it is valid for.
type Name struct {
	Expected  string `json:"expected"`
	Presented string `json:"presented"`
}

// ClientCertificate says whether the upstream asked for one.
type ClientCertificate struct {
	Requested bool   `json:"requested"`
	Presented string `json:"presented,omitempty"`
}

// KeyExchange is one row of the matrix: a ClientHello and what became of it.
type KeyExchange struct {
	Offered           string  `json:"offered"` // a group, or "configured"
	Outcome           string  `json:"outcome"`
	ClientHello       int     `json:"client_hello_bytes"`
	Milliseconds      float64 `json:"milliseconds"`
	Group             string  `json:"group,omitempty"`
	HelloRetryRequest bool    `json:"hello_retry_request"`
	Reason            string  `json:"reason,omitempty"`
}

// LoginFacts are what a login found out.
type LoginFacts struct {
	User          string  `json:"user"`
	Database      string  `json:"database"`
	ServerVersion string  `json:"server_version"`
	InRecovery    bool    `json:"in_recovery"`
	Mechanism     string  `json:"mechanism,omitempty"` // of SASL
	RoundTrip     float64 `json:"round_trip_milliseconds"`
}

func (s *Stage) took(d time.Duration) {
	ms := milliseconds(d)
	s.Milliseconds = &ms
}

// milliseconds has three digits after the point.
func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d.Microseconds())) / 1000
}

func inMilliseconds(ms float64) string { return fmt.Sprintf("%.1f ms", ms) }

// verified reports whether the walk came to a verified connection. That a group fails alone does not matter.
func (a *Address) verified() bool {
	reached := false
	for i := range a.Stages {
		s := &a.Stages[i]
		if s.Result == resultFailed && s.Stage != diagnose.StageKeyExchange {
			return false
		}
		reached = reached || s.Stage == diagnose.StageClientCertificate
	}
	return reached
}

// excuseMissingFamily turns a failure of TCP into a warning for the addresses of a family that this machine
// lacks: none of that family is reached, and all of the other one are. Dial races both.
func (u *Upstream) excuseMissingFamily() {
	var unreached, reached [2]int // IPv4, IPv6
	for i := range u.Addresses {
		if a := &u.Addresses[i]; a.unreachable() {
			unreached[a.family()]++
		} else {
			reached[a.family()]++
		}
	}
	for i := range u.Addresses {
		a := &u.Addresses[i]
		own, other := a.family(), 1-a.family()
		if a.unreachable() && reached[own] == 0 && unreached[other] == 0 && reached[other] > 0 {
			a.Stages[0].Result, a.Stages[0].Cure = resultWarning, ""
		}
	}
}

func (a *Address) unreachable() bool {
	return len(a.Stages) > 0 && a.Stages[0].Stage == diagnose.StageTCP && a.Stages[0].Result == resultFailed
}

// family returns 0 for IPv4 and 1 for IPv6.
func (a *Address) family() int {
	if addr, err := netip.ParseAddrPort(a.Address); err == nil && addr.Addr().Is6() {
		return 1
	}
	return 0
}
