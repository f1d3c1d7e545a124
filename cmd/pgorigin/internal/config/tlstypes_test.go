package config

import (
	"crypto/tls"
	"testing"
)

func TestGroupsHaveManyNames(t *testing.T) {
	for group, names := range map[tls.CurveID][]string{
		tls.CurveP256:          {"P-256", "p-256", "P256", "secp256r1", "prime256v1", "CurveP256"},
		tls.CurveP384:          {"P-384", "P384", "secp384r1", "CurveP384"},
		tls.CurveP521:          {"P-521", "P521", "secp521r1", "CurveP521"},
		tls.X25519:             {"X25519", "x25519", "curve25519"},
		tls.X25519MLKEM768:     {"X25519MLKEM768", "x25519mlkem768"},
		tls.SecP256r1MLKEM768:  {"SecP256r1MLKEM768"},
		tls.SecP384r1MLKEM1024: {"secp384r1mlkem1024"},
	} {
		for _, name := range names {
			got, err := parseGroups(" " + name + " ")
			if err != nil || len(got) != 1 || got[0] != group {
				t.Errorf("%s is read as %v (%v), want %v", name, got, err, group)
			}
		}
	}
}
