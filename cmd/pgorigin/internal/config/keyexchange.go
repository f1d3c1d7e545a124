package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// postQuantum is a policy for hybrid key exchange.
type postQuantum string

// Decode reads one of the policies.
func (p *postQuantum) Decode(value string) error {
	word, err := oneOf(value, string(tlsorigin.PostQuantumPrefer), string(tlsorigin.PostQuantumRequire), string(tlsorigin.PostQuantumOff))
	if err == nil {
		*p = postQuantum(word)
	}
	return err
}

// negotiation is how TLS begins.
type negotiation string

// Decode reads one of the ways.
func (n *negotiation) Decode(value string) error {
	word, err := oneOf(value, string(tlsorigin.NegotiatePostgres), string(tlsorigin.NegotiateDirect))
	if err == nil {
		*n = negotiation(word)
	}
	return err
}

// Decode reads a comma list of groups, by their names in TLS, OpenSSL or Go.
func (g *TlsGroups) Decode(value string) error {
	var groups TlsGroups
	for entry := range strings.SplitSeq(value, ",") {
		group, ok := groupCalled(strings.TrimSpace(entry))
		if !ok {
			return errors.New(groupAdvice(entry))
		}
		groups = append(groups, group)
	}
	*g = groups
	return nil
}

func (g TlsGroups) String() string { return strings.Join(tlsorigin.GroupNames(g), ",") }

// groupAdvice is what to write instead of entry.
func groupAdvice(entry string) string {
	if strings.TrimSpace(entry) == "" {
		return "expected a comma list of groups; remove the comma too many"
	}
	words := tlsorigin.GroupNames(allGroups())
	text := fmt.Sprintf("entry %s: expected a comma list of %s", safetext.Quote(strings.TrimSpace(entry)), strings.Join(words, ", "))
	if near := Nearest(strings.TrimSpace(entry), words); near != "" {
		text += "; did you mean " + near + "?"
	}
	return text
}

// TlsGroups are key-exchange groups.
type TlsGroups []tls.CurveID

// allGroups are those that there are, in the order of crypto/tls.
func allGroups() TlsGroups {
	return TlsGroups{
		tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521,
	}
}

// groupCalled returns the group that goes by that name, here or in OpenSSL, whatever its case.
func groupCalled(name string) (group tls.CurveID, ok bool) {
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
	for _, id := range allGroups() {
		if strings.EqualFold(name, tlsorigin.GroupName(id)) {
			return id, true
		}
	}
	return 0, false
}
