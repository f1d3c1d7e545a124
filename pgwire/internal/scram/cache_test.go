package scram

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// A login that meets a full cache is answered with the right value, today and after the value has gone.
func TestCacheFull(t *testing.T) {
	var c Cache
	salted := func(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8), 1}, 11)[:32] }
	for i := range maxCached {
		l := c.login("app", fmt.Sprint(i), []byte("salt"), 4096)
		l.salted = salted(i)
		c.keep(l)
	}
	hit := c.login("app", "7", []byte("salt"), 4096)
	c.keep(hit)
	for i := range maxCached { // rotations: each evicts one, the one that was hit last of all
		l := c.login("app", fmt.Sprint("rotated ", i), []byte("salt"), 4096)
		if l.salted != nil {
			t.Fatal("found a password that nobody has used")
		}
		l.salted = salted(i)
		c.keep(l)
	}
	if !bytes.Equal(hit.salted, salted(7)) {
		t.Errorf("the cache overwrote the value of a login: %x", hit.salted)
	}
	for i := range maxCached {
		l := c.login("app", fmt.Sprint("rotated ", i), []byte("salt"), 4096)
		if l.salted != nil && !bytes.Equal(l.salted, salted(i)) {
			t.Errorf("login %d gets %x", i, l.salted)
		}
	}
	if len(c.entries) != maxCached {
		t.Errorf("%d entries", len(c.entries))
	}
}

// Random logins against a model that remembers the order of use. The cache is small compared with the number
// of passwords, so nearly every step happens at its limit.
func TestCacheModel(t *testing.T) {
	const passwords = maxCached + 40
	random := rand.New(rand.NewPCG(1, 11))
	var c Cache
	var recent []int // the most recently used last
	use := func(i int) {
		recent = append(slices.DeleteFunc(recent, func(j int) bool { return j == i }), i)
		recent = recent[max(0, len(recent)-maxCached):]
	}
	value := func(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i>>8) + 1}, 16) }
	for step := range 20_000 {
		i := random.IntN(passwords)
		l := c.login("app", fmt.Sprint(i), nil, 4096)
		known := slices.Contains(recent, i)
		if (l.salted != nil) != known || known && !bytes.Equal(l.salted, value(i)) {
			t.Fatalf("step %d: login %d gets %x, known to the model: %t", step, i, l.salted, known)
		}
		if known {
			use(i)
		}
		switch {
		case random.IntN(4) == 0: // it fails, and the caller does with its copy what it likes
			clear(l.salted)
			continue
		case random.IntN(2000) == 0:
			c.Wipe()
			recent = nil
			continue
		}
		if l.salted == nil {
			l.salted = value(i)
		}
		c.keep(l)
		use(i)
		clear(l.salted)
	}
}

// Logins at the same time, far more passwords than places: nobody is handed a value of another's, or zeros.
func TestCacheConcurrently(t *testing.T) {
	var c Cache
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(worker)))
			for range 3000 {
				i := random.IntN(maxCached * 2)
				want := bytes.Repeat([]byte{byte(i) | 1}, 32)
				l := c.login("app", fmt.Sprint(i), nil, 1)
				if l.salted == nil {
					l.salted = bytes.Clone(want)
				}
				c.keep(l)
				if !bytes.Equal(l.salted, want) {
					t.Errorf("login %d holds %x", i, l.salted)
					return
				}
			}
		})
	}
	wg.Wait()
}
