package stacks

import "slices"

// Cause is something about a server that not every TLS stack can take. Its words are in the JSON of check.
type Cause string

// Causes in what a server and a stack can agree on. Predict computes most of them.
const (
	Always          Cause = "always" // the application is built so that the stack fails with every server
	NoCommonVersion Cause = "no_common_version"
	NoCommonCipher  Cause = "no_common_cipher"
	NoCommonGroup   Cause = "no_common_group"
	HelloLost       Cause = "hello_lost"
	NeedsSNI        Cause = "needs_sni"
	HandshakeSHA1   Cause = "handshake_sha1"
)

// Causes in keys and signatures. An issuer is any certificate above the server's own.
const (
	LeafP384       Cause = "leaf_p384"
	LeafP521       Cause = "leaf_p521"
	IssuerP521     Cause = "issuer_p521"
	LeafEd25519    Cause = "leaf_ed25519"
	IssuerEd25519  Cause = "issuer_ed25519"
	LeafPSSKey     Cause = "leaf_rsa_pss_key"
	IssuerPSSKey   Cause = "issuer_rsa_pss_key"
	RSASmall       Cause = "rsa_small"
	RSALarge       Cause = "rsa_large"
	RootRSALarge   Cause = "root_rsa_large"
	MLDSA          Cause = "ml_dsa"
	OtherCurve     Cause = "unusual_curve"
	SHA1RSA        Cause = "sha1_rsa"
	SHA1ECDSA      Cause = "sha1_ecdsa"
	PSSSignature   Cause = "pss_signature"
	IssuerSHA512   Cause = "issuer_sha512"
	IssuerP521Hash Cause = "issuer_p521_hash"
)

// Causes in other parts of the certificates, and in the login.
const (
	NameInCN           Cause = "name_in_cn"
	AddressAsked       Cause = "ip_address"
	AddressAsName      Cause = "ip_address_as_name"
	Underscore         Cause = "underscore"
	UnderscoreWildcard Cause = "underscore_wildcard"
	NameConstraints    Cause = "name_constraints"
	SelfSigned         Cause = "self_signed"
	LeafIsCA           Cause = "leaf_is_ca"
	Version1           Cause = "x509_version_1"
	RootVersion1       Cause = "root_x509_version_1"
	NoKeyUsage         Cause = "ca_without_key_usage"
	LaxConstraints     Cause = "ca_constraints_not_critical"
	NoKeyIdentifier    Cause = "no_key_identifier"
	LongValidity       Cause = "long_validity"
	NoServerAuth       Cause = "no_server_auth"
	LongSerial         Cause = "long_serial"
	NegativeSerial     Cause = "negative_serial"
	ZeroSerial         Cause = "zero_serial"
	NotSent            Cause = "missing_intermediate"
	PartialTrust       Cause = "root_not_trusted"
	ManySent           Cause = "many_certificates"
	ExpiredExtra       Cause = "expired_extra"
	BoundToEd25519     Cause = "ed25519_binding"
	OnlyBound          Cause = "only_channel_binding"
)

// causeRow is a cause and its meaning, for the reference page.
type causeRow struct {
	Cause
	meaning string
}

// causeRows are all causes, in the order of reports.
func causeRows() []causeRow { return slices.Concat(agreementCauses(), keyCauses(), formCauses()) }

func agreementCauses() []causeRow {
	return []causeRow{
		{Always, "The application is built so that the stack fails with every server"},
		{NoCommonVersion, "The server takes none of the TLS versions that the stack takes"},
		{NoCommonCipher, "In TLS 1.2, the server takes none of the kinds of cipher suites that the stack takes"},
		{NoCommonGroup, "The server takes none of the key-exchange groups that the stack takes"},
		{HelloLost, "Something on the way drops or swallows a ClientHello of more than one packet"},
		{NeedsSNI, "The server refuses a ClientHello without a server name (SNI)"},
		{HandshakeSHA1, "In TLS 1.2, the server signs the handshake with SHA-1 alone"},
	}
}

func keyCauses() []causeRow {
	return []causeRow{
		{LeafP384, "The server's key is ECDSA P-384"},
		{LeafP521, "The server's key is ECDSA P-521"},
		{IssuerP521, "The key of an authority is ECDSA P-521, and it signed with SHA-512"},
		{LeafEd25519, "The server's key is Ed25519"},
		{IssuerEd25519, "The key of an authority is Ed25519"},
		{LeafPSSKey, "The server's key is for RSASSA-PSS alone, as `openssl genpkey -algorithm RSA-PSS` makes it"},
		{IssuerPSSKey, "The key of an authority is for RSASSA-PSS alone"},
		{RSASmall, "An RSA key of the chain has fewer than 2048 bits"},
		{RSALarge, "An RSA key that the server sends has more than 8192 bits"},
		{RootRSALarge, "The RSA key of the trusted authority, which is not sent, has more than 8192 bits"},
		{MLDSA, "A key of the chain is ML-DSA (post-quantum)"},
		{OtherCurve, "A key of the chain is on a curve other than P-256, P-384 and P-521"},
		{SHA1RSA, "An RSA authority signed a certificate with SHA-1"},
		{SHA1ECDSA, "An ECDSA authority signed a certificate with SHA-1"},
		{PSSSignature, "An RSA authority signed a certificate with RSASSA-PSS"},
		{IssuerSHA512, "An ECDSA P-256 or P-384 authority signed a certificate with SHA-512"},
		{IssuerP521Hash, "The key of an authority is ECDSA P-521, and it signed with another hash"},
	}
}

func formCauses() []causeRow {
	return []causeRow{
		{NameInCN, "The server's certificate has its name only in the common name, not as an alternative name"},
		{AddressAsked, "The application asks for an IP address, and the certificate has it as an IP address"},
		{AddressAsName, "The application asks for an IP address, and the certificate has it as a DNS name"},
		{Underscore, "The name has an underscore"},
		{UnderscoreWildcard, "The name has an underscore where the certificate has a wildcard"},
		{NameConstraints, "An authority is constrained to some names"},
		{SelfSigned, "The server's certificate is self-signed, and is trusted itself"},
		{LeafIsCA, "The server's own certificate is a CA certificate, as `openssl req -x509` makes it"},
		{Version1, "The server's certificate is of X.509 version 1, as `openssl x509 -req` makes it"},
		{RootVersion1, "The trusted authority's certificate is of X.509 version 1"},
		{NoKeyUsage, "A CA certificate has no key usage"},
		{LaxConstraints, "The basic constraints of a CA certificate are not marked as critical"},
		{NoKeyIdentifier, "A certificate lacks the key identifier of its own key, or of its authority's"},
		{LongValidity, "The server's certificate is valid for more than 825 days"},
		{NoServerAuth, "The server's certificate has no extended key usage"},
		{NegativeSerial, "The serial number of a certificate is negative"},
		{ZeroSerial, "The serial number of a certificate is zero"},
		{LongSerial, "The serial number of a certificate has more than 20 bytes"},
		{NotSent, "The server does not send an intermediate certificate"},
		{PartialTrust, "An intermediate authority is trusted, and its root is not"},
		{ManySent, "The server sends more than ten certificates"},
		{ExpiredExtra, "The server sends an expired certificate that its chain does not need"},
		{
			BoundToEd25519, "The server offers SCRAM-SHA-256-PLUS, and its certificate is signed with Ed25519, " +
				"for which channel binding has no hash function",
		},
		{OnlyBound, "The server offers no method but SCRAM-SHA-256-PLUS"},
	}
}

// Causes returns all causes, in the order of reports.
func Causes() []Cause {
	var all []Cause
	for _, row := range causeRows() {
		all = append(all, row.Cause)
	}
	return all
}

// suiteCauses are the causes for which test/stacks has a server. If a stack was measured and its row says
// nothing of such a cause, the stack connects.
func suiteCauses() []Cause {
	return slices.DeleteFunc(Causes(), func(c Cause) bool {
		return slices.Contains([]Cause{
			NeedsSNI, MLDSA, BoundToEd25519, OnlyBound,
		}, c)
	})
}
