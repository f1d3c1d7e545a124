package pgwire

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
)

// Frontend message types; manual, "Message Formats".
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
	typeCopyFail     = 'f'
)

const typeCopyDone = 'c' // of both sides

// Further backend message types; login_messages.go has those of a login.
const (
	typeParseComplete        = '1'
	typeBindComplete         = '2'
	typeCloseComplete        = '3'
	typeParameterDescription = 't'
	typeRowDescription       = 'T'
	typeNoData               = 'n'
	typeCommandComplete      = 'C'
	typeEmptyQuery           = 'I'
	typePortalSuspended      = 's'
	typeFunctionResult       = 'V'
	typeCopyIn               = 'G'
	typeCopyOut              = 'H'
	typeCopyBoth             = 'W'
)

const statusIdle = 'I' // of ReadyForQuery: in no transaction

const (
	// maxRemembered is how many messages of the client a txTracker remembers.
	maxRemembered = 4096
	// maxStates is how many possibilities a txTracker considers.
	maxStates = 16
)

// stopCause is why a txTracker lets nothing pass any more.
type stopCause uint8

const (
	stopNone   stopCause = iota
	stopDrain            // a drain ends the session, which was idle or streamed
	stopBreach           // the upstream asks for authentication again
)

// txTracker knows whether a session is idle outside a transaction, and whether the client expects a message.
// It sees each byte before the other side does, and changes none.
//
// It remembers the types of the client's messages that the upstream may not have read. The answers of the
// upstream tell which of them it has read. One thing stays open: after an error in a COPY, the upstream may
// or may not have read a Sync before the error, which it ignores during the COPY. So there may be several
// possibilities. A session is idle only if it is idle in all of them.
//
// If the upstream answers as PostgreSQL never does, or there is too much to remember, the tracker only
// counts: it keeps an upper bound of the ReadyForQuery messages that are due. When none is due, it knows the
// state again.
//
// The zero value is a session before its login. Methods may be called concurrently.
type txTracker struct {
	mu       sync.Mutex
	client   messageScanner
	upstream messageScanner

	sent   []byte         // types of the client's messages
	states []backendState // the possibilities; empty means the one of a login
	others []backendState // memory for the next states

	counting bool // states are not used
	due      int  // upper bound of the ReadyForQuery to come
	unsynced bool // there may be work after the last message that asks for a ReadyForQuery
	broken   bool // the upstream sent an impossible message: the session is never idle again

	awaitsStatus bool   // the body of a ReadyForQuery comes next
	status       byte   // of the last ReadyForQuery; 0 before the first
	last         byte   // type of the upstream's last message
	farewell     []byte // that message as far as it has come, if somebody wants it; else nil or an old one
	streaming    bool   // in CopyBoth: replication
	undelivered  bool   // the client has not got everything that may pass
	terminated   bool   // the client sent Terminate
	stopped      stopCause

	cancels cancelWatches // cancel requests whose effect is not known yet
}

// clientSays notes what the client sent, before it is forwarded. It returns false if it must not be
// forwarded.
func (t *txTracker) clientSays(p []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped != stopNone {
		return false
	}
	for len(p) > 0 {
		if t.client.left > 0 {
			if p = t.client.body(p); len(p) == 0 {
				break
			}
		}
		var kind byte
		switch kind, p = t.client.header(p); kind {
		case typeQuery, typeFunctionCall, typeSync, typeParse, typeBind, typeDescribe, typeExecute,
			typeCloseObject, typeCopyDone, typeCopyFail:
			t.remember(kind)
		case typeTerminate:
			t.terminated = true
		}
	}
	return true
}

// upstreamSays notes what the upstream sent, before the client gets it. It returns how much of it the client
// may have.
func (t *txTracker) upstreamSays(p []byte, draining bool) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	if t.stopped == stopNone {
		n = len(p) - len(t.scan(p, draining))
	}
	t.undelivered = t.undelivered || n > 0
	return n
}

// scan returns what the client must not have.
func (t *txTracker) scan(rest []byte, draining bool) []byte {
	for len(rest) > 0 {
		if t.upstream.left > 0 {
			if t.awaitsStatus {
				t.ready(rest[0])
			}
			if t.farewell != nil {
				t.keepFarewell(rest)
			}
			if rest = t.upstream.body(rest); len(rest) == 0 {
				break
			}
		}
		if t.upstream.have == 0 && (rest[0] == typeAuthentication || draining) {
			if t.stopped = t.stopBefore(rest[0], draining); t.stopped != stopNone {
				return rest
			}
		}
		var kind byte
		if kind, rest = t.upstream.header(rest); kind != 0 {
			t.last = kind
		}
		switch kind {
		case typeParseComplete, typeBindComplete, typeCloseComplete, typeParameterDescription,
			typeRowDescription, typeNoData, typeCommandComplete, typeEmptyQuery, typePortalSuspended,
			typeFunctionResult, typeCopyIn, typeCopyOut:
			t.answered(kind)
		case typeErrorResponse:
			t.farewell = beginFarewell(kind, rest, t.upstream.left, t.cancels.waiting != nil)
			t.cancels.reading = t.cancels.waiting != nil
			t.answered(kind)
		case typeNotice:
			t.farewell = beginFarewell(kind, rest, t.upstream.left, false)
		case typeCopyBoth:
			t.streaming = true
			t.answered(kind)
		case typeReadyForQuery:
			t.awaitsStatus = t.upstream.left == 1
			t.broken = t.broken || !t.awaitsStatus
		}
	}
	return nil
}

// stopBefore returns why a message of a kind must not reach the client.
func (t *txTracker) stopBefore(kind byte, draining bool) stopCause {
	switch {
	case kind == typeAuthentication && t.status != 0:
		return stopBreach // a client might answer it with a password
	case draining && t.streaming && !t.terminated:
		return stopDrain
	}
	return stopNone
}

func (t *txTracker) ready(status byte) {
	t.answered(typeReadyForQuery)
	t.status, t.awaitsStatus, t.streaming = status, false, false
	t.farewell = nil
	if t.cancels.waiting != nil && !t.owesReady() {
		t.cancels.reportAll(CancelFinished)
	}
}

// owesReady reports whether the upstream may have more ReadyForQuery to send.
func (t *txTracker) owesReady() bool {
	if t.counting {
		return t.due > 0
	}
	return slices.ContainsFunc(t.states, func(b backendState) bool {
		return b.mode != modeRead || slices.ContainsFunc(t.sent[b.next:], asksForReady)
	})
}

// delivered notes that the client has got everything that may pass. It returns why nothing more may, if so.
func (t *txTracker) delivered() stopCause {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.undelivered = false
	return t.stopped
}

// atBoundary reports whether the client expects a new message.
func (t *txTracker) atBoundary() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.upstream.atBoundary() && !t.undelivered
}

// expectsMessage is atBoundary for an upstream that has ended. It is false if the last message was an error:
// then the upstream has said why.
func (t *txTracker) expectsMessage() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.upstream.atBoundary() && !t.undelivered && t.last != typeErrorResponse
}

// keepFarewell keeps of p what belongs to a message that may be the last, or that a cancel request may have
// brought about.
func (t *txTracker) keepFarewell(p []byte) {
	if t.last != t.farewell[0] {
		return
	}
	n := min(int64(len(p)), int64(t.upstream.left), int64(cap(t.farewell)-len(t.farewell)-1))
	t.farewell = append(t.farewell, p[:n]...)
	if t.cancels.reading {
		t.cancels.read(t.farewell[messageHeader:], int64(len(p)) >= int64(t.upstream.left))
	}
}

// lastWords returns the message with which the upstream ended the session; nil if it did not say why. A long
// one is cut.
func (t *txTracker) lastWords() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.farewell
	if len(f) <= messageHeader || t.last != f[0] || sessionGoesOn(f[0], f[messageHeader:], 0) {
		return nil
	}
	if f[0] == typeNotice && errorField(append(f[messageHeader:len(f):len(f)], 0), 'R') != routineCrash {
		return nil
	}
	return append(f, 0)
}

// clientTerminated reports whether the client sent Terminate.
func (t *txTracker) clientTerminated() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.terminated
}

// stopIfIdle reports whether a drain may end the session now. If so, nothing passes in either direction from
// now on. A replication stream may end between any two messages: the client has confirmed a position and goes
// on from it.
func (t *txTracker) stopIfIdle() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped == stopNone && t.upstream.atBoundary() && !t.undelivered && !t.terminated &&
		(t.streaming || t.idle()) {
		t.stopped = stopDrain
	}
	return t.stopped == stopDrain
}

// idle reports whether the upstream is outside a transaction, and all unread messages do nothing there.
func (t *txTracker) idle() bool {
	if t.status != statusIdle || t.counting || t.broken || !t.client.atBoundary() {
		return false
	}
	return !slices.ContainsFunc(t.states, func(b backendState) bool {
		return b.mode != modeRead || b.began || len(bytes.Trim(t.sent[b.next:], doNothing)) > 0
	})
}

// doNothing are the messages that have no effect outside a transaction.
const doNothing = string(typeSync) + string(typeCloseObject) + string(typeCopyDone) + string(typeCopyFail)

// remember notes a message that is about to be forwarded to the upstream.
func (t *txTracker) remember(kind byte) {
	if !t.counting && len(t.sent) == maxRemembered {
		t.count()
	}
	if !t.counting {
		t.sent = append(t.sent, kind)
		return
	}
	if asksForReady(kind) {
		t.due++
		t.unsynced = false
	} else if strings.IndexByte(doNothing, kind) < 0 {
		t.unsynced = true
	}
}

// answered notes an answer. Possibilities that do not fit it are dropped.
func (t *txTracker) answered(kind byte) {
	querying := len(t.states) == 1 && t.states[0].mode == modeQuery
	if querying && kind != typeReadyForQuery && kind != typeCopyIn {
		return // it goes on with its Query
	}
	if !t.counting {
		t.begin()
		left := t.others[:0]
		for _, b := range t.states {
			left = b.after(left, kind, t.sent)
		}
		if len(left) > 0 && len(left) <= maxStates {
			t.states, t.others = left, t.states
			if kind == typeReadyForQuery {
				t.dropRead()
			}
			return
		}
		t.count()
	}
	if kind != typeReadyForQuery {
		return
	}
	t.due--
	t.broken = t.broken || t.due < 0
	if t.due == 0 && !t.unsynced {
		t.counting, t.states = false, append(t.states[:0], backendState{mode: modeRead})
	}
}

func (t *txTracker) begin() {
	if len(t.states) == 0 {
		t.states = append(t.states, backendState{})
	}
}

// count gives up the possibilities, and counts an upper bound of the ReadyForQuery that are due.
func (t *txTracker) count() {
	t.begin()
	t.counting, t.unsynced, t.due = true, false, 0
	for _, b := range t.states {
		rest := t.sent[b.next:]
		due := 0
		if b.mode == modeLogin || b.mode == modeQuery || b.mode == modeQueryCopyIn {
			due = 1
		}
		unsynced := due == 0 && (b.began || b.mode != modeRead)
		for _, kind := range rest {
			if asksForReady(kind) {
				due++
				unsynced = false
			} else {
				unsynced = unsynced || strings.IndexByte(doNothing, kind) < 0
			}
		}
		t.due, t.unsynced = max(t.due, due), t.unsynced || unsynced
	}
	t.sent = nil
}

// dropRead drops the messages that the upstream has read in all possibilities.
func (t *txTracker) dropRead() {
	if len(t.states) > 1 {
		slices.SortFunc(t.states, func(a, b backendState) int { return a.next - b.next })
		t.states = slices.Compact(t.states)
	}
	read := t.states[0].next
	if read < len(t.sent) && read < maxRemembered/8 {
		return
	}
	const small = 64
	if t.sent = append(t.sent[:0], t.sent[read:]...); len(t.sent) == 0 && cap(t.sent) > small {
		t.sent = nil
	}
	for i := range t.states {
		t.states[i].next -= read
	}
}

func asksForReady(kind byte) bool {
	return kind == typeQuery || kind == typeFunctionCall || kind == typeSync
}

// messageScanner follows the message boundaries of one direction, however the stream is divided. It keeps no
// message.
type messageScanner struct {
	partial [messageHeader]byte
	have    int    // bytes in partial, which has an incomplete header
	left    uint32 // bytes of the body of the current message that are still to come
	lost    bool   // the stream is not made of messages
}

// atBoundary reports whether the stream so far ends with a whole message.
func (s *messageScanner) atBoundary() bool { return s.have == 0 && s.left == 0 && !s.lost }

// body returns what follows the body of the current message in p.
func (s *messageScanner) body(p []byte) []byte {
	n := min(int64(s.left), int64(len(p)))
	s.left -= uint32(n)
	return p[n:]
}

// header reads the header at the beginning of p, of which a part may have come before. It returns the type
// and what follows. The type is 0 if the header is not complete, or the stream is lost.
func (s *messageScanner) header(p []byte) (kind byte, rest []byte) {
	if s.lost {
		return 0, nil
	}
	header := p
	if s.have > 0 || len(p) < messageHeader {
		n := copy(s.partial[s.have:], p)
		if s.have += n; s.have < messageHeader {
			return 0, nil
		}
		header, p = s.partial[:], p[n:]
		s.have = 0
	} else {
		p = p[messageHeader:]
	}
	size := binary.BigEndian.Uint32(header[1:])
	if s.lost = size < messageHeader-1; s.lost {
		return 0, nil
	}
	s.left = size - (messageHeader - 1)
	return header[0], p
}
