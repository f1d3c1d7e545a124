package scram

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// RFC 7677, section 3.
func TestScramVectors(t *testing.T) {
	s := New(Unable, nil, "user", "pencil", new(Cache))
	s.nonce = "rOprNGfwEbeRWgbNEkqO"
	if got := string(s.First()); got != "n,,n=,r=rOprNGfwEbeRWgbNEkqO" {
		t.Errorf("first message %q", got)
	}
	s.firstBare = "n=user,r=" + s.nonce // PostgreSQL wants the name empty, the RFC's example has one
	got, err := s.Final(t.Context(), []byte("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"))
	want := "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	if err != nil || string(got) != want {
		t.Errorf("final message %q (%v), want %q", got, err, want)
	}
	if err := s.Verify([]byte("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")); err != nil || len(s.cache.entries) != 1 {
		t.Errorf("the server's proof: %v", err)
	}
	if err := s.Verify([]byte("v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")); err == nil {
		t.Error("took a wrong proof")
	}
}

func TestScramRefusesBadServers(t *testing.T) {
	for name, first := range map[string]string{
		"foreign nonce":       "r=other,s=AAAA,i=4096",
		"our nonce alone":     "r=NONCE,s=AAAA,i=4096",
		"no salt":             "r=NONCEx,s=,i=4096",
		"unreadable salt":     "r=NONCEx,s=!,i=4096",
		"no iterations":       "r=NONCEx,s=AAAA,i=0",
		"endless iterations":  "r=NONCEx,s=AAAA,i=99999999",
		"too many iterations": "r=NONCEx,s=AAAA,i=262145",
		"2^31 iterations":     "r=NONCEx,s=AAAA,i=2147483648",
		"no number":           "r=NONCEx,s=AAAA,i=x",
		"too short":           "r=NONCEx,s=AAAA",
		"mandatory unknown":   "m=x,r=NONCEx,s=AAAA,i=4096",
		"error":               "e=other-error",
		"empty":               "",
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Unable, nil, "user", "pencil", new(Cache))
			s.salt = func(context.Context, []byte, int) ([]byte, error) {
				t.Error("worked for it")
				return nil, errors.New("x")
			}
			s.nonce = "NONCE"
			s.First()
			if _, err := s.Final(t.Context(), []byte(first)); err == nil {
				t.Error("no error")
			}
		})
	}
}

// Hashing is PBKDF2, and ends when its session does.
func TestSaltedPassword(t *testing.T) {
	for _, iterations := range []int{1, 2, 4096} {
		got, err := saltedPassword(t.Context(), "secret", []byte("salt"), iterations)
		want, _ := pbkdf2.Key(sha256.New, "secret", []byte("salt"), iterations, sha256.Size)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d iterations: %x (%v), want %x", iterations, got, err, want)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("the session is over")
	cancel(over)
	if _, err := saltedPassword(ctx, "secret", []byte("salt"), 1<<60); !errors.Is(err, over) {
		t.Errorf("ended with %v", err)
	}
}

func TestCache(t *testing.T) {
	var c Cache
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
	for i := range 2 * maxCached {
		c.keep(saltedLogin{key: [sha256.Size]byte{1, byte(i >> 8), byte(i)}, salted: []byte{1}})
	}
	if len(c.entries) > maxCached {
		t.Errorf("holds %d logins", len(c.entries))
	}
	kept := c.login("app", "x", nil, 1)
	kept.salted = []byte("wipe me")
	c.keep(kept)
	inside := c.entries[kept.key].salted
	c.Wipe()
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
		pgtest.Watchdog(t)
		nonce, salt, iterations, err := parseServerFirst(message, "NONCE")
		if err == nil && (len(nonce) <= 5 || nonce[:5] != "NONCE" || len(salt) == 0 || iterations < 1 || iterations > maxIterations) {
			t.Fatalf("took %q, %q, %d", nonce, salt, iterations)
		}
	})
}
