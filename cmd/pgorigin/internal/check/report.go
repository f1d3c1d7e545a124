package check

import (
	"fmt"
	"math"
	"net"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// Results of a stage.
const (
	resultOK      = "ok"
	resultWarning = "warning"
	resultFailed  = "failed"
	resultSkipped = "skipped"
)

// Report is what check has to say. Its JSON keys are stable: keys are added, not changed. All texts are fit for a
// terminal.
type Report struct {
	OK        bool       `json:"ok"`
	Failed    *Failure   `json:"failed"` // the first failing stage
	Problems  []Problem  `json:"problems,omitempty"`
	Warnings  []string   `json:"warnings,omitempty"`
	Stages    []Stage    `json:"stages"` // config and files
	Upstreams []Upstream `json:"upstreams,omitempty"`
}

// Failure is the verdict.
type Failure struct {
	Stage    string `json:"stage"`
	Origin   string `json:"origin,omitempty"` // none for the configuration
	Upstream string `json:"upstream,omitempty"`
	Address  string `json:"address,omitempty"`
	Reason   string `json:"reason,omitempty"` // a word of cures; none for the configuration
	Text     string `json:"text"`
	Cure     string `json:"cure,omitempty"`
}

type Problem struct {
	Variable string `json:"variable"`
	Value    string `json:"value,omitempty"`
	Text     string `json:"text"`
}

// Stage is one step.
type Stage struct {
	Stage        string   `json:"stage"`
	Result       string   `json:"result"`
	Milliseconds *float64 `json:"milliseconds,omitempty"`
	Reason       string   `json:"reason,omitempty"`
	Text         string   `json:"text,omitempty"`
	Cure         string   `json:"cure,omitempty"`
}

// Upstream is one configured address.
type Upstream struct {
	Origin     string    `json:"origin"`
	Upstream   string    `json:"upstream"`
	ServerName string    `json:"server_name"`
	DNS        Stage     `json:"dns"`
	Addresses  []Address `json:"addresses"`
}

// Address is the walk to one resolved address.
type Address struct {
	Address           string             `json:"address"`
	Stages            []Stage            `json:"stages"`
	TLS               *TLS               `json:"tls,omitempty"`
	Chain             *Chain             `json:"chain,omitempty"`
	Name              *Name              `json:"name,omitempty"`
	ClientCertificate *ClientCertificate `json:"client_certificate,omitempty"`
	KeyExchange       []KeyExchange      `json:"key_exchange,omitempty"`
	Authentication    []string           `json:"authentication,omitempty"` // methods that the server asks for
	Login             *LoginFacts        `json:"login,omitempty"`

	failed string // the stage whose failure Dial reports; empty if it reports none
}

type TLS struct {
	Version           string `json:"version"`
	Cipher            string `json:"cipher"`
	Group             string `json:"group"`
	HelloRetryRequest bool   `json:"hello_retry_request"`
}

type Chain struct {
	Verified     bool          `json:"verified"`
	TrustAnchor  string        `json:"trust_anchor,omitempty"` // subject of the certificate that ended it
	TrustedBy    string        `json:"trusted_by"`             // variable, or "system roots"
	Certificates []Certificate `json:"certificates"`           // from the authority to the server's own
	Unused       []Certificate `json:"unused,omitempty"`       // sent, but not part of it
}

type Certificate struct {
	Subject            string `json:"subject"`
	Issuer             string `json:"issuer"`
	Key                string `json:"key"`
	SignatureAlgorithm string `json:"signature_algorithm"`
	SHA256             string `json:"sha256"`
	NotBefore          string `json:"not_before"`
	NotAfter           string `json:"not_after"`
	DaysLeft           int    `json:"days_left"`
	Sent               bool   `json:"sent"`
}

type Name struct {
	Expected  string `json:"expected"`
	Presented string `json:"presented"`
}

type ClientCertificate struct {
	Requested bool   `json:"requested"`
	Presented string `json:"presented,omitempty"`
}

type KeyExchange struct {
	Offered           string  `json:"offered"` // a group, or "configured"
	Outcome           string  `json:"outcome"`
	ClientHello       int     `json:"client_hello_bytes"`
	Milliseconds      float64 `json:"milliseconds"`
	Group             string  `json:"group,omitempty"`
	HelloRetryRequest bool    `json:"hello_retry_request"`
	Reason            string  `json:"reason,omitempty"`
}

type LoginFacts struct {
	User          string  `json:"user"`
	Database      string  `json:"database"`
	ServerVersion string  `json:"server_version"`
	InRecovery    bool    `json:"in_recovery"`
	Mechanism     string  `json:"mechanism,omitempty"` // of SASL
	RoundTrip     float64 `json:"round_trip_milliseconds"`
}

func (s *Stage) fail(o *config.Origin, reason, text string) {
	s.Result, s.Reason, s.Text = resultFailed, reason, text
	if s.Cure == "" {
		s.Cure = advice.CureOf(reason, o)
	}
}

func (s *Stage) took(d time.Duration) { ms := milliseconds(d); s.Milliseconds = &ms }

// done fills in that nothing went wrong.
func (s *Stage) done() Stage {
	if s.Result == "" {
		s.Result = resultOK
	}
	return *s
}

// milliseconds has three digits behind the point.
func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d.Microseconds())) / 1000
}

func inMilliseconds(ms float64) string { return fmt.Sprintf("%.1f ms", ms) }

func (c *originChecker) newCheckUpstream(d *diagnose.Upstream) *Upstream {
	u := &Upstream{
		Origin: c.origin.Name(), Upstream: d.Addr, ServerName: d.ServerName,
		DNS: Stage{Stage: "dns"}, Addresses: []Address{},
	}
	if d.Lookup > 0 {
		u.DNS.took(d.Lookup)
	}
	switch {
	case d.Err != nil:
		u.DNS.fail(c.origin, d.Err.Reason(), d.Err.Error())
	case d.Lookup == 0:
		u.DNS.Text = "an IP address, no lookup"
	case d.Resolved == 1:
		u.DNS.Text = "1 address"
	default:
		u.DNS.Text = fmt.Sprintf("%d addresses", d.Resolved)
	}
	if n := len(d.Addresses); n < d.Resolved {
		u.DNS.Text += fmt.Sprintf(", the first %d of which are checked", n)
	}
	u.DNS.done()
	return u
}

// verified reports whether the walk came to a verified connection. That a group fails alone does not matter.
func (a *Address) verified() bool {
	reached := false
	for i := range a.Stages {
		s := &a.Stages[i]
		if s.Result == resultFailed && s.Stage != string(diagnose.StageKeyExchange) {
			return false
		}
		reached = reached || s.Stage == string(diagnose.StageClientCertificate)
	}
	return reached
}

// forgiveFamily makes a warning of addresses that TCP does not reach if all of them are of one family and the other one
// works: a machine without IPv6 is no fault, since both are raced.
func (u *Upstream) forgiveFamily() {
	var unreached, worked [2]int
	family := func(address string) int {
		host, _, _ := net.SplitHostPort(address)
		if strings.Contains(host, ":") {
			return 1
		}
		return 0
	}
	unreachable := func(a *Address) bool {
		return len(a.Stages) > 0 && a.Stages[0].Stage == string(diagnose.StageTCP) && a.Stages[0].Result == resultFailed
	}
	for i := range u.Addresses {
		if unreachable(&u.Addresses[i]) {
			unreached[family(u.Addresses[i].Address)]++
		} else {
			worked[family(u.Addresses[i].Address)]++
		}
	}
	for i := range u.Addresses {
		a := &u.Addresses[i]
		f := family(a.Address)
		if unreachable(a) && worked[f] == 0 && unreached[1-f] == 0 && worked[1-f] > 0 {
			a.Stages[0].Result = resultWarning
			a.Stages[0].Cure = ""
		}
	}
}

// judge finds the first failing stage.
func (r *Report) judge() {
	take := func(s *Stage, origin, upstream, address string) {
		if r.Failed == nil && s.Result == resultFailed {
			r.Failed = &Failure{s.Stage, origin, upstream, address, s.Reason, s.Text, s.Cure}
		}
	}
	for i := range r.Stages {
		take(&r.Stages[i], "", "", "")
	}
	for i := range r.Upstreams {
		u := &r.Upstreams[i]
		take(&u.DNS, u.Origin, u.Upstream, "")
		for j := range u.Addresses {
			a := &u.Addresses[j]
			for k := range a.Stages {
				if a.failed == "" || a.failed == a.Stages[k].Stage {
					take(&a.Stages[k], u.Origin, u.Upstream, a.Address)
				}
			}
		}
	}
	r.OK = r.Failed == nil && len(r.Problems) == 0
}
