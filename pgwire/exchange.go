package pgwire

import (
	"encoding/binary"
	"sync"
)

// Frontend message types that the exchange tells apart; manual, "Message Formats".
const (
	typeQuery        = 'Q'
	typeTerminate    = 'X'
	typeSync         = 'S'
	typeFunctionCall = 'F'
	typeParse        = 'P'
	typeBind         = 'B'
	typeDescribe     = 'D'
	typeExecute      = 'E'
	typeCloseObject  = 'C'
	typeFlush        = 'H'
)

// Backend message types that the exchange tells apart, besides those of the auth phase.
const (
	typeCopyIn   = 'G'
	typeCopyBoth = 'W'
)

const statusIdle = 'I' // of ReadyForQuery: in no transaction

// framing follows the message boundaries of one direction on any chunking of
// the stream. It keeps nothing and judges nothing: what it cannot follow it
// only calls lost.
type framing struct {
	header [messageHeader]byte
	have   int    // bytes of header that are here, of a message that is not complete
	left   uint32 // bytes of the present message's body that are still to come
	lost   bool   // the stream is not made of messages
}

// whole reports whether the stream so far ends with a whole message.
func (f *framing) whole() bool { return f.have == 0 && f.left == 0 && !f.lost }

// next returns the type of the next message whose header is complete, and what
// follows the header. The type is 0 when p is used up.
func (f *framing) next(p []byte) (kind byte, rest []byte) {
	if n := min(int64(f.left), int64(len(p))); n > 0 {
		f.left -= uint32(n)
		p = p[n:]
	}
	if len(p) == 0 || f.lost {
		return 0, nil
	}
	header := p
	if f.have > 0 || len(p) < messageHeader {
		n := copy(f.header[f.have:], p)
		if f.have += n; f.have < messageHeader {
			return 0, nil
		}
		header, p = f.header[:], p[n:]
		f.have = 0
	} else {
		p = p[messageHeader:]
	}
	size := binary.BigEndian.Uint32(header[1:])
	if f.lost = size < messageHeader-1; f.lost {
		return 0, nil
	}
	f.left = size - (messageHeader - 1)
	return header[0], p
}

// exchange knows whose turn it is: whether a session stands between two
// transactions, with nothing under way in either direction. It watches what is
// relayed and changes nothing. Whatever it does not understand it takes for work.
type exchange struct {
	mu       sync.Mutex
	client   framing
	upstream framing

	due     int  // ReadyForQuery messages that the upstream owes
	open    bool // the client began an extended query and has not sent its Sync
	byQuery bool // the last due one was asked for by a simple Query
	ignored bool // a Sync is taken for one that the server ignores, being in copy-in
	unsure  bool // the count of due ones may be wrong
	read    bool // the body of a ReadyForQuery comes next
	status  byte // of the last ReadyForQuery
	last    byte // type of the upstream's last message

	terminated bool // the client said goodbye
	retired    bool // nothing more is taken from the client

	cancels cancelWatches // cancel requests whose effect is not known yet
}

// clientSays takes note of what the client sent, before it is forwarded. It
// returns false if that must not happen any more.
func (x *exchange) clientSays(p []byte) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.retired {
		return false
	}
	for {
		var kind byte
		if kind, p = x.client.next(p); p == nil {
			return true
		}
		switch kind {
		case typeQuery, typeFunctionCall, typeSync:
			x.due++
			x.open, x.byQuery = false, kind != typeSync
		case typeParse, typeBind, typeDescribe, typeExecute, typeCloseObject, typeFlush:
			x.open = true
		case typeTerminate:
			x.terminated = true
		}
	}
}

// upstreamSaid takes note of what the client was given.
func (x *exchange) upstreamSaid(p []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for len(p) > 0 {
		if x.read {
			x.status, x.read = p[0], false
			x.due--
			x.ignored = false
			x.unsure = x.unsure || x.due < 0
			x.cancels.ready(x.due)
		}
		x.cancels.read(p, x.upstream.left)
		var kind byte
		if kind, p = x.upstream.next(p); kind != 0 {
			x.last = kind
		}
		x.cancels.begins(kind)
		switch kind {
		case typeReadyForQuery:
			x.read = x.upstream.left == 1
			x.unsure = x.unsure || !x.read
		case typeCopyIn:
			x.beginCopyIn()
		case typeErrorResponse: // perhaps before it came to the Sync, which counts then
			x.unsure = x.unsure || x.ignored
		case typeCopyBoth:
			x.unsure = true // replication has no turns
		}
	}
}

// beginCopyIn allows for a server that ignores a Sync while it copies in: a
// client that had sent it together with its Execute sends another one at the end.
func (x *exchange) beginCopyIn() {
	switch {
	case x.byQuery && x.due == 1:
	case x.due == 1:
		x.due, x.open, x.ignored = 0, true, true
	case x.due != 0: // with a pipeline nobody knows which ones were ignored
		x.unsure = true
	}
}

// expectsMessage reports whether the client expects a new message, and has not
// just been told by the upstream what went wrong.
func (x *exchange) expectsMessage() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.upstream.whole() && x.last != typeErrorResponse
}

// over reports whether the client said goodbye.
func (x *exchange) over() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.terminated
}

// retire reports whether the session is idle outside a transaction. If it is,
// nothing that the client sends from now on is forwarded.
func (x *exchange) retire() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.due == 0 && x.status == statusIdle && !x.open && !x.unsure && !x.terminated &&
		x.client.whole() && x.upstream.whole() {
		x.retired = true
	}
	return x.retired
}
