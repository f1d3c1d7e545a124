package pgwire

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// SASL mechanism names; PostgreSQL manual, "SASL Authentication".
const (
	scramSHA256     = "SCRAM-SHA-256"
	scramSHA256Plus = "SCRAM-SHA-256-PLUS"
)

// maxIterations bounds the work that a server can ask for: about a quarter of a
// second, where PostgreSQL's default is 4096 iterations.
const maxIterations = 1 << 20

// scram is the client's side of one SCRAM-SHA-256 exchange (RFC 5802, RFC 7677),
// with channel binding tls-server-end-point (RFC 5929) if there is binding data.
type scram struct {
	nonce   string
	gs2     string // header that says what is bound
	binding []byte
	salt    func(salt []byte, iterations int) ([]byte, error) // SaltedPassword

	firstBare string
	signature []byte // what the server must prove to know
	proven    bool
}

// newScram starts an exchange. Without binding data it declares that this
// client does not bind, which a server that offers binding accepts.
func newScram(binding []byte, salt func([]byte, int) ([]byte, error)) *scram {
	s := &scram{nonce: rand.Text(), gs2: "n,,", binding: binding, salt: salt}
	if binding != nil {
		s.gs2 = "p=tls-server-end-point,,"
	}
	return s
}

// first returns client-first-message. The name in it stays empty: PostgreSQL
// takes the one of the startup packet.
func (s *scram) first() []byte {
	s.firstBare = "n=,r=" + s.nonce
	return []byte(s.gs2 + s.firstBare)
}

// final answers server-first-message with client-final-message.
func (s *scram) final(serverFirst []byte) ([]byte, error) {
	nonce, salt, iterations, err := parseServerFirst(string(serverFirst), s.nonce)
	if err != nil {
		return nil, err
	}
	salted, err := s.salt(salt, iterations)
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

// saltedPassword is SaltedPassword of RFC 5802.
func saltedPassword(password string, salt []byte, iterations int) ([]byte, error) {
	return pbkdf2.Key(sha256.New, saslPrepared(password), salt, iterations, sha256.Size)
}

func hmacSHA256(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

// initialResponse is the body of SASLInitialResponse.
func initialResponse(mechanism string, data []byte) []byte {
	var b bytes.Buffer
	b.WriteString(mechanism)
	b.WriteByte(0)
	b.Write([]byte{byte(len(data) >> 24), byte(len(data) >> 16), byte(len(data) >> 8), byte(len(data))})
	b.Write(data)
	return b.Bytes()
}
