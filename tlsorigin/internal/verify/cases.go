package verify

// Case tells apart what one Reason has several cures for. It never takes a name or another text from a
// certificate that no authority vouches for.
type Case string

// The cases.
const (
	CaseOtherCA     Case = "other_ca"        // of UnknownAuthority: others are configured
	CaseSelfSigned  Case = "self_signed"     // of UnknownAuthority: the leaf
	CaseOtherKey    Case = "other_key"       // of UnknownAuthority: a trusted authority has that name
	CaseTooMany     Case = "too_many"        // of UnknownAuthority and Invalid: certificates
	CaseKeyKind     Case = "key_kind"        // of UnknownAuthority and Invalid: not supported
	CaseOtherName   Case = "other_name"      // of NameMismatch: Value is a name of the certificate
	CaseWildcard    Case = "wildcard"        // of NameMismatch: Value is the wildcard of the certificate
	CaseNoName      Case = "no_name"         // of NameMismatch: Value is the name that it should have
	CaseNoNameOwnCA Case = "no_name_own_ca"  // the same, below a configured authority
	CaseClock       Case = "clock"           // of Expired: the whole chain has
	CaseMiddle      Case = "intermediate"    // of Expired: an authority that the peer sent
	CaseTrusted     Case = "trusted"         // of Expired: an authority that is trusted here
	CaseTrustedLeaf Case = "trusted_leaf"    // of Expired: the leaf is trusted by itself
	CaseFingerprint Case = "fingerprint"     // of PinMismatch: a pin is that of a certificate; Value is its pin
	CaseKeyUsage    Case = "key_usage"       // of Usage: digitalSignature is missing
	CaseListBegins  Case = "crl_begins"      // of CRLStale: in the future
	CaseListSigner  Case = "crl_signer"      // of CRLMissing: the list has another signer; Value is the issuer
	CaseShortKey    Case = "short_key"       // of Invalid
	CaseForgeable   Case = "forgeable"       // of Invalid: a signature
	CaseNoAuthority Case = "no_authority"    // of Invalid: a certificate signed another one and must not
	CasePathLength  Case = "path_length"     // of Invalid
	CaseConstraint  Case = "name_constraint" // of Invalid
	CaseExtension   Case = "extension"       // of Invalid: critical and unknown
	CaseListUsage   Case = "crl_usage"       // of Invalid: an authority may not sign lists
)
