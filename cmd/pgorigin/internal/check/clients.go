package check

import (
	"cmp"
	"slices"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/stacks"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// Clients says which TLS stacks of applications can connect to an address without pgorigin.
type Clients struct {
	// Verified says that the certificates were verified. Otherwise, an unverified peer showed them.
	Verified bool           `json:"verified"`
	Traits   []stacks.Trait `json:"traits"` // what not every stack can take
	Stacks   []ClientStack  `json:"stacks"`
}

// ClientStack is what becomes of one stack.
type ClientStack struct {
	Stack    string         `json:"stack"`
	Versions string         `json:"versions,omitempty"`
	Drivers  string         `json:"drivers"`
	Verdict  stacks.Verdict `json:"verdict"`
	Reasons  []ClientReason `json:"reasons,omitempty"` // none if it connects
}

// ClientReason says why a stack fails, or why that is not known.
type ClientReason struct {
	stacks.Trait
	Words    string `json:"words,omitempty"` // that users of the application read
	Evidence string `json:"evidence,omitempty"`
	Source   string `json:"source,omitempty"`
}

// newClients predicts what becomes of each known stack. It returns nil if the address showed nothing of TLS.
func newClients(d *diagnose.Address, serverName string, methods []string) *Clients {
	server := newServer(d, serverName, methods)
	if server == nil {
		return nil
	}
	c := &Clients{Verified: server.Verified, Traits: append([]stacks.Trait{}, server.Traits()...)}
	table := stacks.Table()
	for i := range table {
		k := &table[i]
		predicted := stacks.Predict(server, k)
		row := ClientStack{Stack: k.Name, Versions: k.Versions, Drivers: k.Drivers, Verdict: predicted.Verdict}
		for _, r := range predicted.Reasons {
			reason := ClientReason{Trait: r.Trait, Words: r.Words, Source: r.Source}
			if predicted.Verdict != stacks.Unknown {
				reason.Evidence = r.Evidence()
			}
			row.Reasons = append(row.Reasons, reason)
			if !slices.ContainsFunc(c.Traits, func(t stacks.Trait) bool { return t.Cause == r.Cause }) &&
				r.Cause != stacks.Always {
				c.Traits = append(c.Traits, r.Trait)
			}
		}
		c.Stacks = append(c.Stacks, row)
	}
	slices.SortStableFunc(c.Traits, func(a, b stacks.Trait) int {
		return cmp.Compare(slices.Index(stacks.Causes(), a.Cause), slices.Index(stacks.Causes(), b.Cause))
	})
	return c
}

// newServer returns what an address showed. It returns nil if that is nothing.
func newServer(d *diagnose.Address, serverName string, methods []string) *stacks.Server {
	accepts := d.Acceptance
	if accepts == nil || len(d.Path) == 0 && len(accepts.Versions) == 0 {
		return nil
	}
	server := &stacks.Server{
		Name: serverName, Now: time.Now(), Path: d.Path, Sent: d.Sent, Verified: d.Certificate.Verified,
		Versions: accepts.Versions, Suites: map[stacks.Suites]bool{}, Groups: map[string]bool{},
		LostHello: accepts.LostHello, GoodHello: accepts.GoodHello, NeedsSNI: accepts.NeedsSNI,
		HandshakeSHA1:  accepts.OnlySHA1 && !accepts.Versions[stacks.TLS13],
		NegativeSerial: accepts.NegativeSerial,
		Incomplete:     d.Err != nil && d.Err.Kind == tlsorigin.ReasonChainIncomplete && len(d.Path) > 0,
		PSSKey:         accepts.PSSKey, MLDSAKey: accepts.MLDSAKey, Methods: methods,
	}
	if len(server.Path) == 0 { // the handshake of pgorigin did not come to certificates, that of others does
		server.Path, server.Sent = accepts.Path, accepts.Sent
	}
	for ours, theirs := range map[diagnose.SuiteKind]stacks.Suites{
		diagnose.SuitesAEAD: stacks.AEAD, diagnose.SuitesCBC: stacks.CBC,
		diagnose.SuitesDHE: stacks.DHE, diagnose.SuitesRSA: stacks.RSA,
	} {
		if takes, asked := accepts.Suites[ours]; asked {
			server.Suites[theirs] = takes
		}
	}
	for group, takes := range accepts.Groups {
		server.Groups[tlsorigin.GroupName(group)] = takes
	}
	return server
}
