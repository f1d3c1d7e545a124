package stacks

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
)

// key is the kind of a public key, as far as it is known.
type key struct {
	bits       int    // of RSA; zero for others
	curve      string // of ECDSA, or "Ed25519"
	pss, mldsa bool
}

// keyOf returns the kind of the key of a certificate.
func keyOf(cert *x509.Certificate) key {
	switch public := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return key{bits: public.N.BitLen()}
	case *ecdsa.PublicKey:
		return key{curve: public.Curve.Params().Name}
	case ed25519.PublicKey:
		return key{curve: "Ed25519"}
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &info); err != nil {
		return key{}
	}
	pss := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	mldsa := asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3}
	id, n := info.Algorithm.Algorithm, len(mldsa)
	return key{
		pss:   id.Equal(pss),
		mldsa: len(id) == n+1 && id[:n].Equal(mldsa) && id[n] >= 17 && id[n] <= 19, // FIPS 204 has three
	}
}

// signerOf returns what the signature of a certificate tells about the key that made it, for when the
// certificate of that key is not there. The size of a signature follows from the size of the key.
func signerOf(cert *x509.Certificate) key {
	switch cert.SignatureAlgorithm {
	case x509.PureEd25519:
		return key{curve: "Ed25519"}
	case x509.ECDSAWithSHA1, x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		var signature struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(cert.Signature, &signature); err != nil {
			return key{}
		}
		switch bits := max(signature.R.BitLen(), signature.S.BitLen()); {
		case bits > 521:
			return key{}
		case bits > 384:
			return key{curve: "P-521"}
		case bits > 256:
			return key{curve: "P-384"}
		}
		return key{curve: "P-256"}
	case x509.SHA1WithRSA, x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA:
		return key{bits: len(cert.Signature) * 8}
	}
	return key{}
}
