package pgwire

import (
	"fmt"
	"strings"

	"github.com/pgorigin/pgorigin/pgwire/internal/scram"
)

// AuthMethods is a set of authentication methods, those that an upstream may
// ask for. The zero value is no requirement: any method.
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
	methodsLeft     // no method: the set is what a list of exclusions leaves
	// allMethods leaves out methodSCRAMPlus, which is a part of methodSCRAM.
	allMethods = methodPassword | methodMD5 | methodGSS | methodSSPI | methodSCRAM | methodNone | methodOAuth
)

// methodNames has the names of libpq's require_auth, and one more, in the order of the bits.
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

// ParseAuthMethods reads a comma list of password, md5, gss, sspi,
// scram-sha-256, scram-sha-256-plus, oauth and none, or of such names with an
// exclamation mark before each, which excludes them; as libpq's require_auth.
// scram-sha-256 means it with or without channel binding. "" is no requirement.
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
			return 0, fmt.Errorf("%q is no authentication method: expected %s", name, strings.Join(methodNames(), ", "))
		case set&bit != 0:
			return 0, fmt.Errorf("%s stands twice", name)
		case negated && bit == methodSCRAMPlus:
			return 0, fmt.Errorf("%s cannot be excluded by itself: exclude %s, which has both", name, scramMethod)
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

// contains reports whether an upstream may ask for what other has, be it a part of it. The zero value has
// all.
func (m AuthMethods) contains(other AuthMethods) bool { return m == 0 || m&other != 0 }

// RequiresBinding reports whether SCRAM is allowed with channel binding alone, which none but a bridge can
// do.
func (m AuthMethods) RequiresBinding() bool {
	return m&(methodSCRAM|methodSCRAMPlus) == methodSCRAMPlus
}

// Allows reports whether an upstream may ask for a method as Client.Methods names it: a name of
// ParseAuthMethods, or that of a SASL mechanism. The zero value allows all.
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

// methodOfMechanism returns the method of a SASL mechanism, zero for one without a name here.
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

// ChannelBinding says what becomes of a server's offer to bind the login to the
// TLS channel, which a client without TLS of its own cannot do.
type ChannelBinding int

const (
	// StripChannelBinding removes the -PLUS mechanisms from the offer. libpq needs that.
	StripChannelBinding ChannelBinding = iota
	// PassChannelBinding leaves the offer as it is. Npgsql needs that, with its
	// own channel binding disabled.
	PassChannelBinding
	// BridgeChannelBinding asks the client for a cleartext password, or takes it
	// from Server.Password, and logs in to the upstream on its behalf.
	BridgeChannelBinding
)

// Methods returns what an upstream may ask for when required is configured: that, or if it is zero any
// method. A bridge answers SCRAM alone then, and also behind a list of exclusions: those allow nothing.
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
