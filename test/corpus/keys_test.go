package corpus

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os/exec"
	"sync"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// longRSA makes an RSA key of several primes, which takes a second where one of two primes takes a minute. Only its length
// matters here.
func longRSA(bits int) crypto.Signer {
	out, err := exec.Command("openssl", "genpkey", "-quiet", "-algorithm", "RSA",
		"-pkeyopt", fmt.Sprintf("rsa_keygen_bits:%d", bits), "-pkeyopt", "rsa_keygen_primes:5").Output()
	if err != nil {
		panic(fmt.Sprintf("run openssl genpkey: %v", err))
	}
	block, _ := pem.Decode(out)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		panic(fmt.Sprintf("read key of openssl: %v", err))
	}
	return key.(crypto.Signer)
}

// keyed is a leaf with a key of a certain kind.
func keyed(key tlstest.KeyType) tlstest.Leaf {
	l := leaf()
	l.Key = key
	return l
}

func keyCases() []certCase {
	cases := make([]certCase, 0, 20)
	for _, key := range []tlstest.KeyType{
		tlstest.P224, tlstest.P256, tlstest.P384, tlstest.P521, tlstest.Ed25519, tlstest.RSA1024, tlstest.RSA2048, tlstest.RSA3072,
	} {
		root := tlstest.NewCA("Root", tlstest.P256)
		cases = append(cases, chain("key of the server: "+string(key), root.Issue(keyed(key)), root))
		if key == tlstest.P256 {
			continue // as everywhere else
		}
		own := tlstest.NewCA("Root", key)
		cases = append(cases, chain("key of the root: "+string(key), own.Issue(leaf()), own))
	}
	root := tlstest.NewCA("Root", tlstest.P521)
	cases = append(cases, chain("all keys P-521, with an intermediate", root.Intermediate("Intermediate", tlstest.P521).Issue(keyed(tlstest.P521)), root))
	between := root.Intermediate("Short", tlstest.RSA1024)
	cases = append(cases, chain("key of the intermediate: RSA-1024", between.Issue(leaf()), root))
	return append(cases, longKeyCases(root)...)
}

func longKeyCases(root *tlstest.CA) []certCase {
	var long [2]certCase
	var making sync.WaitGroup
	for i, bits := range []int{8192, 8320} {
		making.Go(func() {
			l := leaf()
			l.Signer = longRSA(bits)
			long[i] = chain(fmt.Sprintf("key of the server: RSA-%d", bits), root.Issue(l), root)
		})
	}
	making.Wait()
	return long[:]
}

func signatureCases() []certCase {
	rsa := tlstest.NewCA("Root", tlstest.RSA2048)
	ecdsa := tlstest.NewCA("Root", tlstest.P256)
	weak := tlstest.Form{SHA1: true}
	weakly := leaf()
	weakly.Form = weak
	pssSigned := changed(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA256WithRSAPSS })
	pss := tlstest.NewAuthority(tlstest.Authority{Name: "Root", Key: tlstest.RSA2048, Form: tlstest.Form{PSSKey: true}})
	pssLeaf := keyed(tlstest.RSA2048)
	pssLeaf.Form.PSSKey = true
	weakRoot := tlstest.NewAuthority(tlstest.Authority{Name: "Root", Form: weak})
	weakBetween := ecdsa.Authority(tlstest.Authority{Name: "Intermediate", Form: weak})
	return []certCase{
		chain("signed with SHA-1 and RSA", rsa.Issue(weakly), rsa),
		chain("signed with SHA-1 and ECDSA", ecdsa.Issue(weakly), ecdsa),
		chain("intermediate signed with SHA-1", weakBetween.Issue(leaf()), ecdsa),
		chain("root signed by itself with SHA-1", weakRoot.Issue(leaf()), weakRoot),
		chain("signed with SHA-512", rsa.Issue(changed(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA512WithRSA })), rsa),
		chain("signed with RSA-PSS by an ordinary RSA key", rsa.Issue(pssSigned), rsa),
		chain("key of the server: RSA only for PSS", rsa.Issue(pssLeaf), rsa),
		chain("key of the root: RSA only for PSS", pss.Issue(leaf()), pss),
		chain("signature that is wrong", broken(ecdsa), ecdsa),
	}
}

// broken is a certificate whose signature belongs to another one.
func broken(ca *tlstest.CA) *tlstest.Pair {
	pair := ca.Issue(leaf())
	der := append([]byte{}, pair.Leaf.Raw...)
	der[len(der)-1] ^= 1 // the last byte of the signature's second number
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	changed := *pair
	changed.Leaf = cert
	return changed.WithChain()
}
