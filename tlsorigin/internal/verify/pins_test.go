package verify

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
)

func TestMalformedPins(t *testing.T) {
	sum := sha256.Sum256(nil)
	good := base64.StdEncoding.EncodeToString(sum[:])
	for text, want := range map[string]string{
		"":                                       "want sha256/",
		good:                                     "want sha256/",
		"sha1/" + good:                           "want sha256/",
		"SHA256/" + good:                         "want sha256/",
		"sha256//" + good:                        "one slash",
		"sha256/":                                "44 characters",
		"sha256/" + good[:40]:                    "44 characters",
		"sha256/" + good + "AAA":                 "44 characters",
		"sha256/" + good[:43]:                    "44 characters",
		"sha256/" + good[:22] + "\n" + good[22:]: "44 characters",
		"sha256/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": "44 characters",
	} {
		_, err := ParsePin(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	slash := Pin{0xff, 0xff} // its base64 begins with the character that ends the prefix
	if got, err := ParsePin(slash.String()); err != nil || got != slash {
		t.Errorf("%s: %v", slash, err)
	}
}
