package tlsorigin

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
)

// pinPrefix is in front of every pin: the hash that it is made with.
const pinPrefix = "sha256/"

// pin is the SHA-256 of a SubjectPublicKeyInfo.
type pin [sha256.Size]byte

// pinSet holds the pinned keys; nil means that none are pinned.
type pinSet []pin

// Pin returns the pin of a certificate's key, as Config.Pins takes it.
func Pin(cert *x509.Certificate) string { return pinOf(cert).String() }

func pinOf(cert *x509.Certificate) pin { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

func (p pin) String() string { return pinPrefix + base64.StdEncoding.EncodeToString(p[:]) }

// parsePins reads Config.Pins and complains of each pin that is none.
func parsePins(texts []string) (pins pinSet, problems []error) {
	for _, text := range texts {
		p, err := parsePin(text)
		if err != nil {
			problems = append(problems, &ConfigError{Field: "Pins", Value: text, Problem: ProblemUnusable, Err: err})
			continue
		}
		pins = append(pins, p)
	}
	return pins, problems
}

func parsePin(text string) (pin, error) {
	encoded, ok := strings.CutPrefix(text, pinPrefix)
	if !ok {
		return pin{}, errors.New("want sha256/ and the hash of the public key (SubjectPublicKeyInfo) in base64")
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(encoded)
	switch {
	case err == nil && len(sum) == sha256.Size && !strings.ContainsAny(encoded, "\r\n"):
	case len(encoded) == base64.StdEncoding.EncodedLen(sha256.Size)+1 && encoded[0] == '/':
		return pin{}, errors.New("want sha256/ with one slash, not two")
	default:
		return pin{}, errors.New("want 32 bytes in base64 behind sha256/, which are 44 characters and end with =")
	}
	return pin(sum), nil
}

// allow reports whether one certificate of chain has a pinned key.
func (s pinSet) allow(chain []*x509.Certificate) bool {
	return slices.ContainsFunc(chain, func(cert *x509.Certificate) bool { return slices.Contains(s, pinOf(cert)) })
}

// presentedPins lists the pins of chain, the first few of many, for whoever has to compare or to replace them.
func presentedPins(chain []*x509.Certificate) string {
	var pins []string
	for i, cert := range chain {
		if i == maxNames {
			pins = append(pins, "…")
			break
		}
		pins = append(pins, Pin(cert)+" (key of "+certificateName(cert)+")")
	}
	return strings.Join(pins, ", ")
}
