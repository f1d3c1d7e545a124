package tlsorigin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// PostQuantum says what a connection does about key exchange that a future quantum computer cannot undo.
type PostQuantum string

// The policies. The zero value means PostQuantumPrefer.
const (
	// PostQuantumPrefer offers hybrid groups and classical ones. If a ClientHello vanishes on the way, a
	// classical one follows, once and visibly.
	PostQuantumPrefer PostQuantum = "prefer"
	// PostQuantumRequire offers hybrid groups alone, in TLS 1.3 alone, and never falls back.
	PostQuantumRequire PostQuantum = "require"
	// PostQuantumOff offers classical groups alone.
	PostQuantumOff PostQuantum = "off"
)

// Negotiation says how a connection becomes TLS.
type Negotiation string

// The ways to begin TLS. The zero value means NegotiatePostgres.
const (
	// NegotiatePostgres sends SSLRequest and waits for 'S'.
	NegotiatePostgres Negotiation = "postgres"
	// NegotiateDirect begins with TLS and insists on ALPN. PostgreSQL accepts that from 17 on, pgbouncer from
	// 1.25 on.
	NegotiateDirect Negotiation = "direct"
)

// protocolName is what Postgres calls itself in ALPN.
const protocolName = "postgresql"

// hybridGroups and classicalGroups together are what crypto/tls can negotiate, in its own order of
// preference. Nothing changes that order: a list of groups is a set to crypto/tls.
func hybridGroups() []tls.CurveID {
	return []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024}
}

func classicalGroups() []tls.CurveID {
	return []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
}

// Groups returns the key-exchange groups that can be negotiated, in the order of crypto/tls.
func Groups() []tls.CurveID { return slices.Concat(hybridGroups(), classicalGroups()) }

// IsHybrid reports whether a group combines a post-quantum key exchange with a classical one.
func IsHybrid(id tls.CurveID) bool { return slices.Contains(hybridGroups(), id) }

func isClassical(id tls.CurveID) bool { return slices.Contains(classicalGroups(), id) }

// GroupName returns the name of a key-exchange group as operators write it, "" for zero.
func GroupName(id tls.CurveID) string {
	switch id {
	case 0:
		return ""
	case tls.CurveP256:
		return "P-256"
	case tls.CurveP384:
		return "P-384"
	case tls.CurveP521:
		return "P-521"
	}
	return id.String() // a number for a group that this Go does not know
}

// GroupNames returns the names of groups, in their order.
func GroupNames(ids []tls.CurveID) []string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = GroupName(id)
	}
	return names
}

// keyExchange is what a Config means by its groups.
type keyExchange struct {
	policy PostQuantum
	groups []tls.CurveID // the default offer; nil means all that crypto/tls has
	listed bool          // Config.Groups says so

	classical []tls.CurveID // offered when the default hello vanishes; nil means that there is no fallback
	enabled   []tls.CurveID // all classical groups of the default offer
	hybrid    bool          // the default ClientHello carries a hybrid key share in this process
	warnings  []Warning
}

// offeredGroups returns the default tls.Config.CurvePreferences. Nil means Go's own set.
func (c *Config) offeredGroups() []tls.CurveID {
	switch {
	case len(c.Groups) > 0:
		return c.Groups
	case c.PostQuantum == PostQuantumRequire:
		return hybridGroups()
	case c.PostQuantum == PostQuantumOff:
		return classicalGroups()
	}
	return nil
}

// keyExchange checks everything about groups. It does so on a ClientHello, too, because what crypto/tls makes
// of a list depends on GODEBUG and FIPS settings that no API tells.
func (c *Config) keyExchange(minVersion uint16) (keyExchange, []error) {
	k := keyExchange{policy: c.PostQuantum, groups: c.offeredGroups(), listed: len(c.Groups) > 0}
	if k.policy == "" {
		k.policy = PostQuantumPrefer
	}
	if problems := c.groupProblems(); problems != nil {
		return k, problems
	}
	k.enabled = slices.DeleteFunc(classicalGroups(), func(id tls.CurveID) bool {
		return k.groups != nil && !slices.Contains(k.groups, id)
	})
	if minVersion != tls.VersionTLS13 {
		minVersion = tls.VersionTLS12 // limits reports any other
	}
	hello, err := buildHello(&tls.Config{
		ServerName: "name.invalid", MinVersion: minVersion,
		CurvePreferences: k.groups,
	})
	k.hybrid = slices.ContainsFunc(hello.KeyShares, IsHybrid)
	switch {
	case k.policy == PostQuantumRequire && !k.hybrid:
		return k, []error{unusable("PostQuantum", string(c.PostQuantum), errors.New(
			"cannot be honoured: GODEBUG or FIPS 140 settings of this process switch ML-KEM off, "+
				"so it has no hybrid group to offer"))}
	case err != nil:
		return k, []error{unusable("Groups", strings.Join(GroupNames(c.Groups), ","), fmt.Errorf(
			"no ClientHello can be made of it, perhaps because GODEBUG or FIPS 140 settings "+
				"leave nothing: %w", err))}
	}
	if k.policy == PostQuantumPrefer && k.hybrid && len(k.enabled) > 0 {
		k.classical = k.enabled
	}
	if len(c.Groups) > 0 {
		k.warnGroups(hello)
	}
	return k, nil
}

// groupProblems finds unknown words and contradictions.
func (c *Config) groupProblems() []error {
	var problems []error
	complain := func(field, value, text string) {
		problems = append(problems, unusable(field, value, errors.New(text)))
	}
	exclude := func(group, text string) {
		problems = append(problems, &ConfigError{
			Field: "Groups", Value: group, Problem: ProblemExcluded, Err: errors.New(text),
			Others: []string{"PostQuantum"}, OtherValue: string(c.PostQuantum),
		})
	}
	switch c.PostQuantum {
	case "", PostQuantumPrefer, PostQuantumRequire, PostQuantumOff:
	default:
		complain("PostQuantum", string(c.PostQuantum), "want prefer, require or off")
	}
	switch c.Negotiation {
	case "", NegotiatePostgres, NegotiateDirect:
	default:
		complain("Negotiation", string(c.Negotiation), "want postgres or direct")
	}
	for i, id := range c.Groups {
		name := GroupName(id)
		switch {
		case !IsHybrid(id) && !isClassical(id):
			complain("Groups", name, "is not a group that can be negotiated here")
		case slices.Contains(c.Groups[:i], id):
			complain("Groups", name, "is there twice")
		case c.PostQuantum == PostQuantumRequire && !IsHybrid(id):
			exclude(name, "is classical")
		case c.PostQuantum == PostQuantumOff && IsHybrid(id):
			exclude(name, "is a hybrid group")
		}
	}
	return problems
}

// warnGroups warns if the ClientHello differs from an explicit list.
func (k *keyExchange) warnGroups(hello Hello) {
	var missing []tls.CurveID
	for _, id := range k.groups {
		if !slices.Contains(hello.Groups, id) {
			missing = append(missing, id)
		}
	}
	if missing != nil {
		text := strings.Join(GroupNames(missing), ", ") +
			" cannot be offered by this process (GODEBUG or FIPS 140 settings)"
		k.warnings = append(k.warnings, Warning{Field: "Groups", Text: text})
	}
	if len(hello.KeyShares) > 0 && hello.KeyShares[0] != k.groups[0] &&
		!slices.Contains(missing, k.groups[0]) {
		text := fmt.Sprintf("its order has no effect, TLS in Go has an order of its own: the key share is for %s, "+
			"and %s is merely allowed; to begin with a group, leave out those before it (%s)",
			strings.Join(GroupNames(hello.KeyShares), " and "), GroupName(k.groups[0]),
			strings.Join(GroupNames(Groups()), ", "))
		k.warnings = append(k.warnings, Warning{Field: "Groups", Text: text})
	}
}
