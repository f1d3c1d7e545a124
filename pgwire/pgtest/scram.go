package pgtest

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// SCRAMServer plays PostgreSQL's side of SCRAM.
type SCRAMServer struct {
	*Peer
	Password string
	EndPoint []byte // what it is bound to; nil for nothing
}

// ReadResponse reads a message of type 'p' and returns its body.
func (s *SCRAMServer) ReadResponse() []byte {
	s.tb.Helper()
	kind, body := s.ReadMessage()
	if kind != 'p' {
		s.tb.Fatalf("got message %q", kind)
	}
	return body
}

func hmacSHA256(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

// Authenticate offers mechanisms and reports whether the client proved the
// password with the mechanism that is wanted. It answers with its own proof.
func (s *SCRAMServer) Authenticate(wantMechanism string, offer ...string) bool {
	s.tb.Helper()
	s.Send(AuthenticationSASL(offer...))
	mechanism, rest, _ := bytes.Cut(s.ReadResponse(), []byte{0})
	if string(mechanism) != wantMechanism {
		s.tb.Fatalf("the bridge chose %s, want %s", mechanism, wantMechanism)
	}
	if int(binary.BigEndian.Uint32(rest)) != len(rest)-4 {
		s.tb.Fatalf("SASLInitialResponse says %d bytes, has %d", binary.BigEndian.Uint32(rest), len(rest)-4)
	}
	gs2, bare, _ := strings.Cut(string(rest[4:]), "n=,r=")
	first := "r=" + bare + "server,s=" + base64.StdEncoding.EncodeToString([]byte("salt")) + ",i=4096"
	s.Send(Message('R', "\x00\x00\x00\x0b"+first))

	final := string(s.ReadResponse())
	withoutProof, proof, _ := strings.Cut(final, ",p=")
	bound := base64.StdEncoding.EncodeToString(append([]byte(gs2), s.EndPoint...))
	if withoutProof != "c="+bound+",r="+bare+"server" {
		s.tb.Logf("bound to something else: %q", withoutProof)
		return false
	}
	salted, _ := pbkdf2.Key(sha256.New, s.Password, []byte("salt"), 4096, sha256.Size)
	authMessage := "n=,r=" + bare + "," + first + "," + withoutProof
	key, _ := base64.StdEncoding.DecodeString(proof)
	stored := sha256.Sum256(hmacSHA256(salted, "Client Key"))
	for i, b := range hmacSHA256(stored[:], authMessage) {
		key[i] ^= b
	}
	if sha256.Sum256(key) != stored {
		return false
	}
	signature := hmacSHA256(hmacSHA256(salted, "Server Key"), authMessage)
	s.Send(Message('R', "\x00\x00\x00\x0cv="+base64.StdEncoding.EncodeToString(signature)))
	return true
}
