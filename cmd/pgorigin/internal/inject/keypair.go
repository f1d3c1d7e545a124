package inject

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"sync"

	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

// KeyPair is the webhook's own certificate, in two files that may change at any time.
type KeyPair struct {
	certFile, keyFile string
	reloaded          func(error)
	reader            configfile.Reader[pairFiles]

	mu   sync.Mutex // guards what follows
	text []byte     // of both files, as they were tried last
	pair *tls.Certificate
}

// maxPairFile is far above what a chain or a key needs.
const maxPairFile = 1 << 20

// pairFiles is what both files hold, or why they cannot be read.
type pairFiles struct {
	cert, key []byte
	err       error
}

// OpenKeyPair reads a certificate chain and its key, in PEM. Later on it looks at the files for each new
// connection, so that a renewed certificate is shown without a restart; if they are wrong or stalled then,
// the last good one stays. reloaded is called once for each change, with an error if it could not be used; it
// may be nil.
func OpenKeyPair(ctx context.Context, certFile, keyFile string, reloaded func(error)) (*KeyPair, error) {
	k := &KeyPair{certFile: certFile, keyFile: keyFile}
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	k.reloaded = reloaded
	return k, nil
}

// config lets nothing below TLS 1.3 in: every API server that knows native sidecars speaks it.
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

// load reads the files and, if they hold something else than before, tries that.
func (k *KeyPair) load(ctx context.Context) error {
	got, err := k.reader.Do(ctx, k.read)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return err
	case err != nil:
		return k.tried(nil, fmt.Errorf("certificate %s or key %s %w", k.certFile, k.keyFile, err))
	case got.err != nil:
		return k.tried(nil, got.err)
	}
	cert, key := got.cert, got.key
	text := bytes.Join([][]byte{cert, key}, []byte{0})
	if k.pair != nil && bytes.Equal(text, k.text) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return k.tried(text, fmt.Errorf("certificate %s with key %s: %w", k.certFile, k.keyFile, err))
	}
	k.pair = &pair
	return k.tried(text, nil)
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

// tried remembers what was tried, and reports it unless the same was tried just before.
func (k *KeyPair) tried(text []byte, err error) error {
	if k.reloaded != nil && !bytes.Equal(text, k.text) {
		k.reloaded(err)
	}
	k.text = text
	return err
}
