package stacks

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// Server is what a server showed. What it was not asked is missing in the maps.
type Server struct {
	Name string    // that its certificate must carry
	Now  time.Time // when it was asked

	Path       []*x509.Certificate // from its own certificate to the authority; empty if it showed none
	Sent       []*x509.Certificate // its own first
	Verified   bool                // Path leads to a trust anchor
	Incomplete bool                // it did not send the issuer of the last certificate in Path

	Versions  map[uint16]bool // whether it takes a TLS version
	Suites    map[Suites]bool // whether it takes a kind of cipher suites in TLS 1.2
	Groups    map[string]bool // whether it takes a key-exchange group
	LostHello int             // bytes of the smallest ClientHello without an answer, if others had one; or zero
	GoodHello int             // bytes of the largest ClientHello with an answer; or zero
	NeedsSNI  bool            // it does not answer a ClientHello without a server name

	PSSKey, MLDSAKey bool // its own key is of that kind, so that it showed no certificate to pgorigin

	Methods []string // of authentication; nil if it was not asked
}

// Traits returns what not every stack can take, except what disagreement finds.
func (s *Server) Traits() []Trait {
	var traits []Trait
	add := func(cause Cause, format string, args ...any) {
		traits = append(traits, Trait{cause, fmt.Sprintf(format, args...)})
	}
	if s.NeedsSNI {
		add(NeedsSNI, "the server does not answer a ClientHello without a server name (SNI)")
	}
	if s.PSSKey {
		add(RSAPSSKey, "the server's key is for RSASSA-PSS alone")
	}
	if s.MLDSAKey {
		add(MLDSA, "the server's key is ML-DSA")
	}
	for i, cert := range s.Path {
		s.addKeys(add, i, cert)
	}
	if len(s.Path) > 0 {
		s.addLeaf(add, s.Path[0])
		s.addChain(add)
	}
	s.addLogin(add)
	return once(traits)
}

// once leaves the first trait of each cause, in the order of Causes.
func once(traits []Trait) []Trait {
	var sorted []Trait
	for _, cause := range Causes() {
		if i := slices.IndexFunc(traits, func(t Trait) bool { return t.Cause == cause }); i >= 0 {
			sorted = append(sorted, traits[i])
		}
	}
	return sorted
}

// adder adds one trait.
type adder func(cause Cause, format string, args ...any)

// addKeys adds what the key and the signature of a certificate of Path are.
func (s *Server) addKeys(add adder, place int, cert *x509.Certificate) {
	whose, leaf := "the key of the authority "+subject(cert), place == 0
	if leaf {
		whose = "the server's key"
	}
	key := keyOf(cert)
	s.addKey(add, key, whose, leaf)
	if s.isAnchor(place) {
		return // nobody verifies the signature of what is trusted
	}
	issuer, issuerName := signerOf(cert), "the authority "+issuer(cert)
	if place+1 < len(s.Path) {
		issuer = keyOf(s.Path[place+1])
	} else {
		s.addKey(add, issuer, "the key of "+issuerName+", by its signature,", false)
	}
	switch {
	case slices.Contains([]x509.SignatureAlgorithm{
		x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.MD5WithRSA, x509.MD2WithRSA,
	}, cert.SignatureAlgorithm):
		add(SHA1Signature, "%s is signed with %s", subject(cert), cert.SignatureAlgorithm)
	case cert.SignatureAlgorithm == x509.ECDSAWithSHA512 && (issuer.curve == "P-256" || issuer.curve == "P-384"):
		add(IssuerSHA512, "%s has a key on %s and signed with SHA-512", issuerName, issuer.curve)
	case slices.Contains([]x509.SignatureAlgorithm{
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384,
	}, cert.SignatureAlgorithm) && issuer.curve == "P-521":
		add(IssuerP521Cut, "%s has a key on P-521 and signed with %s", issuerName, cert.SignatureAlgorithm)
	case slices.Contains([]x509.SignatureAlgorithm{
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
	}, cert.SignatureAlgorithm):
		add(PSSSignature, "%s signed with RSASSA-PSS", issuerName)
	}
}

func (s *Server) addKey(add adder, k key, whose string, leaf bool) {
	either := func(ofLeaf, ofIssuer Cause) Cause {
		if leaf {
			return ofLeaf
		}
		return ofIssuer
	}
	switch {
	case k.pss:
		add(RSAPSSKey, "%s is for RSASSA-PSS alone", whose)
	case k.mldsa:
		add(MLDSA, "%s is ML-DSA", whose)
	case k.curve == "P-521":
		add(either(LeafP521, IssuerP521), "%s is ECDSA P-521", whose)
	case k.curve == "Ed25519":
		add(either(LeafEd25519, IssuerEd25519), "%s is Ed25519", whose)
	case k.curve != "" && k.curve != "P-256" && k.curve != "P-384":
		add(OtherCurve, "%s is on the curve %s", whose, k.curve)
	case k.bits > 0 && k.bits < 2048:
		add(RSASmall, "%s has %d bits", whose, k.bits)
	case k.bits > 8192:
		add(RSALarge, "%s has %d bits", whose, k.bits)
	}
}

// maxValidity is what Apple accepts of certificates that begin after sinceValidity.
const maxValidity = 825 * 24 * time.Hour

// addLeaf adds what else the server's own certificate has.
func (s *Server) addLeaf(add adder, leaf *x509.Certificate) {
	if leaf.BasicConstraintsValid && leaf.IsCA {
		add(LeafIsCA, "the server's own certificate is a CA certificate")
	}
	if len(leaf.DNSNames) == 0 && len(leaf.IPAddresses) == 0 && leaf.Subject.CommonName != "" {
		add(NameInCN, "the server's certificate has its name only in the common name")
	}
	if leaf.Version < 3 {
		add(Version1, "the server's certificate is of X.509 version %d", leaf.Version)
	}
	valid := leaf.NotAfter.Sub(leaf.NotBefore)
	if sinceValidity := time.Date(2019, 7, 1, 0, 0, 0, 0, time.UTC); valid > maxValidity &&
		!leaf.NotBefore.Before(sinceValidity) {
		add(LongValidity, "the server's certificate is valid for %d days", int(valid/(24*time.Hour)))
	}
	if len(leaf.ExtKeyUsage) == 0 && len(leaf.UnknownExtKeyUsage) == 0 {
		add(NoServerAuth, "the server's certificate has no extended key usage")
	}
	label, parent, _ := strings.Cut(s.Name, ".")
	if !slices.Contains(leaf.DNSNames, s.Name) && slices.Contains(leaf.DNSNames, "*."+parent) {
		add(Wildcard, "only a wildcard has the name")
		if strings.Contains(label, "_") {
			add(UnderscoreWildcard, "a wildcard has to match the underscore of the name")
		}
	}
}

// addChain adds what the chain has, besides keys and signatures.
func (s *Server) addChain(add adder) {
	for i, cert := range s.Path {
		if i > 0 && s.Verified && !selfIssued(cert) && !s.sent(cert) {
			add(NotSent, "the server does not send the intermediate %s", subject(cert))
		}
		if text := s.lax(i, cert); text != "" {
			add(LaxAuthority, "%s", text)
		}
	}
	if s.Incomplete {
		add(NotSent, "the server does not send the intermediate %s", issuer(s.Path[len(s.Path)-1]))
	}
	for _, cert := range s.Sent {
		used := slices.ContainsFunc(s.Path, cert.Equal)
		if s.Verified && !used && s.Now.After(cert.NotAfter) {
			add(ExpiredExtra, "the server sends %s, which is expired and which its chain does not need", subject(cert))
		}
	}
}

// addLogin adds what the offer of methods means for channel binding.
func (s *Server) addLogin(add adder) {
	bound := func(method string) bool { return strings.HasSuffix(method, "-PLUS") }
	if !slices.ContainsFunc(s.Methods, bound) {
		return
	}
	if !slices.ContainsFunc(s.Methods, func(m string) bool { return !bound(m) }) {
		add(OnlyBound, "the server offers no method without channel binding")
	}
	if len(s.Path) > 0 && s.Path[0].SignatureAlgorithm == x509.PureEd25519 {
		add(BoundToEd25519, "the server offers channel binding, and its certificate is signed with Ed25519")
	}
}

// isAnchor reports whether the certificate at that place of Path is trusted for itself.
func (s *Server) isAnchor(place int) bool {
	return place == len(s.Path)-1 && (s.Verified || selfIssued(s.Path[place]))
}

func (s *Server) sent(cert *x509.Certificate) bool { return slices.ContainsFunc(s.Sent, cert.Equal) }

func selfIssued(cert *x509.Certificate) bool {
	return string(cert.RawSubject) == string(cert.RawIssuer)
}

// subject names a certificate; the text is quoted.
func subject(cert *x509.Certificate) string {
	return tlsorigin.DescribeCertificate(cert, time.Time{}).Subject
}

func issuer(cert *x509.Certificate) string {
	return tlsorigin.DescribeCertificate(cert, time.Time{}).Issuer
}
