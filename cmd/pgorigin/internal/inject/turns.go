package inject

import (
	"crypto"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/pgorigin/pgorigin/health"
)

// turns lets work be done, some at a time and one for each address of a client. So a client that asks for
// much delays its own.
type turns struct {
	all chan struct{} // holds a token for each that has its turn

	mu    sync.Mutex
	queue map[string]*queue // by address
}

// queue has the work of one address.
type queue struct {
	turn  chan struct{} // holds one token while it is used
	users int           // that wait or have their turn
}

func newTurns(n int) *turns {
	return &turns{all: make(chan struct{}, n), queue: map[string]*queue{}}
}

// do calls work when it is the turn of that address. It returns false if left was closed before.
func (t *turns) do(left <-chan struct{}, address string, work func()) bool {
	t.mu.Lock()
	own := t.queue[address]
	if own == nil {
		own = &queue{turn: make(chan struct{}, 1)}
		t.queue[address] = own
	}
	own.users++
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if own.users--; own.users == 0 {
			delete(t.queue, address)
		}
	}()
	for _, tokens := range []chan struct{}{own.turn, t.all} {
		select {
		case tokens <- struct{}{}:
			defer func() { <-tokens }()
		case <-left:
			return false
		}
	}
	work()
	return true
}

// sign makes handshakes wait for their turn with a signature, which is most of their work.
func (t *turns) sign(config *tls.Config) {
	get := config.GetCertificate
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := get(hello)
		if err != nil {
			return nil, err
		}
		key, ok := pair.PrivateKey.(crypto.Signer)
		if !ok {
			return nil, errors.New("the key cannot sign")
		}
		own := *pair
		own.PrivateKey = &signer{key, t, health.Left(hello.Conn), addressOf(hello.Conn.RemoteAddr().String())}
		return &own, nil
	}
}

// signer signs when it is the turn of an address.
type signer struct {
	crypto.Signer
	turns   *turns
	left    <-chan struct{}
	address string
}

// Sign implements crypto.Signer.
func (s *signer) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	inTurn := s.turns.do(s.left, s.address, func() { signature, err = s.Signer.Sign(rand, digest, opts) })
	if !inTurn {
		return nil, errors.New("it had to make room")
	}
	return signature, err
}

// addressOf returns the part of an address that a client cannot choose, or "".
func addressOf(hostPort string) string {
	host, _, _ := net.SplitHostPort(hostPort)
	return host
}
