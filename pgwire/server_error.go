package pgwire

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

const (
	// maxServerMessage bounds the message of a ServerError, in bytes before it is cleaned.
	maxServerMessage = 256
	// maxFarewell is how much of an ErrorResponse is kept, in case that it is the last message.
	maxFarewell = 1024
)

// ServerError is what a verified upstream said when it refused a login or ended a session: an ErrorResponse,
// bounded and without control characters. It may name users, databases and addresses.
type ServerError struct {
	SQLState string // "" if there was none
	Message  string // in the language of the server; "" if it may quote a parameter or a query

	// Forwarded means that a pooler repeats what one of its servers said.
	Forwarded bool
}

// String returns both on one line.
func (e *ServerError) String() string {
	switch {
	case e.SQLState == "":
		return e.Message
	case e.Message == "":
		return "SQLSTATE " + e.SQLState
	}
	return fmt.Sprintf("SQLSTATE %s: %s", e.SQLState, e.Message)
}

// parseServerError reads the body of an ErrorResponse. routine is the function of PostgreSQL that refused;
// it is the same in every language. Poolers send none.
func parseServerError(body []byte) (said *ServerError, routine string) {
	said = &ServerError{
		SQLState: sqlStateOf(body), Message: sanitizeText(errorField(body, 'M'), maxServerMessage),
	}
	if routine = sanitize(errorField(body, 'R')); routine == "" && len(body) > maxFarewell {
		routine = "?" // poolers are brief, so it was cut off
	}
	return said, routine
}

// OfOwnPassword notes that a password which was refused is not the client's, but pgorigin's own.
func (e *Error) OfOwnPassword() {
	if e.Case == CaseWrongPassword || e.Case == CasePoolerPassword {
		e.Case = CaseStalePassword
	}
}

// LoginRefusal returns why an upstream refused a login. message is its ErrorResponse, a whole message.
func LoginRefusal(message []byte) *Error {
	e := findRule(message[messageHeader:], ReasonAuthRejected, "the upstream refused the login")
	if e.Kind == ReasonPoolTimeout { // pgbouncer has not reached its server since it started
		e.Case = CasePoolerServer
	}
	return e
}

// SessionEnd returns why an upstream ended a session after the login. message is its last ErrorResponse, a
// whole message, or a NoticeResponse after which it closed the connection.
func SessionEnd(message []byte) *Error {
	e := findRule(message[messageHeader:], ReasonUpstreamGone, "the upstream ended the session")
	ofLogin := []Reason{ReasonAuthRejected, ReasonClientCertRequired, ReasonClientCertRejected, ReasonLoginTimeout}
	if slices.Contains(ofLogin, e.Kind) {
		e.Kind, e.Case, e.Value = ReasonUpstreamGone, "", ""
		if _, routine := parseServerError(message[messageHeader:]); routine == "" { // a pooler logs in itself
			e.Kind, e.Case = ReasonPoolTimeout, CasePoolerServer
		}
	}
	if message[0] == typeNotice { // which is no answer for the client
		e.State = stateConnectionFailure
	}
	return e
}

// routineRaise is the routine of what PL/pgSQL raises, with any SQLSTATE and any text.
const routineRaise = "exec_stmt_raise"

// routineCrash is the routine of the notices with which PostgreSQL says that it crashes or stops at once.
const routineCrash = "quickdie"

// findRule returns the error for an ErrorResponse. Without a rule for it, its reason is the one given.
func findRule(body []byte, reason Reason, text string) *Error {
	said, routine := parseServerError(body)
	found := &Error{Kind: reason, Server: said, Text: text}
	rules := serverRules()
	i := slices.IndexFunc(rules, func(r serverRule) bool { return r.matches(said, routine) })
	shown := safeClass(said.SQLState)
	switch {
	case routine == routineRaise:
		shown = false
	case i >= 0:
		rule := rules[i]
		found.Kind, found.Case, found.Value = rule.reason, rule.which, rule.valueIn(said.Message)
		said.Forwarded = routine == "" && rule.state != ""
		if rule.named { // a value may follow the name
			said.Message = rule.upToName(said.Message)
		}
		known := rule.text != "" || rule.routine != ""
		shown = shown || known && reason == ReasonAuthRejected // in a login, there is no query
	}
	if !shown {
		said.Message = ""
	}
	if words := said.String(); words != "" {
		found.Text += " (" + words + ")"
	}
	return found
}

// safeClass reports whether messages of the SQLSTATE's class name nothing but users, databases, addresses and
// limits of the server. Others quote values of parameters, or parts of a query: exit_on_error ends a session
// with any of them.
func safeClass(state string) bool {
	classes := []string{"08", "25", "28", "3D", "40", "53", "57"}
	return slices.Contains(classes, state[:min(len(state), 2)])
}

// matches reports whether the rule is for what the server said.
func (r serverRule) matches(said *ServerError, routine string) bool {
	pooler := routine == ""
	forwarded := pooler && said.SQLState == stateProtocolViolation && r.text != ""
	return (!r.pooler || pooler) &&
		(r.state == "" || r.state == said.SQLState || forwarded) &&
		(r.routine == "" || r.routine == routine) &&
		strings.HasPrefix(said.Message, r.text) && strings.HasSuffix(said.Message, r.end) &&
		(!r.named || r.valueIn(said.Message) != "")
}

// valueIn returns what the cure names: a parameter of the upstream, or "".
func (r serverRule) valueIn(message string) string {
	if !r.named {
		return r.value
	}
	name := strings.TrimLeft(strings.TrimPrefix(message, r.text), " :(\"")
	end := strings.IndexFunc(name, func(c rune) bool {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		return !letter && c != '_' && c != '.'
	})
	if end >= 0 {
		name = name[:end]
	}
	return name
}

// upToName returns the message without what follows the name in it, which may be a value.
func (r serverRule) upToName(message string) string {
	_, after, _ := strings.Cut(message[len(r.text):], r.valueIn(message))
	if after != "" && strings.ContainsRune(`")`, rune(after[0])) {
		after = after[1:]
	}
	return message[:len(message)-len(after)]
}

// beginFarewell begins to keep a message that may be the last one of the upstream: an ErrorResponse, or a notice
// with which PostgreSQL says that it crashes or shuts down at once. It returns nil for any other, unless it is
// wanted. body is what has come of it, and size how much there will be.
func beginFarewell(kind byte, body []byte, size uint32, wanted bool) []byte {
	if !wanted && sessionGoesOn(kind, body, size) {
		return nil
	}
	kept := make([]byte, 0, messageHeader+min(size, maxFarewell)+1)
	return append(kept, kind, 0, 0, 0, 0) // the length is not looked at
}

// sessionGoesOn reports whether a session goes on after a message whose body has size bytes, as far as body
// tells. The fields in question come first.
func sessionGoesOn(kind byte, body []byte, size uint32) bool {
	const first = 64
	body = body[:min(len(body), first)]
	if kind == typeNotice {
		enough := len(body) >= int(min(size, first))
		return enough && !bytes.Contains(body, []byte("\x00C57P0"))
	}
	return bytes.HasPrefix(body, []byte("SERROR\x00")) || bytes.Contains(body, []byte("\x00VERROR\x00"))
}
