package verify

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
)

// pinPrefix names the hash with which pins are made.
const pinPrefix = "sha256/"

// Pin is the SHA-256 of a SubjectPublicKeyInfo.
type Pin [sha256.Size]byte

// PinSet holds the pinned keys; nil means that none are pinned.
type PinSet []Pin

// PinOf returns the pin of the key of cert.
func PinOf(cert *x509.Certificate) Pin { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// String returns the pin as Config.Pins takes it.
func (p Pin) String() string { return pinPrefix + base64.StdEncoding.EncodeToString(p[:]) }

// ParsePin reads a pin as Pin.String writes it.
func ParsePin(text string) (Pin, error) {
	encoded, ok := strings.CutPrefix(text, pinPrefix)
	if !ok {
		return Pin{}, errors.New("want sha256/ and the hash of the public key (SubjectPublicKeyInfo) in " +
			"base64")
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(encoded)
	switch {
	case err == nil && len(sum) == sha256.Size && !strings.ContainsAny(encoded, "\r\n"):
	case len(encoded) == base64.StdEncoding.EncodedLen(sha256.Size)+1 && encoded[0] == '/':
		return Pin{}, errors.New("want sha256/ with one slash, not two")
	default:
		return Pin{}, errors.New("want 32 bytes in base64 after sha256/, which are 44 characters and end " +
			"with =")
	}
	return Pin(sum), nil
}

// allow reports whether one certificate of chain has a pinned key.
func (s PinSet) allow(chain []*x509.Certificate) bool {
	return slices.ContainsFunc(chain, func(cert *x509.Certificate) bool {
		return slices.Contains(s,
			PinOf(cert))
	})
}

// problem explains that no pinned key is in chain. A hash of a whole certificate, which is its fingerprint,
// is easily taken for a pin.
func (s PinSet) problem(chain []*x509.Certificate) *Problem {
	for _, cert := range chain {
		if slices.Contains(s, sha256.Sum256(cert.Raw)) {
			return because(PinMismatch, "a pin is the hash of the whole certificate %s, and has to be that of its "+
				"key, %s", CertificateName(cert), PinOf(cert)).as(CaseFingerprint).with(PinOf(cert).String())
		}
	}
	return because(PinMismatch, "none of the pinned keys is in its chain, which has %s",
		presentedPins(chain)).with(PinOf(chain[0]).String())
}

// presentedPins lists the pins of chain, the first few of many, so that an operator can compare or replace
// them.
func presentedPins(chain []*x509.Certificate) string {
	var pins []string
	for i, cert := range chain {
		if i == safetext.MaxNames {
			pins = append(pins, "…")
			break
		}
		pins = append(pins, PinOf(cert).String()+" (key of "+CertificateName(cert)+")")
	}
	return strings.Join(pins, ", ")
}
