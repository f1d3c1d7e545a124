package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// The values of TLS_VERIFY. There is none that verifies less than the chain.
const (
	verifyFull = "verify-full" // chain and name
	VerifyCA   = "verify-ca"   // chain
)

// verifyModes has an answer of its own for words that mean no verification elsewhere.
func verifyModes() Type {
	modes := words(verifyFull, VerifyCA)
	return Type{Name: modes.Name, Words: modes.Words, parse: func(value string) (string, error) {
		if weakeningValue.MatchString(strings.TrimSpace(value)) {
			return "", template(weakeningText)
		}
		return modes.parse(value)
	}}
}

// pins only splits the list: tlsorigin checks what a pin looks like.
func pins() Type {
	return Type{Name: "list of pins", parse: func(value string) (string, error) {
		var pins []string
		for pin := range strings.SplitSeq(value, ",") {
			if pin = strings.TrimSpace(pin); pin == "" {
				return "", errors.New("expected a comma list of sha256/BASE64, but there is an empty entry; " +
					"remove the extra comma")
			}
			pins = append(pins, pin)
		}
		return strings.Join(pins, ","), nil
	}}
}

func postQuantumPolicies() Type {
	return words(string(tlsorigin.PostQuantumPrefer), string(tlsorigin.PostQuantumRequire),
		string(tlsorigin.PostQuantumOff))
}

func negotiations() Type {
	return words(string(tlsorigin.NegotiatePostgres), string(tlsorigin.NegotiateDirect))
}

// tlsVersion is a version number of crypto/tls.
type tlsVersion uint16

// tlsVersions are written as people say them, or as libpq does.
func tlsVersions() Type {
	return Type{Name: "word", Words: []string{"1.2", "1.3"}, parse: func(value string) (string, error) {
		switch version := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(value)), "tlsv"); version {
		case "1.2", "1.3":
			return version, nil
		case "1", "1.0", "1.1":
			return "", errors.New("expected 1.2 or 1.3; older versions are broken, so update the upstream instead")
		}
		return "", errors.New("expected 1.2 or 1.3; leave it out for 1.2")
	}}
}

// Decode reads what tlsVersions returns.
func (v *tlsVersion) Decode(value string) error {
	*v = tls.VersionTLS12
	if value == "1.3" {
		*v = tls.VersionTLS13
	}
	return nil
}

func (v tlsVersion) String() string { return strings.TrimPrefix(tls.VersionName(uint16(v)), "TLS ") }

// groupList has key-exchange groups.
type groupList []tls.CurveID

// groups are written as in TLS, OpenSSL or Go.
func groups() Type {
	return Type{Name: "list of groups", parse: func(value string) (string, error) {
		list, err := parseGroups(value)
		return strings.Join(tlsorigin.GroupNames(list), ","), err
	}}
}

// Decode reads what groups returns.
func (g *groupList) Decode(value string) (err error) {
	*g, err = parseGroups(value)
	return err
}

func parseGroups(value string) (list []tls.CurveID, err error) {
	for entry := range strings.SplitSeq(value, ",") {
		entry = strings.TrimSpace(entry)
		group, ok := groupNamed(entry)
		if !ok {
			return nil, errors.New(groupAdvice(entry))
		}
		list = append(list, group)
	}
	return list, nil
}

// groupAdvice is what to write instead of entry.
func groupAdvice(entry string) string {
	if entry == "" {
		return "expected a comma list of groups; remove the extra comma"
	}
	names := tlsorigin.GroupNames(tlsorigin.Groups())
	text := fmt.Sprintf("entry %s: expected a comma list of %s", safetext.Quote(entry),
		strings.Join(names, ", "))
	if near := Nearest(entry, names); near != "" {
		text += "; did you mean " + near + "?"
	}
	return text
}

// groupNamed returns the group with that name, in any case.
func groupNamed(name string) (group tls.CurveID, ok bool) {
	switch strings.ToLower(name) {
	case "p256", "secp256r1", "prime256v1", "curvep256":
		return tls.CurveP256, true
	case "p384", "secp384r1", "curvep384":
		return tls.CurveP384, true
	case "p521", "secp521r1", "curvep521":
		return tls.CurveP521, true
	case "curve25519":
		return tls.X25519, true
	}
	all := tlsorigin.Groups()
	i := slices.IndexFunc(all,
		func(id tls.CurveID) bool { return strings.EqualFold(name, tlsorigin.GroupName(id)) })
	if i < 0 {
		return 0, false
	}
	return all[i], true
}

// methodList has the methods that the upstream may ask for; zero is any.
type methodList pgwire.AuthMethods

// authMethods is a list as in libpq's require_auth.
func authMethods() Type {
	return Type{Name: "list of methods", parse: func(value string) (string, error) {
		if err := new(methodList).Decode(value); err != nil {
			return "", err
		}
		return strings.TrimSpace(value), nil
	}}
}

// Decode reads the list.
func (m *methodList) Decode(value string) error {
	methods, err := pgwire.ParseAuthMethods(value)
	if err != nil {
		return fmt.Errorf("expected methods such as scram-sha-256, or exclusions such as !password,!md5: %w", err)
	}
	*m = methodList(methods)
	return nil
}
