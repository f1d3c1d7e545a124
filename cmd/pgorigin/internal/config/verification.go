package config

import (
	"errors"
	"strings"
)

// verifyMode says what of the upstream's certificate is verified. There is none that verifies less than the chain.
type verifyMode string

const (
	verifyFull verifyMode = "verify-full" // chain and name
	VerifyCA   verifyMode = "verify-ca"   // chain
)

// Decode reads one of the two modes. Words that mean no verification elsewhere get their own answer.
func (v *verifyMode) Decode(value string) error {
	if weakeningValue.MatchString(strings.TrimSpace(value)) {
		return errors.New(weakeningText)
	}
	word, err := oneOf(value, string(verifyFull), string(VerifyCA))
	if err == nil {
		*v = verifyMode(word)
	}
	return err
}

// pinList holds pinned keys; tlsorigin checks what they look like.
type pinList []string

// Decode reads a comma list.
func (p *pinList) Decode(value string) error {
	var pins pinList
	for pin := range strings.SplitSeq(value, ",") {
		if pin = strings.TrimSpace(pin); pin == "" {
			return errors.New("expected a comma list of sha256/BASE64, but there is an empty entry; remove the comma too many")
		}
		pins = append(pins, pin)
	}
	*p = pins
	return nil
}

func (p pinList) String() string { return strings.Join(p, ",") }
