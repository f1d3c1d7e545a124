package verify

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
)

// What a file with certificates may hold besides them.
const (
	CertificatesOnly = false
	KeysToo          = true // a combined file of chain and key
)

// parseBlocks splits PEM into its blocks. pem.Decode alone skips what it cannot read. parseBlocks fails if a
// block is damaged, so a truncated or wrongly indented file never counts as a shorter one.
func parseBlocks(data []byte) ([]*pem.Block, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("is empty")
	}
	var blocks []*pem.Block
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		blocks = append(blocks, block)
	}
	begun := bytes.Count(data, []byte("-----BEGIN"))
	switch {
	case begun == 0 && data[0] == 0x30: // ASN.1 SEQUENCE
		return nil, fmt.Errorf("holds no PEM; it looks like %s", derKind(data))
	case begun == 0:
		return nil, errors.New("holds no PEM block")
	case begun != len(blocks):
		return nil, fmt.Errorf("has %d PEM blocks of which only %d can be read: truncated, damaged or indented",
			begun, len(blocks))
	}
	return blocks, nil
}

// derKind says what a file that begins with a SEQUENCE may be, and how to get PEM of it.
func derKind(data cryptobyte.String) string {
	var inner cryptobyte.String
	var version int
	switch data.ReadASN1(&inner, asn1.SEQUENCE); {
	case !inner.ReadASN1Integer(&version):
		return "DER, convert it with: openssl x509 -inform der"
	case version == 3:
		return "PKCS #12, convert it with: openssl pkcs12 -nodes"
	}
	return "a private key in DER, convert it with: openssl pkey -inform der"
}

// ParseCertificates returns every certificate of data, at least one. It fails if a block is something else,
// except that keys allows keys.
func ParseCertificates(data []byte, keys bool) ([]*x509.Certificate, error) {
	blocks, err := parseBlocks(data)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for i, block := range blocks {
		private := strings.HasSuffix(block.Type, "PRIVATE KEY")
		switch {
		case block.Type == "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("block %d is no readable certificate: %w", i+1, err)
			}
			certs = append(certs, cert)
		case keys && (private || block.Type == "EC PARAMETERS"):
		case private:
			return nil, fmt.Errorf("block %d is a private key: a file of trusted certificates must not hold one",
				i+1)
		default:
			return nil, fmt.Errorf("block %d is of type %s, want only CERTIFICATE", i+1,
				safetext.Quote(block.Type))
		}
	}
	if len(certs) == 0 {
		return nil, errors.New("holds no certificate, only a key")
	}
	return certs, nil
}

// PrivateKeyBlock returns the PEM of the first private key in data.
func PrivateKeyBlock(data []byte) ([]byte, error) {
	blocks, err := parseBlocks(data)
	if err != nil {
		return nil, err
	}
	for _, block := range blocks {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" ||
			strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, errors.New("is encrypted and there is no way to give a passphrase: decrypt it with " +
				"openssl pkey")
		}
		return pem.EncodeToMemory(block), nil
	}
	return nil, fmt.Errorf("holds no private key, but a block of type %s", safetext.Quote(blocks[0].Type))
}
