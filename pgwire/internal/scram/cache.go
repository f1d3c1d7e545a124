package scram

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"sync"
)

// maxCached bounds the number of logins. A full cache evicts the one that was used least recently.
const maxCached = 256

// Cache remembers the salted passwords of logins that worked. The next such login costs microseconds instead
// of thousands of hash iterations. A key depends on everything that the value depends on, so a changed
// password or salt finds nothing. Values are copied in and out: the cache overwrites only copies of its own.
// The zero value is empty and ready to use. The methods may be called concurrently.
type Cache struct {
	mu      sync.Mutex
	secret  []byte // of the process: the keys say nothing about passwords
	entries map[[sha256.Size]byte]saltedEntry
	uses    uint64
}

type saltedEntry struct {
	salted []byte
	used   uint64 // Cache.uses at that time
}

// saltedLogin is a place in the cache and a copy of what belongs there.
type saltedLogin struct {
	key    [sha256.Size]byte
	salted []byte // nil: not known yet
}

// login looks a login up.
func (c *Cache) login(user, password string, salt []byte, iterations int) saltedLogin {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.secret == nil {
		c.secret = make([]byte, sha256.Size)
		_, _ = rand.Read(c.secret) // never fails: crypto/rand
	}
	mac := hmac.New(sha256.New, c.secret)
	for _, part := range []string{user, password, string(salt)} {
		_ = binary.Write(mac, binary.BigEndian, uint64(len(part)))
		mac.Write([]byte(part))
	}
	_ = binary.Write(mac, binary.BigEndian, uint64(iterations))
	var l saltedLogin
	mac.Sum(l.key[:0])
	if e, ok := c.entries[l.key]; ok {
		l.salted = bytes.Clone(e.salted)
		c.storeLocked(l.key, e.salted)
	}
	return l
}

// keep remembers a login that the server has confirmed.
func (c *Cache) keep(l saltedLogin) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[l.key]; !ok && len(c.entries) >= maxCached {
		c.evictLocked()
	}
	if c.entries == nil {
		c.entries = make(map[[sha256.Size]byte]saltedEntry)
	}
	clear(c.entries[l.key].salted)
	c.storeLocked(l.key, bytes.Clone(l.salted))
}

func (c *Cache) storeLocked(key [sha256.Size]byte, salted []byte) {
	c.uses++
	c.entries[key] = saltedEntry{salted, c.uses}
}

func (c *Cache) evictLocked() {
	var oldest [sha256.Size]byte
	least := uint64(math.MaxUint64)
	for key, e := range c.entries {
		if e.used < least {
			oldest, least = key, e.used
		}
	}
	clear(c.entries[oldest].salted)
	delete(c.entries, oldest)
}

// Wipe overwrites and removes everything.
func (c *Cache) Wipe() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		clear(e.salted)
	}
	clear(c.entries)
}
