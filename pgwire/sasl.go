package pgwire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
)

// ChannelBinding says what becomes of a server's offer to bind the login to the
// TLS channel, which a client without TLS of its own cannot do.
type ChannelBinding int

const (
	// StripChannelBinding removes the -PLUS mechanisms from the offer. libpq needs that.
	StripChannelBinding ChannelBinding = iota
	// PassChannelBinding leaves the offer as it is. Npgsql needs that, with its
	// own channel binding disabled.
	PassChannelBinding
	// BridgeChannelBinding asks the client for a cleartext password, or takes it
	// from Server.Password, and logs in to the upstream on its behalf.
	BridgeChannelBinding
)

var (
	errOnlyChannelBinding = errors.New("no mechanism without channel binding")
	errMechanismList      = errors.New("malformed mechanism list")
)

// mechanisms splits a SASL mechanism list: names that end with a NUL each, then
// one more NUL. It never returns an empty list.
func mechanisms(list []byte) ([]string, error) {
	names, ok := strings.CutSuffix(string(list), "\x00\x00")
	if !ok || names == "" {
		return nil, errMechanismList
	}
	split := strings.Split(names, "\x00")
	for _, name := range split {
		if name == "" {
			return nil, errMechanismList
		}
	}
	return split, nil
}

// withoutChannelBinding returns a SASL mechanism list without the names that
// end in -PLUS, or an error if none would be left.
func withoutChannelBinding(list []byte) ([]byte, error) {
	names, err := mechanisms(list)
	if err != nil {
		return nil, err
	}
	kept := make([]byte, 0, len(list))
	for _, name := range names {
		if !strings.HasSuffix(name, "-PLUS") {
			kept = append(append(kept, name...), 0)
		}
	}
	if len(kept) == 0 {
		return nil, errOnlyChannelBinding
	}
	return append(kept, 0), nil
}

// strippedOffer returns an AuthenticationSASL message without channel-binding
// mechanisms; the message itself when it has none.
func strippedOffer(message []byte) ([]byte, error) {
	const list = messageHeader + 4
	kept, err := withoutChannelBinding(message[list:])
	switch {
	case errors.Is(err, errOnlyChannelBinding):
		return nil, &Error{
			Kind: ReasonAuthChannelBinding, State: stateInvalidAuth, Err: err,
			Text: "the upstream offers no authentication but SCRAM-SHA-256-PLUS, which a client without TLS of its own cannot use",
		}
	case err != nil:
		return nil, malformedOffer()
	case len(kept) == len(message)-list:
		return message, nil
	}
	out := make([]byte, 0, list+len(kept))
	out = append(out, typeAuthentication)
	out = binary.BigEndian.AppendUint32(out, uint32(list-1+len(kept)))
	out = binary.BigEndian.AppendUint32(out, authSASL)
	return append(out, kept...), nil
}

func malformedOffer() error {
	return upstreamProtocol("the upstream sent a malformed list of SASL mechanisms")
}

// maxInitialHead bounds what is looked at of a client's answer to an offer:
// header, mechanism, length and the first bytes of the data.
const maxInitialHead = 128

// bindingClaim looks at the client's answer to a stripped offer. A client that
// begins it with "y,," says that it could bind and the server could not (RFC
// 5802, section 6). The server, which did offer, would take that for an attack
// and refuse it in vague words. Npgsql does so.
type bindingClaim struct {
	held    []byte
	decided bool
}

// feed returns what may be forwarded of the client's bytes by now, and whether
// the client makes the claim.
func (c *bindingClaim) feed(p []byte) (forward []byte, claimed bool) {
	if c.decided {
		return p, false
	}
	c.held = append(c.held, p...)
	claimed, c.decided = claimsBinding(c.held)
	if !c.decided {
		return nil, false
	}
	forward, c.held = c.held, nil
	return forward, claimed
}

func bindingClaimed() error {
	return &Error{
		Kind: ReasonAuthChannelBinding, State: stateInvalidAuth,
		Text: "the client says that it could bind the login to a TLS channel, which the upstream offered but a client without TLS cannot use",
	}
}

// claimsBinding looks at the beginning of a SASLInitialResponse; decided is
// false while that is too short to tell.
func claimsBinding(head []byte) (claimed, decided bool) {
	if len(head) == 0 {
		return false, false
	}
	if head[0] != 'p' || len(head) > maxInitialHead {
		return false, true
	}
	if len(head) < messageHeader {
		return false, false
	}
	size := 1 + int64(binary.BigEndian.Uint32(head[1:]))
	body := head[messageHeader:]
	name, rest, found := bytes.Cut(body, []byte{0})
	const dataLength = 4
	switch {
	case found && len(rest) > dataLength:
		return string(name) == scramSHA256 && rest[dataLength] == 'y', true
	case int64(len(head)) >= size:
		return false, true // the message ends before there are data
	}
	return false, false
}
