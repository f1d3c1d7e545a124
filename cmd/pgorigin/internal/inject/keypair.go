package inject

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"sync"

	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

// KeyPair is the certificate of the webhook, in two files that may change at any time.
type KeyPair struct {
	certFile, keyFile string
	reloaded          func(error)
	reader            configfile.Reader[pairFiles]

	mu   sync.Mutex // guards what follows
	text []byte     // of both files, as they were tried last
	pair *tls.Certificate
}

// maxPairFile is far above the size of a chain or a key.
const maxPairFile = 1 << 20

// pairFiles is the content of both files, or the reason why they cannot be read.
type pairFiles struct {
	cert, key []byte
	err       error
}

// OpenKeyPair reads a certificate chain and its key, in PEM. For each new connection, the pair looks at the
// files again, so a new certificate needs no restart. If the files are wrong or do not answer, the last good
// certificate stays in use. reloaded is called once for each change, with an error if the new files cannot be
// used. It may be nil.
func OpenKeyPair(ctx context.Context, certFile, keyFile string, reloaded func(error)) (*KeyPair, error) {
	k := &KeyPair{certFile: certFile, keyFile: keyFile}
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	k.reloaded = reloaded
	return k, nil
}

// config refuses versions below TLS 1.3. Every API server that knows native sidecars has TLS 1.3.
func (k *KeyPair) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			_ = k.load(hello.Context()) // reported by then
			k.mu.Lock()
			defer k.mu.Unlock()
			return k.pair, nil
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
	cert, key := got.cert, got.key
	text := bytes.Join([][]byte{cert, key}, []byte{0})
	if k.pair != nil && bytes.Equal(text, k.text) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return k.setResult(text, fmt.Errorf("certificate %s with key %s: %w", k.certFile, k.keyFile, err))
	}
	k.pair = &pair
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

// setResult stores the content of the files, and reports the result unless the content is the same as before.
func (k *KeyPair) setResult(text []byte, err error) error {
	if k.reloaded != nil && !bytes.Equal(text, k.text) {
		k.reloaded(err)
	}
	k.text = text
	return err
}
