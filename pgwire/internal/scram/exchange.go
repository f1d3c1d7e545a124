package scram

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Names of the mechanisms; PostgreSQL manual, "SASL Authentication".
const (
	SHA256     = "SCRAM-SHA-256"
	SHA256Plus = "SCRAM-SHA-256-PLUS" // with channel binding
)

// The headers that say whether a login is bound to its channel; RFC 5802, section 6.
const (
	Bound = "p=tls-server-end-point,," // to the hash of the server's certificate (RFC 5929)
	// NotOffered says that the client could bind and the server did not offer it. A server that did offer it
	// then knows of an attack.
	NotOffered = "y,,"
	Unable     = "n,,"
)

// maxIterations bounds the work that a server can ask for, once in a login. It is 64 times PostgreSQL's
// default of 4096 and takes less than a tenth of a second of a processor.
const maxIterations = 1 << 18

// Exchange is the client's side of one login. Call First, Final and Verify in this order.
type Exchange struct {
	nonce   string
	header  string // one of the three above
	binding []byte // what Bound binds to; else nil
	salt    saltFunc
	cache   *Cache
	login   saltedLogin // in cache

	firstBare string
	signature []byte // what the server has to prove; nil before Final
}

// saltFunc returns SaltedPassword. It ends early when ctx ends.
type saltFunc func(ctx context.Context, salt []byte, iterations int) ([]byte, error)

// New returns an exchange that begins with a header. binding is the data for Bound, else nil.
func New(header string, binding []byte, user, password string, cache *Cache) *Exchange {
	x := &Exchange{nonce: rand.Text(), header: header, binding: binding, cache: cache}
	x.salt = func(ctx context.Context, salt []byte, iterations int) (salted []byte, err error) {
		x.login = cache.login(user, password, salt, iterations)
		if x.login.salted == nil {
			x.login.salted, err = saltedPassword(ctx, password, salt, iterations)
		}
		return x.login.salted, err
	}
	return x
}

// First returns client-first-message. The name in it stays empty: PostgreSQL takes that of the startup
// packet.
func (x *Exchange) First() []byte {
	x.firstBare = "n=,r=" + x.nonce
	return []byte(x.header + x.firstBare)
}

// Final answers server-first-message with client-final-message. If ctx ends meanwhile, the error is its
// cause.
func (x *Exchange) Final(ctx context.Context, serverFirst []byte) ([]byte, error) {
	nonce, salt, iterations, err := parseServerFirst(string(serverFirst), x.nonce)
	if err != nil {
		return nil, err
	}
	salted, err := x.salt(ctx, salt, iterations)
	if err != nil {
		return nil, err
	}
	bound := base64.StdEncoding.EncodeToString(append([]byte(x.header), x.binding...))
	withoutProof := "c=" + bound + ",r=" + nonce
	authMessage := x.firstBare + "," + string(serverFirst) + "," + withoutProof

	clientKey := hmacSHA256(salted, "Client Key")
	storedKey := sha256.Sum256(clientKey)
	proof := hmacSHA256(storedKey[:], authMessage)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	x.signature = hmacSHA256(hmacSHA256(salted, "Server Key"), authMessage)
	return []byte(withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// Verify checks server-final-message: its sender knows the password's verifier. The cache keeps such a login.
func (x *Exchange) Verify(serverFinal []byte) error {
	value, ok := strings.CutPrefix(string(serverFinal), "v=")
	if !ok || x.signature == nil {
		return errors.New("no server signature")
	}
	value, _, _ = strings.Cut(value, ",")
	signature, err := base64.StdEncoding.DecodeString(value)
	if err != nil || !hmac.Equal(signature, x.signature) {
		return errors.New("wrong server signature")
	}
	x.cache.keep(x.login)
	return nil
}

// parseServerFirst reads r=nonce,s=salt,i=iterations; extensions may follow and
// are ignored, unless they are mandatory (m=), which would stand first.
func parseServerFirst(message, clientNonce string) (nonce string, salt []byte, iterations int, err error) {
	fields := strings.Split(message, ",")
	if len(fields) < 3 {
		return "", nil, 0, errors.New("too few fields")
	}
	nonce, hasNonce := strings.CutPrefix(fields[0], "r=")
	encoded, hasSalt := strings.CutPrefix(fields[1], "s=")
	count, hasCount := strings.CutPrefix(fields[2], "i=")
	if !hasNonce || !hasSalt || !hasCount {
		return "", nil, 0, errors.New("unexpected fields")
	}
	if !strings.HasPrefix(nonce, clientNonce) || len(nonce) == len(clientNonce) {
		return "", nil, 0, errors.New("foreign nonce")
	}
	if salt, err = base64.StdEncoding.DecodeString(encoded); err != nil || len(salt) == 0 {
		return "", nil, 0, errors.New("unreadable salt")
	}
	if iterations, err = strconv.Atoi(count); err != nil || iterations < 1 || iterations > maxIterations {
		return "", nil, 0, fmt.Errorf("iteration count is not from 1 to %d", maxIterations)
	}
	return nonce, salt, iterations, nil
}

// saltedPassword is SaltedPassword of RFC 5802: PBKDF2 of one block, which ends early when ctx does.
func saltedPassword(ctx context.Context, password string, salt []byte, iterations int) ([]byte, error) {
	const look = 1024
	mac := hmac.New(sha256.New, []byte(saslPrepared(password)))
	mac.Write(salt)
	mac.Write([]byte{0, 0, 0, 1}) // the number of the block
	u := mac.Sum(nil)
	salted := bytes.Clone(u)
	for i := 1; i < iterations; i++ {
		if i%look == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		mac.Reset()
		mac.Write(u)
		u = mac.Sum(u[:0])
		subtle.XORBytes(salted, salted, u)
	}
	return salted, nil
}

func hmacSHA256(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}
