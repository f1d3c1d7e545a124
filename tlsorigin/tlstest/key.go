package tlstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
)

// KeyType names a kind of key.
type KeyType string

// The kinds of key that NewKey makes.
const (
	P224    KeyType = "P-224" // below the floor of TLS 1.3
	P256    KeyType = "P-256"
	P384    KeyType = "P-384"
	P521    KeyType = "P-521"
	Ed25519 KeyType = "Ed25519"
	RSA1024 KeyType = "RSA-1024" // too short to be accepted anywhere
	RSA2048 KeyType = "RSA-2048"
	RSA3072 KeyType = "RSA-3072"
	RSA4096 KeyType = "RSA-4096"
)

// NewKey returns a new private key.
func NewKey(key KeyType) crypto.Signer {
	var signer crypto.Signer
	var err error
	switch key {
	case P224:
		signer, err = ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	case P256:
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case P521:
		signer, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case Ed25519:
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	case RSA1024:
		signer, err = rsa.GenerateKey(rand.Reader, 1024)
	case RSA2048:
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		signer, err = rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		signer, err = rsa.GenerateKey(rand.Reader, 4096)
	default:
		panic("tlstest: unknown key type " + string(key))
	}
	check("generate key", err)
	return signer
}
