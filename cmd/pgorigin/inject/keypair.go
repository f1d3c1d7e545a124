package inject

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"sync"
)

// KeyPair is the webhook's own certificate, in two files that may change at any time.
type KeyPair struct {
	certFile, keyFile string
	reloaded          func(error)

	mu   sync.Mutex // guards what follows
	text []byte     // of both files, as they were tried last
	pair *tls.Certificate
}

// OpenKeyPair reads a certificate chain and its key, in PEM. Later on it looks at the files for each new connection, so that
// a renewed certificate is shown without a restart; if they are wrong then, the last good one stays. reloaded is called once
// for each change, with an error if it could not be used; it may be nil.
func OpenKeyPair(certFile, keyFile string, reloaded func(error)) (*KeyPair, error) {
	k := &KeyPair{certFile: certFile, keyFile: keyFile}
	if err := k.load(); err != nil {
		return nil, err
	}
	k.reloaded = reloaded
	return k, nil
}

// config lets nothing below TLS 1.3 in: every API server that knows native sidecars speaks it.
func (k *KeyPair) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			_ = k.load() // reported by then
			return k.pair, nil
		},
	}
}

// load reads the files and, if they hold something else than before, tries that.
func (k *KeyPair) load() error {
	cert, err := os.ReadFile(k.certFile)
	if err != nil {
		return k.tried(nil, fmt.Errorf("read certificate: %w", err))
	}
	key, err := os.ReadFile(k.keyFile)
	if err != nil {
		return k.tried(nil, fmt.Errorf("read key: %w", err))
	}
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

// tried remembers what was tried, and reports it unless the same was tried just before.
func (k *KeyPair) tried(text []byte, err error) error {
	if k.reloaded != nil && !bytes.Equal(text, k.text) {
		k.reloaded(err)
	}
	k.text = text
	return err
}
