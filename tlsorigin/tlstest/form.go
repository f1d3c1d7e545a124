package tlstest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"slices"
)

// Form says what is unusual about a certificate that crypto/x509 does not make by itself. Except PSSKey, it
// needs an issuer with an ECDSA or an ordinary RSA key.
type Form struct {
	Version1 bool // X.509 version 1: without any extension
	SHA1     bool // signed with SHA-1
	PSSKey   bool // an RSA key that is only for RSASSA-PSS

	// Malformed says that the template makes a certificate which crypto/x509 may not parse: the result has
	// only Raw.
	Malformed bool
}

type signed struct {
	Body      asn1.RawValue
	Algorithm asn1.RawValue
	Signature asn1.BitString
}

// apply changes a certificate and signs it again.
func (f Form) apply(der []byte, issuer crypto.Signer) []byte {
	if !f.Version1 && !f.SHA1 && !f.PSSKey {
		return der
	}
	if f.PSSKey {
		der = resign(der, nil, 0, withPSS)
	}
	if f.PSSKey && !f.Version1 && !f.SHA1 {
		return resignPSS(der, issuer)
	}
	edit := func(elements []asn1.RawValue) []asn1.RawValue { return elements }
	if f.Version1 {
		edit = func(elements []asn1.RawValue) []asn1.RawValue {
			return slices.DeleteFunc(elements, func(e asn1.RawValue) bool {
				return e.Class == asn1.ClassContextSpecific // version and extensions
			})
		}
	}
	if f.SHA1 {
		return resign(der, issuer, crypto.SHA1, edit)
	}
	return resign(der, issuer, crypto.SHA256, edit)
}

// Resign changes the elements of what is signed in a certificate or a CRL of ca and signs it again with its
// key, which must be ECDSA or RSA. Hash is crypto.SHA256 or crypto.SHA1; a nil edit changes nothing.
func (ca *CA) Resign(der []byte, hash crypto.Hash, edit func([]asn1.RawValue) []asn1.RawValue) []byte {
	if edit == nil {
		edit = func(elements []asn1.RawValue) []asn1.RawValue { return elements }
	}
	return resign(der, ca.key, hash, edit)
}

// resign is CA.Resign; without an issuer it leaves the signature, which is then wrong.
func resign(der []byte, issuer crypto.Signer, hash crypto.Hash,
	edit func([]asn1.RawValue) []asn1.RawValue,
) []byte {
	var whole signed
	unmarshal(der, &whole)
	var elements []asn1.RawValue
	unmarshal(whole.Body.FullBytes, &elements)
	if issuer != nil {
		algorithm := asn1.RawValue{FullBytes: algorithmOf(issuer, hash)}
		for i, e := range elements {
			if bytes.Equal(e.FullBytes, whole.Algorithm.FullBytes) {
				elements[i] = algorithm
			}
		}
		whole.Algorithm = algorithm
	}
	whole.Body = asn1.RawValue{FullBytes: marshal(edit(elements))}
	if issuer != nil {
		digest := hash.New()
		digest.Write(whole.Body.FullBytes)
		signature, err := issuer.Sign(rand.Reader, digest.Sum(nil), hash)
		check("sign again", err)
		whole.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	}
	return marshal(whole)
}

// resignPSS renews the signature of a certificate whose body was changed.
func resignPSS(der []byte, issuer crypto.Signer) []byte {
	var whole signed
	unmarshal(der, &whole)
	digest := crypto.SHA256.New()
	digest.Write(whole.Body.FullBytes)
	options := crypto.SignerOpts(crypto.SHA256)
	if bytes.Contains(whole.Algorithm.FullBytes, oidPSS()) {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	}
	signature, err := issuer.Sign(rand.Reader, digest.Sum(nil), options)
	check("sign again", err)
	whole.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	return marshal(whole)
}

func algorithmOf(issuer crypto.Signer, hash crypto.Hash) []byte {
	type identifier struct {
		Algorithm  asn1.ObjectIdentifier
		Parameters asn1.RawValue `asn1:"optional"`
	}
	_, isRSA := issuer.Public().(*rsa.PublicKey)
	switch {
	case isRSA && hash == crypto.SHA1:
		return marshal(identifier{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}, asn1.NullRawValue})
	case isRSA:
		return marshal(identifier{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, asn1.NullRawValue})
	case hash == crypto.SHA1:
		return marshal(identifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}})
	}
	return marshal(identifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}})
}

// rsaKeyAlgorithm is the AlgorithmIdentifier rsaEncryption with its NULL, as it stands in a
// SubjectPublicKeyInfo.
func rsaKeyAlgorithm() []byte {
	return append(append([]byte{0x30, 0x0d}, marshal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1})...),
		asn1.NullBytes...)
}

func oidPSS() []byte { return marshal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}) }

// withPSS replaces the kind of key in a SubjectPublicKeyInfo, which is the element that begins with it.
func withPSS(elements []asn1.RawValue) []asn1.RawValue {
	for i, e := range elements {
		if bytes.HasPrefix(e.Bytes, rsaKeyAlgorithm()) {
			elements[i] = asn1.RawValue{FullBytes: withPSSKey(e.FullBytes)}
		}
	}
	return elements
}

// withPSSKey returns a SubjectPublicKeyInfo or a PKCS #8 key with id-RSASSA-PSS, without parameters, as its
// algorithm.
func withPSSKey(der []byte) []byte {
	var elements []asn1.RawValue
	unmarshal(der, &elements)
	for i, e := range elements {
		if bytes.Equal(e.FullBytes, rsaKeyAlgorithm()) {
			elements[i] = asn1.RawValue{FullBytes: marshal([]asn1.RawValue{{FullBytes: oidPSS()}})}
		}
	}
	return marshal(elements)
}

func marshal(value any) []byte {
	der, err := asn1.Marshal(value)
	check("encode", err)
	return der
}

func unmarshal(der []byte, value any) {
	_, err := asn1.Unmarshal(der, value)
	check("decode", err)
}
