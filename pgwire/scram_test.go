package pgwire

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
)

// RFC 7677, section 3.
func TestScramVectors(t *testing.T) {
	s := newScram(nil, func(salt []byte, iterations int) ([]byte, error) {
		return saltedPassword("pencil", salt, iterations)
	})
	s.nonce = "rOprNGfwEbeRWgbNEkqO"
	if got := string(s.first()); got != "n,,n=,r=rOprNGfwEbeRWgbNEkqO" {
		t.Errorf("first message %q", got)
	}
	s.firstBare = "n=user,r=" + s.nonce // PostgreSQL wants the name empty, the RFC's example has one
	got, err := s.final([]byte("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"))
	want := "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	if err != nil || string(got) != want {
		t.Errorf("final message %q (%v), want %q", got, err, want)
	}
	if err := s.verify([]byte("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")); err != nil || !s.proven {
		t.Errorf("the server's proof: %v", err)
	}
	if err := s.verify([]byte("v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")); err == nil {
		t.Error("took a wrong proof")
	}
}

func TestScramRefusesBadServers(t *testing.T) {
	for name, first := range map[string]string{
		"foreign nonce":      "r=other,s=AAAA,i=4096",
		"our nonce alone":    "r=NONCE,s=AAAA,i=4096",
		"no salt":            "r=NONCEx,s=,i=4096",
		"unreadable salt":    "r=NONCEx,s=!,i=4096",
		"no iterations":      "r=NONCEx,s=AAAA,i=0",
		"endless iterations": "r=NONCEx,s=AAAA,i=99999999",
		"no number":          "r=NONCEx,s=AAAA,i=x",
		"too short":          "r=NONCEx,s=AAAA",
		"mandatory unknown":  "m=x,r=NONCEx,s=AAAA,i=4096",
		"error":              "e=other-error",
		"empty":              "",
	} {
		t.Run(name, func(t *testing.T) {
			s := newScram(nil, func([]byte, int) ([]byte, error) {
				t.Error("worked for it")
				return nil, errors.New("x")
			})
			s.nonce = "NONCE"
			s.first()
			if _, err := s.final([]byte(first)); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestSaltedLogins(t *testing.T) {
	var c saltedLogins
	l := c.login("app", "secret", []byte("salt"), 4096)
	if l.salted != nil {
		t.Fatal("knows a login that never was")
	}
	l.salted = []byte("salted")
	c.keep(l)
	if got := c.login("app", "secret", []byte("salt"), 4096); string(got.salted) != "salted" {
		t.Errorf("got %q", got.salted)
	}
	for name, other := range map[string]saltedLogin{
		"user":       c.login("ap", "psecret", []byte("salt"), 4096),
		"password":   c.login("app", "changed", []byte("salt"), 4096),
		"salt":       c.login("app", "secret", []byte("tlas"), 4096),
		"iterations": c.login("app", "secret", []byte("salt"), 4097),
	} {
		if other.salted != nil {
			t.Errorf("found with another %s", name)
		}
	}
	for i := range 2 * maxSaltedLogins {
		c.keep(saltedLogin{key: [sha256.Size]byte{1, byte(i >> 8), byte(i)}, salted: []byte{1}})
	}
	if len(c.entries) > maxSaltedLogins {
		t.Errorf("holds %d logins", len(c.entries))
	}
	kept := c.login("app", "x", nil, 1)
	kept.salted = []byte("wipe me")
	c.keep(kept)
	inside := c.entries[kept.key].salted
	c.wipe()
	if len(c.entries) != 0 || !bytes.Equal(inside, make([]byte, 7)) || string(kept.salted) != "wipe me" {
		t.Errorf("left %d entries, %q inside and %q with the login", len(c.entries), inside, kept.salted)
	}
}

// What a server says first is taken only if it keeps to the rules.
func FuzzServerFirst(f *testing.F) {
	for _, seed := range []string{"r=NONCEx,s=AAAA,i=4096", "r=NONCEx,s=AAAA,i=4096,ext", "e=no", "", "r=,s=,i="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message string) {
		watchdog(t)
		nonce, salt, iterations, err := parseServerFirst(message, "NONCE")
		if err == nil && (len(nonce) <= 5 || nonce[:5] != "NONCE" || len(salt) == 0 || iterations < 1 || iterations > maxIterations) {
			t.Fatalf("took %q, %q, %d", nonce, salt, iterations)
		}
	})
}
