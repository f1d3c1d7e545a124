package pgwire

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// maxSaltedLogins bounds the cache; a full one is emptied, not searched for the oldest.
const maxSaltedLogins = 256

// saltedLogins remembers salted passwords of logins that worked, so that the
// next one costs microseconds and not thousands of hash iterations. A key is
// made of everything that the value depends on: a changed password or salt
// finds nothing. The zero value is ready to use.
type saltedLogins struct {
	mu      sync.Mutex
	secret  []byte // of the process: the keys say nothing about passwords
	entries map[[sha256.Size]byte][]byte
}

// saltedLogin is a place in the cache and what belongs there.
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
	l.salted = c.entries[l.key]
	return l
}

// keep remembers a login that the server has confirmed.
func (c *saltedLogins) keep(l saltedLogin) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= maxSaltedLogins {
		c.wipeLocked()
	}
	if c.entries == nil {
		c.entries = make(map[[sha256.Size]byte][]byte)
	}
	c.entries[l.key] = l.salted
}

// wipe overwrites and forgets everything.
func (c *saltedLogins) wipe() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wipeLocked()
}

func (c *saltedLogins) wipeLocked() {
	for _, salted := range c.entries {
		clear(salted)
	}
	clear(c.entries)
}
