package pgwire

import "bytes"

// backendMode is what PostgreSQL does between two of its answers; see PostgresMain and CopyGetData in its
// source.
type backendMode uint8

const (
	modeLogin         backendMode = iota // until ReadyForQuery
	modeRead                             // takes the client's next message
	modeQuery                            // works on a Query or FunctionCall, or failed at a Sync
	modeQueryCopyIn                      // copies in for a Query, and ignores Sync
	modeExecute                          // copies out for an Execute: until CommandComplete
	modeExecuteCopyIn                    // copies in for an Execute, and ignores Sync
	modeSkip                             // failed in an extended query: ignores all up to a Sync
)

// backendState says how far the upstream has read the messages of the client. Flush and CopyData are left
// out, because they never change the state.
type backendState struct {
	next  int // index of the first message that the upstream has not read
	mode  backendMode
	began bool // it has begun a transaction since the last ReadyForQuery
}

// after appends the states in which an upstream can be after an answer of a kind. It appends none if an
// upstream in state b cannot give that answer.
func (b backendState) after(to []backendState, kind byte, sent []byte) []backendState {
	switch b.mode {
	case modeLogin, modeQuery:
		switch kind {
		case typeReadyForQuery:
			b.mode, b.began = modeRead, false
		case typeCopyIn:
			b.mode = modeQueryCopyIn
		}
	case modeQueryCopyIn, modeExecuteCopyIn:
		return b.afterCopyIn(to, kind, sent)
	case modeExecute:
		switch kind {
		case typeCommandComplete:
			b.mode = modeRead
		case typeErrorResponse:
			b.mode = modeSkip
		default:
			return to
		}
	case modeSkip:
		i := bytes.IndexByte(sent[b.next:], typeSync)
		if kind != typeReadyForQuery || i < 0 {
			return to
		}
		b = backendState{next: b.next + i + 1, mode: modeRead}
	case modeRead:
		return b.afterRead(to, kind, sent)
	}
	return append(to, b)
}

// afterCopyIn is after for an upstream that copies in. It reads to the end of the copy, but an error may come
// before it has read a Sync.
func (b backendState) afterCopyIn(to []backendState, kind byte, sent []byte) []backendState {
	query := b.mode == modeQueryCopyIn
	if kind == typeErrorResponse {
		b.mode = modeSkip
		if query {
			b.mode = modeQuery
		}
		to = append(to, b)
	}
	for b.next < len(sent) && sent[b.next] == typeSync {
		b.next++
		if kind == typeErrorResponse {
			to = append(to, b)
		}
	}
	if kind == typeCommandComplete && b.next < len(sent) && sent[b.next] == typeCopyDone {
		b.next++
		b.mode = modeRead
		if query {
			b.mode = modeQuery
		}
		to = append(to, b)
	}
	return to
}

// afterRead is after for an upstream that has answered the next message.
func (b backendState) afterRead(to []backendState, kind byte, sent []byte) []backendState {
	for b.next < len(sent) && (sent[b.next] == typeCopyDone || sent[b.next] == typeCopyFail) {
		b.next++ // ignored, perhaps left over from a copy that failed
	}
	if b.next == len(sent) {
		return to
	}
	request := sent[b.next]
	mode, ok := modeAfter(request, kind)
	if !ok || request == typeSync && kind == typeErrorResponse && !b.began { // there is nothing to commit
		return to
	}
	b.mode = mode
	if request != typeDescribe || kind != typeParameterDescription { // of which a second answer follows
		b.next++
	}
	b.began = kind != typeReadyForQuery && (b.began || request != typeCloseObject)
	return append(to, b)
}

// modeAfter returns the mode after the first or only answer to a request. ok is false if it is no such
// answer.
func modeAfter(request, answer byte) (mode backendMode, ok bool) {
	extended := request != typeQuery && request != typeFunctionCall && request != typeSync
	if answer == typeErrorResponse {
		if extended {
			return modeSkip, true
		}
		return modeQuery, true
	}
	switch request {
	case typeParse:
		return modeRead, answer == typeParseComplete
	case typeBind:
		return modeRead, answer == typeBindComplete
	case typeCloseObject:
		return modeRead, answer == typeCloseComplete
	case typeDescribe:
		described := answer == typeRowDescription || answer == typeNoData
		return modeRead, described || answer == typeParameterDescription
	case typeSync:
		return modeRead, answer == typeReadyForQuery
	case typeFunctionCall:
		return modeQuery, answer == typeFunctionResult
	case typeQuery:
		switch answer {
		case typeCommandComplete, typeEmptyQuery, typeRowDescription, typeCopyOut, typeCopyBoth:
			return modeQuery, true
		case typeCopyIn:
			return modeQueryCopyIn, true
		}
	case typeExecute:
		switch answer {
		case typeCommandComplete, typeEmptyQuery, typePortalSuspended:
			return modeRead, true
		case typeCopyOut:
			return modeExecute, true
		case typeCopyIn:
			return modeExecuteCopyIn, true
		}
	}
	return 0, false
}
