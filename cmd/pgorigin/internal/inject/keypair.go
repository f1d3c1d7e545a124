package inject

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

// KeyPair is the certificate of the webhook, in two files that may change at any time.
type KeyPair struct {
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

// OpenKeyPair reads a certificate chain and its key, in PEM. For each new connection, the pair looks at the
// files again, so a new certificate needs no restart. If the files are wrong or do not answer, the last good
// certificate stays in use. It also stays if API servers would refuse the new one, because that is not valid
// now, or not for name. An empty name is any name. reloaded is called once for each change, with an error if
// the new files are not used. It may be nil.
func OpenKeyPair(ctx context.Context, certFile, keyFile, name string, reloaded func(error)) (*KeyPair, error) {
	k := &KeyPair{certFile: certFile, keyFile: keyFile, name: name}
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	k.reloaded = reloaded
	return k, nil
}

// Usable returns why API servers refuse the certificate in use, or nil.
func (k *KeyPair) Usable() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.refusal(k.used)
}

// State returns when the certificate in use expires, and what is wrong with it or with newer files, or nil.
func (k *KeyPair) State() (until time.Time, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err = k.refusal(k.used); err == nil {
		err = k.wrong
	}
	return k.used.until, err
}

// config refuses versions below TLS 1.3. Every API server that knows native sidecars has TLS 1.3.
func (k *KeyPair) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			_ = k.load(hello.Context()) // reported by then
			k.mu.Lock()
			defer k.mu.Unlock()
			return &k.used.certificate, nil
		},
	}
}

// load reads the files. If their content is new, it makes a certificate of it.
func (k *KeyPair) load(ctx context.Context) error {
	got, err := k.reader.Do(ctx, k.read)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return err
	case err != nil:
		return k.setResult(nil, fmt.Errorf("certificate %s or key %s %w", k.certFile, k.keyFile, err))
	case got.err != nil:
		return k.setResult(nil, got.err)
	}
	text := got.text()
	if k.used != nil && bytes.Equal(text, k.used.text) {
		return k.setResult(text, nil)
	}
	next, err := k.parse(got)
	if err != nil {
		return k.setResult(text, err)
	}
	if err := k.refusal(next); err != nil && k.used != nil && k.refusal(k.used) == nil {
		return k.setResult(text, err)
	}
	k.used = next
	return k.setResult(text, nil)
}

func (k *KeyPair) read() (got pairFiles) {
	if got.cert, _, got.err = configfile.Read(k.certFile, maxPairFile); got.err != nil {
		got.err = fmt.Errorf("certificate %s %w", k.certFile, got.err)
		return got
	}
	if got.key, _, got.err = configfile.Read(k.keyFile, maxPairFile); got.err != nil {
		got.err = fmt.Errorf("key %s %w", k.keyFile, got.err)
	}
	return got
}

func (k *KeyPair) parse(got pairFiles) (*usedPair, error) {
	pair := &usedPair{text: got.text()}
	var err error
	pair.certificate, err = tls.X509KeyPair(got.cert, got.key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", k.certFile, k.keyFile, err)
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

// refusal returns why API servers refuse the pair now, or nil.
func (k *KeyPair) refusal(pair *usedPair) error {
	switch now := time.Now(); {
	case now.After(pair.until):
		return fmt.Errorf("certificate %s expired at %s: renew it", k.certFile, pair.until.UTC().Format(time.RFC3339))
	case now.Before(pair.from):
		return fmt.Errorf("certificate %s is valid from %s on, and here it is %s: check the clock of this node",
			k.certFile, pair.from.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case k.name == "":
		return nil
	}
	if err := pair.certificate.Leaf.VerifyHostname(k.name); err != nil {
		return fmt.Errorf("certificate %s does not have the name %s, by which API servers call the webhook: %w",
			k.certFile, k.name, err)
	}
	return nil
}

// setResult stores the content of the files and what is wrong with it. It reports the result unless the content
// is the same as before.
func (k *KeyPair) setResult(text []byte, err error) error {
	if k.reloaded != nil && !bytes.Equal(text, k.tried) {
		k.reloaded(err)
	}
	k.tried, k.wrong = text, err
	return err
}
