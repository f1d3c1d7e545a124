//go:build hostile

package hostile

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// scram is the server's side of SCRAM, by somebody who may lie in every field.
type scram struct {
	password   string // what the server believes the password to be
	iterations string // as written in the message; empty means 4096
	nonce      func(client string) string
	signature  func(right []byte) []byte

	bare, first string // client-first-message-bare, server-first-message
}

const salt = "sixteen bytes..."

// challenge reads the client's first message and answers it.
func (s *scram) challenge(clientFirst string) string {
	_, s.bare = cutTwo(clientFirst)
	client := field(s.bare, "r=")
	nonce := client + "server-nonce-4711"
	if s.nonce != nil {
		nonce = s.nonce(client)
	}
	if s.iterations == "" {
		s.iterations = "4096"
	}
	s.first = fmt.Sprintf("r=%s,s=%s,i=%s", nonce, base64.StdEncoding.EncodeToString([]byte(salt)), s.iterations)
	return s.first
}

// final answers the client's last message with the signature of the server, which proves that it knows the password.
func (s *scram) final(clientFinal string) string {
	without, _, _ := strings.Cut(clientFinal, ",p=")
	var count int
	if _, err := fmt.Sscan(s.iterations, &count); err != nil || count < 1 || count > 1<<20 {
		count = 1 // nobody gets here with the right proof
	}
	salted, err := pbkdf2.Key(sha256.New, s.password, []byte(salt), count, sha256.Size)
	if err != nil {
		panic(err)
	}
	key := mac(salted, "Server Key")
	signature := mac(key, s.bare+","+s.first+","+without)
	if s.signature != nil {
		signature = s.signature(signature)
	}
	return "v=" + base64.StdEncoding.EncodeToString(signature)
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// cutTwo splits the header of channel binding, "n,," or the like, from the rest.
func cutTwo(first string) (header, bare string) {
	parts := strings.SplitN(first, ",", 3)
	if len(parts) < 3 {
		return "", first
	}
	return parts[0] + "," + parts[1] + ",", parts[2]
}

func field(message, name string) string {
	for part := range strings.SplitSeq(message, ",") {
		if value, found := strings.CutPrefix(part, name); found {
			return value
		}
	}
	return ""
}
