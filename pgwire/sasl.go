package pgwire

import (
	"bytes"
	"encoding/binary"
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

// Methods returns what an upstream may ask for when required is configured: that, or if it is zero any
// method. A bridge answers SCRAM alone then, and also behind a list of exclusions: those allow nothing.
func (b ChannelBinding) Methods(required AuthMethods) AuthMethods {
	switch {
	case b != BridgeChannelBinding:
		return required
	case required == 0:
		return methodSCRAM
	case required&methodsLeft != 0:
		return required & (methodSCRAM | methodsLeft)
	}
	return required
}

const oauthBearer = "OAUTHBEARER" // a SASL mechanism

func isSCRAM(mechanism string) bool { return strings.HasPrefix(mechanism, "SCRAM-") }

func bindsChannel(mechanism string) bool { return strings.HasSuffix(mechanism, "-PLUS") }

// mechanisms splits a SASL mechanism list: names that end with a NUL each, then
// one more NUL. It never returns an empty list.
func mechanisms(list []byte) ([]string, error) {
	names, ok := strings.CutSuffix(string(list), "\x00\x00")
	if !ok || names == "" {
		return nil, malformedOffer()
	}
	split := strings.Split(names, "\x00")
	for _, name := range split {
		if name == "" {
			return nil, malformedOffer()
		}
	}
	return split, nil
}

// encodeOffer returns an AuthenticationSASL message.
func encodeOffer(names []string) []byte {
	body := binary.BigEndian.AppendUint32(nil, authSASL)
	for _, name := range names {
		body = append(append(body, name...), 0)
	}
	return encodeMessage(typeAuthentication, append(body, 0))
}

func malformedOffer() error {
	return upstreamProtocol("the upstream sent a malformed list of SASL mechanisms")
}

func onlyChannelBinding() error {
	return &Error{
		Kind: ReasonAuthChannelBinding, State: stateInvalidAuth,
		Text: "the upstream offers no authentication but SCRAM-SHA-256-PLUS, which a client without TLS of its own cannot use",
	}
}

// bindingClaimed describes a client that answers a stripped offer with "y,,". It says that it could bind and
// the server could not (RFC 5802, section 6). The server, which did offer, would take that for an attack and
// refuse it in vague words. Npgsql does so.
func bindingClaimed() error {
	return &Error{
		Kind: ReasonAuthChannelBinding, State: stateInvalidAuth,
		Text: "the client says that it could bind the login to a TLS channel, which the upstream offered but a client without TLS cannot use",
	}
}

// initialResponseOf splits the body of a SASLInitialResponse. The data are nil if the client sent none.
func initialResponseOf(body []byte) (mechanism string, data []byte, err error) {
	const absent = 1<<32 - 1
	name, rest, found := bytes.Cut(body, []byte{0})
	if !found || len(rest) < 4 {
		return "", nil, badStartup("the client sent a malformed SASLInitialResponse")
	}
	size, data := binary.BigEndian.Uint32(rest), rest[4:]
	if size != uint32(len(data)) && (size != absent || len(data) > 0) {
		return "", nil, badStartup("the client sent a malformed SASLInitialResponse")
	}
	return string(name), data, nil
}

// initialResponse returns the body of a SASLInitialResponse.
func initialResponse(mechanism string, data []byte) []byte {
	body := append([]byte(mechanism), 0)
	body = binary.BigEndian.AppendUint32(body, uint32(len(data)))
	return append(body, data...)
}

// encodeMessage returns a whole message with a type byte.
func encodeMessage(kind byte, body []byte) []byte {
	m := make([]byte, 0, messageHeader+len(body))
	m = append(m, kind)
	m = binary.BigEndian.AppendUint32(m, uint32(4+len(body)))
	return append(m, body...)
}
