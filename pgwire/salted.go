package pgwire

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"sync"
)

// maxSaltedLogins bounds the cache. A full one evicts the login that was used least recently.
const maxSaltedLogins = 256

// saltedLogins remembers salted passwords of logins that worked, so that the
// next one costs microseconds and not thousands of hash iterations. A key is
// made of everything that the value depends on: a changed password or salt
// finds nothing. Values are copied in and out, so that the cache overwrites
// nothing but its own. The zero value is ready to use.
type saltedLogins struct {
	mu      sync.Mutex
	secret  []byte // of the process: the keys say nothing about passwords
	entries map[[sha256.Size]byte]saltedEntry
	uses    uint64
}

type saltedEntry struct {
	salted []byte
	used   uint64 // saltedLogins.uses at that time
}

// saltedLogin is a place in the cache and a copy of what belongs there.
type saltedLogin struct {
	key    [sha256.Size]byte
	salted []byte // nil: not known yet
}

// login looks a login up.
func (c *saltedLogins) login(user, password string, salt []byte, iterations int) saltedLogin {
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
func (c *saltedLogins) keep(l saltedLogin) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[l.key]; !ok && len(c.entries) >= maxSaltedLogins {
		c.evictLocked()
	}
	if c.entries == nil {
		c.entries = make(map[[sha256.Size]byte]saltedEntry)
	}
	clear(c.entries[l.key].salted)
	c.storeLocked(l.key, bytes.Clone(l.salted))
}

func (c *saltedLogins) storeLocked(key [sha256.Size]byte, salted []byte) {
	c.uses++
	c.entries[key] = saltedEntry{salted, c.uses}
}

func (c *saltedLogins) evictLocked() {
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

// wipe overwrites and forgets everything.
func (c *saltedLogins) wipe() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		clear(e.salted)
	}
	clear(c.entries)
}
