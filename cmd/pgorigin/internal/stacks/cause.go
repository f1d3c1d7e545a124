package stacks

// Cause is something about a server that not every TLS stack can take. Its words are in the JSON of check.
type Cause string

// Causes of any server.
const (
	Always Cause = "always" // the application is built or configured so that no server would do
)

// Causes in what the server and the stack can agree on. Predict computes them.
const (
	NoCommonVersion Cause = "no_common_version"
	NoCommonCipher  Cause = "no_common_cipher"
	NoCommonGroup   Cause = "no_common_group"
	HelloLost       Cause = "hello_lost" // the path to the server drops large ClientHellos
	NeedsSNI        Cause = "needs_sni"
)

// Causes in the keys and signatures of the chain. An issuer is any certificate above the server's own.
const (
	LeafP521      Cause = "leaf_p521"
	IssuerP521    Cause = "issuer_p521"
	LeafEd25519   Cause = "leaf_ed25519"
	IssuerEd25519 Cause = "issuer_ed25519"
	RSAPSSKey     Cause = "rsa_pss_key" // the key itself is only for RSASSA-PSS
	RSASmall      Cause = "rsa_small"
	RSALarge      Cause = "rsa_large"
	SHA1Signature Cause = "sha1_signature"
	IssuerSHA512  Cause = "issuer_sha512"          // a P-256 or P-384 authority signed with SHA-512
	IssuerP521Cut Cause = "issuer_p521_short_hash" // a P-521 authority signed with a hash shorter than its key
	PSSSignature  Cause = "pss_signature"          // an ordinary RSA authority signed with RSASSA-PSS
	MLDSA         Cause = "ml_dsa"                 // a post-quantum key
	OtherCurve    Cause = "unusual_curve"          // a curve other than P-256, P-384 and P-521
	LeafIsCA      Cause = "leaf_is_ca"             // the server's own certificate is a CA certificate
)

// Causes in other parts of the certificates.
const (
	NameInCN           Cause = "name_in_cn" // there is no subject alternative name
	Version1           Cause = "x509_version_1"
	LaxAuthority       Cause = "lax_authority" // RFC 5280 asks for an extension that an authority lacks
	LongValidity       Cause = "long_validity"
	NoServerAuth       Cause = "no_server_auth" // there is no extended key usage at all
	NotSent            Cause = "missing_intermediate"
	ExpiredExtra       Cause = "expired_extra" // an expired certificate was sent that the chain does not need
	Wildcard           Cause = "wildcard"      // nothing but a wildcard has the name
	UnderscoreWildcard Cause = "underscore_wildcard"
)

// Causes in the login.
const (
	BoundToEd25519 Cause = "ed25519_binding" // SCRAM-SHA-256-PLUS, and a certificate without a hash function
	OnlyBound      Cause = "only_channel_binding"
)

// Causes are all causes, in the order of reports.
func Causes() []Cause {
	return []Cause{
		Always,
		NoCommonVersion, NoCommonCipher, NoCommonGroup, HelloLost, NeedsSNI,
		LeafP521, IssuerP521, LeafEd25519, IssuerEd25519, RSAPSSKey, RSASmall, RSALarge, SHA1Signature,
		IssuerSHA512, IssuerP521Cut, PSSSignature, MLDSA, OtherCurve, LeafIsCA,
		NameInCN, Version1, LaxAuthority, LongValidity, NoServerAuth, NotSent, ExpiredExtra,
		Wildcard, UnderscoreWildcard,
		BoundToEd25519, OnlyBound,
	}
}

// suiteCauses are the causes for which test/stacks has a server. If a stack was measured and its row says
// nothing of such a cause, the stack connects.
func suiteCauses() []Cause {
	return []Cause{
		Always, NoCommonVersion, NoCommonCipher, NoCommonGroup, HelloLost,
		LeafP521, IssuerP521, LeafEd25519, IssuerEd25519, RSAPSSKey, RSASmall, RSALarge, SHA1Signature,
		IssuerSHA512, IssuerP521Cut, PSSSignature, LeafIsCA,
		NameInCN, Version1, LaxAuthority, LongValidity, NoServerAuth, NotSent, ExpiredExtra,
		Wildcard, UnderscoreWildcard,
	}
}

// Meaning says what a cause is, for the reference page.
func (c Cause) Meaning() string {
	switch c {
	case Always:
		return "Whatever the server is"
	case NoCommonVersion:
		return "The server takes none of the TLS versions that the stack offers"
	case NoCommonCipher:
		return "In TLS 1.2, the server takes none of the kinds of cipher suites that the stack offers"
	case NoCommonGroup:
		return "The server takes none of the key-exchange groups that the stack offers"
	case HelloLost:
		return "Something on the way drops or swallows a ClientHello of more than one packet"
	case NeedsSNI:
		return "The server refuses a ClientHello without a server name (SNI)"
	case LeafP521:
		return "The server's key is ECDSA P-521"
	case IssuerP521:
		return "The key of an authority is ECDSA P-521"
	case LeafEd25519:
		return "The server's key is Ed25519"
	case IssuerEd25519:
		return "The key of an authority is Ed25519"
	case RSAPSSKey:
		return "A key of the chain is for RSASSA-PSS alone (`openssl genpkey -algorithm RSA-PSS`)"
	case RSASmall:
		return "An RSA key of the chain has fewer than 2048 bits"
	case RSALarge:
		return "An RSA key of the chain has more than 8192 bits"
	case SHA1Signature:
		return "A certificate of the chain is signed with SHA-1"
	case IssuerSHA512:
		return "An ECDSA P-256 or P-384 authority signed with SHA-512"
	case IssuerP521Cut:
		return "An ECDSA P-521 authority signed with another hash than SHA-512"
	case PSSSignature:
		return "An RSA authority signed a certificate with RSASSA-PSS"
	case MLDSA:
		return "A key of the chain is ML-DSA (post-quantum)"
	case OtherCurve:
		return "A key of the chain is on a curve other than P-256, P-384 and P-521"
	}
	return c.meaningOfOthers()
}

func (c Cause) meaningOfOthers() string {
	switch c { //nolint:exhaustive // Meaning has the rest
	case LeafIsCA:
		return "The server's own certificate is a CA certificate, as `openssl req -x509` makes them"
	case NameInCN:
		return "The server's certificate has its name only in the common name, without subject alternative names"
	case Version1:
		return "The server's certificate is of X.509 version 1, as `openssl x509 -req` makes it without extensions"
	case LaxAuthority:
		return "A CA certificate or its child lacks an extension of RFC 5280, such as the key usage, or the mark " +
			"that its basic constraints are critical"
	case LongValidity:
		return "The server's certificate is valid for more than 825 days"
	case NoServerAuth:
		return "The server's certificate has no extended key usage"
	case NotSent:
		return "The server does not send an intermediate certificate"
	case ExpiredExtra:
		return "The server sends an expired certificate that its chain does not need"
	case Wildcard:
		return "The server's certificate has the name only by a wildcard"
	case UnderscoreWildcard:
		return "The name has an underscore where the certificate has a wildcard"
	case BoundToEd25519:
		return "The server offers SCRAM-SHA-256-PLUS, and its certificate is signed with Ed25519, for which " +
			"channel binding has no hash function"
	case OnlyBound:
		return "The server offers no method but SCRAM-SHA-256-PLUS"
	}
	return ""
}
