package pgwire

import (
	"fmt"
	"strings"
)

// AuthMethods is a set of authentication methods, those that an upstream may
// ask for. The zero value is no requirement: any method.
type AuthMethods uint8

const (
	methodPassword AuthMethods = 1 << iota
	methodMD5
	methodGSS
	methodSSPI
	methodSCRAM
	methodNone
	allMethods = methodNone<<1 - 1
)

// methodNames has the names of libpq's require_auth, in the order of the bits.
func methodNames() []string {
	return []string{"password", "md5", "gss", "sspi", scramMethod, "none"}
}

const scramMethod = "scram-sha-256"

// ParseAuthMethods reads a comma list of password, md5, gss, sspi,
// scram-sha-256 and none, or of such names with an exclamation mark before each,
// which excludes them; as libpq's require_auth. "" is no requirement.
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
		if bit == 0 {
			return 0, fmt.Errorf("%q is no authentication method: expected %s", name, strings.Join(methodNames(), ", "))
		}
		if set&bit != 0 {
			return 0, fmt.Errorf("%s stands twice", name)
		}
		set |= bit
	}
	if negated {
		set = allMethods &^ set
	}
	if set == 0 {
		return 0, fmt.Errorf("%q leaves no method", list)
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

// methodOf returns the method that an authentication request begins, or zero
// for one that continues or ends one.
func methodOf(code uint32) (AuthMethods, string) {
	switch code {
	case authCleartext:
		return methodPassword, "a cleartext password"
	case authMD5:
		return methodMD5, "md5"
	case authGSS:
		return methodGSS, "gss"
	case authSSPI:
		return methodSSPI, "sspi"
	case authSASL:
		return methodSCRAM, "SASL"
	case authGSSContinue, authSASLContinue, authSASLFinal:
		return 0, ""
	}
	return 1 << 7, fmt.Sprintf("authentication request %d", code) // in no set
}

// authRequests watches which methods an upstream asks for.
type authRequests struct {
	required AuthMethods
	asked    AuthMethods
	final    bool // SCRAM ended with the server's proof
}

// note checks one authentication request, before the client hears of it.
func (a *authRequests) note(code uint32) error {
	if a.required == 0 {
		return nil
	}
	if code == authOK {
		return a.end()
	}
	method, name := methodOf(code)
	a.asked |= method
	a.final = a.final || code == authSASLFinal
	if method&^a.required != 0 {
		return a.refuse("asks for " + name)
	}
	return nil
}

// end checks AuthenticationOk: a method that is required must have been used, and to its end.
func (a *authRequests) end() error {
	switch {
	case a.asked == 0 && a.required&methodNone == 0:
		return a.refuse("asks for no authentication at all")
	case a.asked&methodSCRAM != 0 && !a.final:
		return a.refuse("ended SCRAM without proving that it knows the password's verifier")
	}
	return nil
}

func (a *authRequests) refuse(what string) error {
	return &Error{
		Kind: ReasonAuthRejected, State: stateInvalidAuth,
		Text: fmt.Sprintf("the upstream %s, but only these methods are allowed: %v", what, a.required),
	}
}
