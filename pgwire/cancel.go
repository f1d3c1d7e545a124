package pgwire

import (
	"io"
	"net"
	"sync"
)

// cancelKeys leads from a key (process ID and secret) to the running session
// that owns it, and so to the upstream address which knows the key: behind a
// name with several addresses, the others do not.
type cancelKeys struct {
	mu     sync.Mutex
	owners map[string]*session
}

func (k *cancelKeys) add(key string, owner *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.owners == nil {
		k.owners = make(map[string]*session)
	}
	k.owners[key] = owner
}

func (k *cancelKeys) remove(key string, owner *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	// Two upstreams may hand out the same key; the younger session has it then.
	if k.owners[key] == owner {
		delete(k.owners, key)
	}
}

// find returns nil for a key that no running session has.
func (k *cancelKeys) find(key string) net.Addr {
	k.mu.Lock()
	defer k.mu.Unlock()
	if owner := k.owners[key]; owner != nil {
		return owner.upstream.RemoteAddr()
	}
	return nil
}

// forwardCancel sends a CancelRequest over a verified connection to the address
// of the session that owns its key, or to the first upstream if none does: this
// process may have been restarted. The client is held until the upstream
// closes, for that is the only acknowledgement which the protocol has; nothing
// more is read from it, and it never gets an answer.
func (s *session) forwardCancel(packet startupPacket) error {
	target := s.server.keys.find(packet.cancelKey())
	s.info.CancelKnown = target != nil
	s.server.Trace.started(s.info)

	if err := s.dial(target); err != nil {
		return err
	}
	answer, err := s.deliverCancel(packet)
	if (err != nil || answer > 0) && s.spareEnded() { // a living upstream closes without a word
		if err := s.replaceSpare(); err != nil {
			return err
		}
		_, err = s.deliverCancel(packet)
	}
	if err != nil {
		return s.causeOf(upstreamLost(PhaseRelay, err))
	}
	return nil
}

// deliverCancel sends the packet and waits for the upstream to close. It returns
// how many bytes came before that.
func (s *session) deliverCancel(packet startupPacket) (answer int64, err error) {
	s.phase.Store(int32(PhaseRelay))
	n, err := s.upstream.Write(packet.raw)
	s.toUpstream.Store(int64(n))
	if err != nil {
		return 0, err
	}
	return io.Copy(io.Discard, s.upstream)
}
