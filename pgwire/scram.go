package pgwire

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

// maxIterations bounds the work that a server can ask for, once in a login. It is 64 times PostgreSQL's
// default of 4096 and takes less than a tenth of a second of a processor.
const maxIterations = 1 << 18

// scram is the client's side of one SCRAM-SHA-256 exchange (RFC 5802, RFC 7677),
// with channel binding tls-server-end-point (RFC 5929) if there is binding data.
type scram struct {
	nonce   string
	gs2     string // header that says what is bound
	binding []byte
	salt    saltFunc

	firstBare string
	signature []byte // what the server must prove to know
	proven    bool
}

// saltFunc returns SaltedPassword, or early when ctx ends.
type saltFunc func(ctx context.Context, salt []byte, iterations int) ([]byte, error)

// The headers that say whether a login is bound to its channel; RFC 5802, section 6.
const (
	gs2Bound      = "p=tls-server-end-point,,"
	gs2NotOffered = "y,," // this side can bind, but was not offered to: a server that did offer then knows of an attack
	gs2Unable     = "n,,"
)

// newScram starts an exchange under one of the headers; binding is the data for gs2Bound, else nil.
func newScram(gs2 string, binding []byte, salt saltFunc) *scram {
	return &scram{nonce: rand.Text(), gs2: gs2, binding: binding, salt: salt}
}

// first returns client-first-message. The name in it stays empty: PostgreSQL
// takes the one of the startup packet.
func (s *scram) first() []byte {
	s.firstBare = "n=,r=" + s.nonce
	return []byte(s.gs2 + s.firstBare)
}

// final answers server-first-message with client-final-message.
func (s *scram) final(ctx context.Context, serverFirst []byte) ([]byte, error) {
	nonce, salt, iterations, err := parseServerFirst(string(serverFirst), s.nonce)
	if err != nil {
		return nil, err
	}
	salted, err := s.salt(ctx, salt, iterations)
	if err != nil {
		return nil, err
	}
	bound := base64.StdEncoding.EncodeToString(append([]byte(s.gs2), s.binding...))
	withoutProof := "c=" + bound + ",r=" + nonce
	authMessage := s.firstBare + "," + string(serverFirst) + "," + withoutProof

	clientKey := hmacSHA256(salted, "Client Key")
	storedKey := sha256.Sum256(clientKey)
	proof := hmacSHA256(storedKey[:], authMessage)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	s.signature = hmacSHA256(hmacSHA256(salted, "Server Key"), authMessage)
	return []byte(withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// verify checks server-final-message: whoever sent it knows the password's verifier.
func (s *scram) verify(serverFinal []byte) error {
	value, ok := strings.CutPrefix(string(serverFinal), "v=")
	if !ok || s.signature == nil {
		return errors.New("no server signature")
	}
	value, _, _ = strings.Cut(value, ",")
	signature, err := base64.StdEncoding.DecodeString(value)
	if err != nil || !hmac.Equal(signature, s.signature) {
		return errors.New("wrong server signature")
	}
	s.proven = true
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
