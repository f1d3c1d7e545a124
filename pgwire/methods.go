package pgwire

import (
	"fmt"
	"strings"

	"github.com/pgorigin/pgorigin/pgwire/internal/scram"
)

// AuthMethods is a set of authentication methods: those that an upstream may ask for. The zero value means
// any method.
type AuthMethods uint16

const (
	methodPassword AuthMethods = 1 << iota
	methodMD5
	methodGSS
	methodSSPI
	methodSCRAM // with or without channel binding, as in libpq
	methodNone
	methodOAuth
	methodSCRAMPlus // SCRAM with channel binding alone
	methodsLeft     // not a method: the set was written as a list of exclusions
	// allMethods leaves out methodSCRAMPlus, which is a part of methodSCRAM.
	allMethods = methodPassword | methodMD5 | methodGSS | methodSSPI | methodSCRAM | methodNone | methodOAuth
)

// methodNames returns the names of libpq's require_auth and scram-sha-256-plus, in the order of the bits.
func methodNames() []string {
	return []string{"password", "md5", "gss", "sspi", scramMethod, "none", "oauth", scramPlusMethod}
}

const (
	scramMethod     = "scram-sha-256"
	scramPlusMethod = "scram-sha-256-plus"
)

// LoginMethods returns every name that SessionInfo.Method may have.
func LoginMethods() []string { return append(methodNames(), otherMethod) }

const otherMethod = "other" // a SASL mechanism without a name here

// ParseAuthMethods reads a comma list of password, md5, gss, sspi, scram-sha-256, scram-sha-256-plus, oauth
// and none, like libpq's require_auth. With an exclamation mark before each name, the list excludes methods.
// scram-sha-256 means with or without channel binding. An empty list means any method.
func ParseAuthMethods(list string) (AuthMethods, error) {
	if strings.TrimSpace(list) == "" {
		return 0, nil
	}
	var set AuthMethods
	negated := strings.HasPrefix(strings.TrimSpace(list), "!")
	for item := range strings.SplitSeq(list, ",") {
		name, not := strings.CutPrefix(strings.TrimSpace(item), "!")
		if not != negated {
			return 0, fmt.Errorf("%q mixes methods with and without an exclamation mark", list)
		}
		bit := methodBit(name)
		switch {
		case bit == 0:
			return 0, fmt.Errorf("%q is not an authentication method: expected %s",
				name, strings.Join(methodNames(), ", "))
		case set&bit != 0:
			return 0, fmt.Errorf("%s stands twice", name)
		case negated && bit == methodSCRAMPlus:
			return 0, fmt.Errorf("%s cannot be excluded by itself: exclude %s, which has both",
				name, scramMethod)
		}
		set |= bit
	}
	if negated {
		set = allMethods &^ set
	}
	if set == 0 {
		return 0, fmt.Errorf("%q leaves no method", list)
	}
	if negated {
		set |= methodsLeft
	}
	return set, nil
}

func methodBit(name string) AuthMethods {
	for i, known := range methodNames() {
		if name == known {
			return 1 << i
		}
	}
	return 0
}

// String returns the comma list of the names.
func (m AuthMethods) String() string {
	var names []string
	for i, name := range methodNames() {
		if m&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// contains reports whether the set has at least one of the methods in other. The zero value has all.
func (m AuthMethods) contains(other AuthMethods) bool { return m == 0 || m&other != 0 }

// RequiresBinding reports whether SCRAM is allowed only with channel binding. Only a bridge can do that.
func (m AuthMethods) RequiresBinding() bool {
	return m&(methodSCRAM|methodSCRAMPlus) == methodSCRAMPlus
}

// Allows reports whether an upstream may ask for a method, given as RequestedMethods names it. The zero value
// allows all.
func (m AuthMethods) Allows(method string) bool {
	if bit := methodBit(method); bit != 0 {
		return m.contains(bit)
	}
	return m.allowsMechanism(method)
}

// allowsMechanism reports whether an upstream may offer a SASL mechanism. The zero value allows all.
func (m AuthMethods) allowsMechanism(name string) bool {
	switch name {
	case scram.SHA256:
		return m.contains(methodSCRAM)
	case scram.SHA256Plus:
		return m.contains(methodSCRAM | methodSCRAMPlus)
	case oauthBearer:
		return m.contains(methodOAuth)
	}
	return m == 0
}

// methodOfMechanism returns the method of a SASL mechanism, or zero if methodNames has none for it.
func methodOfMechanism(name string) AuthMethods {
	switch name {
	case scram.SHA256:
		return methodSCRAM
	case scram.SHA256Plus:
		return methodSCRAMPlus
	case oauthBearer:
		return methodOAuth
	}
	return 0
}

// ChannelBinding says what a Server does with an upstream's offer to bind the login to the TLS channel. A
// client without TLS of its own cannot accept the offer.
type ChannelBinding int

const (
	// StripChannelBinding removes the -PLUS mechanisms from the offer. libpq needs that.
	StripChannelBinding ChannelBinding = iota
	// PassChannelBinding leaves the offer as it is. Npgsql needs that, with its own channel binding disabled.
	PassChannelBinding
	// BridgeChannelBinding asks the client for a cleartext password, or takes that of Server.Password, and
	// logs in to the upstream with it.
	BridgeChannelBinding
)

// Methods returns what an upstream may ask for when required is configured: required itself. With a bridge,
// zero and lists of exclusions allow SCRAM alone, because an exclusion allows nothing.
func (b ChannelBinding) Methods(required AuthMethods) AuthMethods {
	switch {
	case b != BridgeChannelBinding:
		return required
	case required == 0:
		return methodSCRAM
	case required&methodsLeft != 0:
		return required & (methodSCRAM | methodsLeft)
	}
	return required
}
