package pgwire

import "bytes"

// backendMode is what a server does between two of its answers, as PostgreSQL's
// PostgresMain and CopyGetData have it.
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

// backendState is where a server stands among the messages that the client sent.
// Flush and CopyData are not among them, for they never change anything.
type backendState struct {
	next  int // index of the first message that it has not read
	mode  backendMode
	began bool // it began a transaction since the last ReadyForQuery
}

// after appends the states in which a server can be after its answer of a kind;
// none if a server in state b cannot give it.
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

// afterCopyIn is after for a server that copies in. It reads to the end of the
// copy, but an error may come before it has read a Sync.
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

// afterRead is after for a server that takes the next message: it has answered that.
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

// modeAfter returns the mode after the first answer to a request, or the only
// one; ok is false if it is none.
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
		return modeRead, answer == typeRowDescription || answer == typeNoData || answer == typeParameterDescription
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
