package tlsorigin

import (
	"crypto/x509"
	"encoding/asn1"
)

// algorithmName names an algorithm that package x509 does not know. One without a name here is its number.
func algorithmName(id asn1.ObjectIdentifier) string {
	if len(id) == 0 {
		return "unknown"
	}
	text := id.String()
	for _, known := range []struct{ id, name string }{
		{"2.16.840.1.101.3.4.3.17", "ML-DSA-44"},
		{"2.16.840.1.101.3.4.3.18", "ML-DSA-65"},
		{"2.16.840.1.101.3.4.3.19", "ML-DSA-87"},
		{"1.2.840.113549.1.1.10", "RSASSA-PSS"},
		{"1.2.840.10045.2.1", "EC"},
		{"1.2.840.10040.4.1", "DSA"},
		{"1.3.101.113", "Ed448"},
	} {
		if text == known.id {
			return known.name
		}
	}
	const longest = 64
	return "OID " + text[:min(len(text), longest)]
}

// algorithm is the beginning of an AlgorithmIdentifier: RFC 5280, section 4.1.1.2.
type algorithm struct {
	ID         asn1.ObjectIdentifier
	Parameters asn1.RawValue `asn1:"optional"`
}

// unknownKey names the algorithm of a key that package x509 does not know.
func unknownKey(cert *x509.Certificate) string {
	var key struct {
		Algorithm algorithm
		Bits      asn1.BitString
	}
	_, _ = asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &key)
	return algorithmName(key.Algorithm.ID)
}

// signatureText names the algorithm of the signature of cert.
func signatureText(cert *x509.Certificate) string {
	if cert.SignatureAlgorithm != x509.UnknownSignatureAlgorithm {
		return cert.SignatureAlgorithm.String()
	}
	var signed struct {
		TBS       asn1.RawValue
		Algorithm algorithm
		Signature asn1.BitString
	}
	_, _ = asn1.Unmarshal(cert.Raw, &signed)
	return algorithmName(signed.Algorithm.ID)
}
