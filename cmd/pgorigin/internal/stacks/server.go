package stacks

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net/netip"
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

	HandshakeSHA1 bool // it answers a ClientHello of TLS 1.2 only if that offers SHA-1

	NegativeSerial bool // of a certificate, which is not in Path then

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
		add(LeafPSSKey, "the server's key is for RSASSA-PSS alone")
	}
	if s.MLDSAKey {
		add(MLDSA, "the server's key is ML-DSA")
	}
	for i, cert := range s.Path {
		s.addKeys(add, i, cert)
	}
	if s.NegativeSerial {
		add(NegativeSerial, "a certificate that the server sends has a negative serial number")
	}
	if s.HandshakeSHA1 {
		add(HandshakeSHA1, "in TLS 1.2, the server signs the handshake with SHA-1 alone")
	}
	if len(s.Path) > 0 {
		s.addName(add, s.Path[0])
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
	if key := keyOf(cert); key.bits > 8192 && s.isAnchor(place) && !s.sent(cert) {
		add(RootRSALarge, "%s has %d bits", whose, key.bits)
	} else {
		addKey(add, key, whose, leaf)
	}
	if s.isAnchor(place) {
		return // nobody verifies the signature of what is trusted
	}
	signer, authority, by := signerOf(cert), "the authority "+issuer(cert), ", by its signature,"
	if place+1 < len(s.Path) {
		signer, by = keyOf(s.Path[place+1]), ""
	} else {
		addKey(add, signer, "the key of "+authority+by, false)
	}
	addSignature(add, cert, signer, authority, by)
}

// addSignature adds what the signature of a certificate is. By says how the key of the signer is known.
func addSignature(add adder, cert *x509.Certificate, signer key, authority, by string) {
	p521 := signer.curve == "P-521"
	switch algorithm := cert.SignatureAlgorithm; algorithm {
	case x509.SHA1WithRSA:
		add(SHA1RSA, "%s is signed with %s", subject(cert), algorithm)
	case x509.ECDSAWithSHA1:
		add(SHA1ECDSA, "%s is signed with %s", subject(cert), algorithm)
	case x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
		if !signer.pss {
			add(PSSSignature, "%s signed with RSASSA-PSS", authority)
		}
	case x509.ECDSAWithSHA512:
		if p521 {
			add(IssuerP521, "the key of %s%s is ECDSA P-521", authority, by)
		} else {
			add(IssuerSHA512, "%s has a key on %s and signed with SHA-512", authority, signer.curve)
		}
	case x509.ECDSAWithSHA256, x509.ECDSAWithSHA384:
		if p521 {
			add(IssuerP521Hash, "%s has a key on P-521 and signed with %s", authority, algorithm)
		}
	}
}

func addKey(add adder, k key, whose string, leaf bool) {
	either := func(ofLeaf, ofIssuer Cause) Cause {
		if leaf {
			return ofLeaf
		}
		return ofIssuer
	}
	switch {
	case k.pss:
		add(either(LeafPSSKey, IssuerPSSKey), "%s is for RSASSA-PSS alone", whose)
	case k.mldsa:
		add(MLDSA, "%s is ML-DSA", whose)
	case k.curve == "P-384" && leaf:
		add(LeafP384, "%s is ECDSA P-384", whose)
	case k.curve == "P-521" && leaf:
		add(LeafP521, "%s is ECDSA P-521", whose)
	case k.curve == "P-521": // see addSignature
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

// addName adds what the name is, and how the server's certificate has it.
func (s *Server) addName(add adder, leaf *x509.Certificate) {
	exact := slices.Contains(leaf.DNSNames, s.Name)
	label, parent, _ := strings.Cut(s.Name, ".")
	wildcard := !exact && slices.Contains(leaf.DNSNames, "*."+parent)
	_, err := netip.ParseAddr(s.Name)
	switch asked := err == nil; {
	case len(leaf.DNSNames) == 0 && len(leaf.IPAddresses) == 0 && leaf.Subject.CommonName != "":
		add(NameInCN, "the server's certificate has its name only in the common name")
	case asked && exact && len(leaf.IPAddresses) == 0:
		add(AddressAsName, "the server's certificate has its IP address only as a DNS name")
	case asked && leaf.VerifyHostname(s.Name) == nil:
		add(AddressAsked, "the server's name is an IP address")
	case wildcard && strings.Contains(label, "_"):
		add(UnderscoreWildcard, "a wildcard has to match the underscore of the name")
	case strings.Contains(s.Name, "_"):
		add(Underscore, "the server's name has an underscore")
	}
}

// maxValidity is what Apple accepts of certificates that begin in July 2019 or later.
const maxValidity = 825 * 24 * time.Hour

// addLeaf adds what else the server's own certificate has.
func (s *Server) addLeaf(add adder, leaf *x509.Certificate) {
	if selfIssued(leaf) && s.isAnchor(0) {
		add(SelfSigned, "the server's certificate is self-signed")
	}
	if leaf.BasicConstraintsValid && leaf.IsCA {
		add(LeafIsCA, "the server's own certificate is a CA certificate")
	}
	if leaf.Version < 3 {
		add(Version1, "the server's certificate is of X.509 version %d", leaf.Version)
	}
	valid := leaf.NotAfter.Sub(leaf.NotBefore)
	if valid > maxValidity && !leaf.NotBefore.Before(time.Date(2019, 7, 1, 0, 0, 0, 0, time.UTC)) {
		add(LongValidity, "the server's certificate is valid for %d days", int(valid/(24*time.Hour)))
	}
	if leaf.Version >= 3 && len(leaf.ExtKeyUsage) == 0 && len(leaf.UnknownExtKeyUsage) == 0 {
		add(NoServerAuth, "the server's certificate has no extended key usage")
	}
}

// addChain adds what the chain has, besides keys and signatures.
func (s *Server) addChain(add adder) {
	top := s.Path[len(s.Path)-1]
	for i, cert := range s.Path {
		if i > 0 && s.Verified && !s.isAnchor(i) && !s.sent(cert) {
			add(NotSent, "the server does not send the intermediate %s", subject(cert))
		}
		if i > 0 {
			s.addAuthority(add, cert)
		}
		if i > 0 && len(cert.PermittedDNSDomains)+len(cert.ExcludedDNSDomains) > 0 {
			add(NameConstraints, "the authority %s is constrained to some names", subject(cert))
		}
		if !s.isAnchor(i) && cert.Version >= 3 && len(cert.AuthorityKeyId) == 0 {
			add(NoKeyIdentifier, "the certificate %s has no key identifier of its authority", subject(cert))
		}
		switch n := cert.SerialNumber; {
		case n == nil:
		case n.Sign() == 0:
			add(ZeroSerial, "the serial number of %s is zero", subject(cert))
		case n.BitLen() > 160:
			add(LongSerial, "the serial number of %s has more than 20 bytes", subject(cert))
		}
	}
	if s.Incomplete {
		add(NotSent, "the server does not send the intermediate %s", issuer(top))
	}
	if s.Verified && !selfIssued(top) {
		add(PartialTrust, "the intermediate %s is trusted here, and its root is not", subject(top))
	}
	if len(s.Sent) > 10 {
		add(ManySent, "the server sends %d certificates", len(s.Sent))
	}
	for _, cert := range s.Sent {
		used := slices.ContainsFunc(s.Path, cert.Equal)
		if s.Verified && !used && s.Now.After(cert.NotAfter) {
			add(ExpiredExtra, "the server sends %s, which is expired and which its chain does not need", subject(cert))
		}
	}
}

// addAuthority adds what the certificate of an authority lacks. Python 3.13 asks for what RFC 5280 says.
func (s *Server) addAuthority(add adder, cert *x509.Certificate) {
	if cert.Version < 3 {
		add(RootVersion1, "the certificate of %s is of X.509 version %d", subject(cert), cert.Version)
		return
	}
	if cert.IsCA && cert.KeyUsage == 0 {
		add(NoKeyUsage, "the certificate of %s has no key usage", subject(cert))
	}
	if cert.IsCA && len(cert.SubjectKeyId) == 0 {
		add(NoKeyIdentifier, "the certificate of %s has no key identifier", subject(cert))
	}
	for _, extension := range cert.Extensions {
		if extension.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 19}) && cert.IsCA && !extension.Critical {
			add(LaxConstraints, "the basic constraints of %s are not marked as critical", subject(cert))
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
