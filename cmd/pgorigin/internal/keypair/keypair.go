// Package keypair is the certificate of a server, with its key, in two files that may change at any time.
package keypair

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

// Pair is a certificate and its key. Files that are wrong do not replace it.
type Pair struct {
	certFile, keyFile, name string
	reloaded                func(error)
	reader                  configfile.Reader[pairFiles]

	mu    sync.Mutex // guards what follows
	used  *usedPair
	tried []byte // of both files, as they were read last
	wrong error  // what is wrong with them
}

// maxPairFile is far above the size of a chain or a key.
const maxPairFile = 1 << 20

// pairFiles is the content of both files, or the reason why they cannot be read.
type pairFiles struct {
	cert, key []byte
	err       error
}

func (f pairFiles) text() []byte { return bytes.Join([][]byte{f.cert, f.key}, []byte{0}) }

// usedPair is a certificate with its key, and the content of the files that it was made of.
type usedPair struct {
	text        []byte
	certificate tls.Certificate
	from, until time.Time // when all of its chain is valid
}

// Open reads a certificate chain and its key, in PEM. Load looks at the files again. If they are wrong or do not
// answer, the last good certificate stays in use. It also stays if clients would refuse the new one, because that
// is not valid now, or not for name. An empty name is any name. reloaded is called once for each change, with an
// error if the new files are not used. It may be nil.
func Open(ctx context.Context, certFile, keyFile, name string, reloaded func(error)) (*Pair, error) {
	k := &Pair{certFile: certFile, keyFile: keyFile, name: name}
	if err := k.Load(ctx); err != nil {
		return nil, err
	}
	k.reloaded = reloaded
	return k, nil
}

// Usable returns why clients refuse the certificate in use, or nil.
func (k *Pair) Usable() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.refusal(k.used)
}

// State returns when the certificate in use expires, and what is wrong with it or with newer files, or nil.
func (k *Pair) State() (until time.Time, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err = k.refusal(k.used); err == nil {
		err = k.wrong
	}
	return k.used.until, err
}

// Certificate returns the certificate in use.
func (k *Pair) Certificate() *tls.Certificate {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &k.used.certificate
}

// Leaf returns the certificate in use without its chain.
func (k *Pair) Leaf() *x509.Certificate { return k.Certificate().Leaf }

// Load reads the files. If their content is new, it makes a certificate of it. An error has been reported.
func (k *Pair) Load(ctx context.Context) error {
	got, err := k.reader.Do(ctx, k.read)
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		got.err = fmt.Errorf("certificate %s or key %s %w", k.certFile, k.keyFile, err)
	}
	changed, err := k.take(got)
	if changed && k.reloaded != nil {
		k.reloaded(err)
	}
	return err
}

// take makes a certificate of got, if that is new and can be used. It reports whether got is anything else than what
// was read before.
func (k *Pair) take(got pairFiles) (changed bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var text []byte
	if err = got.err; err == nil {
		text = got.text()
		err = k.use(got, text)
	}
	changed = !bytes.Equal(text, k.tried)
	k.tried, k.wrong = text, err
	return changed, err
}

// use makes a certificate of files with that text, unless it is in use already.
func (k *Pair) use(got pairFiles, text []byte) error {
	if k.used != nil && bytes.Equal(text, k.used.text) {
		return nil
	}
	next, err := k.parse(got)
	if err != nil {
		return err
	}
	if err := k.refusal(next); err != nil && k.used != nil && k.refusal(k.used) == nil {
		return err
	}
	k.used = next
	return nil
}

func (k *Pair) read() (got pairFiles) {
	if got.cert, _, got.err = configfile.Read(k.certFile, maxPairFile); got.err != nil {
		got.err = fmt.Errorf("certificate %s %w", k.certFile, got.err)
		return got
	}
	if got.key, _, got.err = configfile.Read(k.keyFile, maxPairFile); got.err != nil {
		got.err = fmt.Errorf("key %s %w", k.keyFile, got.err)
	}
	return got
}

func (k *Pair) parse(got pairFiles) (*usedPair, error) {
	pair := &usedPair{text: got.text()}
	var err error
	pair.certificate, err = tls.X509KeyPair(got.cert, got.key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", k.certFile, k.keyFile, err)
	}
	if err := unfit(&pair.certificate); err != nil {
		return nil, fmt.Errorf("certificate %s cannot be used for TLS: %w", k.certFile, err)
	}
	pair.from, pair.until = pair.certificate.Leaf.NotBefore, pair.certificate.Leaf.NotAfter
	for _, der := range pair.certificate.Certificate[1:] {
		issuer, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", k.certFile, err)
		}
		if issuer.NotBefore.After(pair.from) {
			pair.from = issuer.NotBefore
		}
		if issuer.NotAfter.Before(pair.until) {
			pair.until = issuer.NotAfter
		}
	}
	return pair, nil
}

// refusal returns why clients refuse the pair now, or nil.
func (k *Pair) refusal(pair *usedPair) error {
	switch now := time.Now(); {
	case now.After(pair.until):
		return fmt.Errorf("certificate %s expired at %s: renew it", k.certFile, pair.until.UTC().Format(time.RFC3339))
	case now.Before(pair.from):
		return fmt.Errorf("certificate %s is valid from %s on, and here it is %s: check the clock of this node",
			k.certFile, pair.from.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case !forServers(pair.certificate.Leaf):
		return fmt.Errorf("certificate %s is not for servers: its extended key usage needs serverAuth", k.certFile)
	case k.name == "":
		return nil
	}
	if err := pair.certificate.Leaf.VerifyHostname(k.name); err != nil {
		return fmt.Errorf("certificate %s does not have the name %s, by which clients call this server: %w",
			k.certFile, k.name, err)
	}
	return nil
}

// forServers reports whether a certificate may be that of a server.
func forServers(leaf *x509.Certificate) bool {
	return len(leaf.ExtKeyUsage) == 0 && len(leaf.UnknownExtKeyUsage) == 0 ||
		slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) ||
		slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// minRSA is the size in bits of the smallest RSA key that crypto/rsa signs with.
const minRSA = 1024

// unfit returns why no handshake can succeed with a certificate, or nil.
func unfit(certificate *tls.Certificate) error {
	if key, ok := certificate.Leaf.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRSA {
		return fmt.Errorf("its RSA key has %d bits, and clients want 2048", key.N.BitLen())
	}
	capable := &tls.ClientHelloInfo{
		SupportedVersions: []uint16{tls.VersionTLS13, tls.VersionTLS12},
		SupportedCurves:   []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
		SupportedPoints:   []uint8{0}, // uncompressed, as all
		SignatureSchemes: []tls.SignatureScheme{
			tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512, tls.Ed25519,
			tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512,
		},
	}
	return capable.SupportsCertificate(certificate)
}
