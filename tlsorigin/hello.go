package tlsorigin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// Hello describes a ClientHello as it goes over the wire.
type Hello struct {
	Bytes      int           // with its record header
	Groups     []tls.CurveID // offered
	KeyShares  []tls.CurveID // those of Groups that need no second round trip
	ServerName string        // SNI; empty for an IP address
	Protocols  []string      // ALPN
}

// buildHello returns the ClientHello that crypto/tls writes for config. It connects to nobody.
func buildHello(config *tls.Config) (Hello, error) {
	var sink helloSink
	err := tls.Client(&sink, config).Handshake() //nolint:noctx // nothing here waits
	if len(sink.record) == 0 {
		return Hello{}, fmt.Errorf("make ClientHello: %w", err)
	}
	return parseHello(sink.record)
}

// helloSink is a connection to nobody that keeps its first write. crypto/tls writes a ClientHello as one
// record in one piece.
type helloSink struct{ record []byte }

func (s *helloSink) Write(p []byte) (int, error) {
	if s.record == nil {
		s.record = append(s.record, p...)
	}
	return len(p), nil
}

func (*helloSink) Read([]byte) (int, error)         { return 0, io.EOF }
func (*helloSink) Close() error                     { return nil }
func (*helloSink) LocalAddr() net.Addr              { return nil }
func (*helloSink) RemoteAddr() net.Addr             { return nil }
func (*helloSink) SetDeadline(time.Time) error      { return nil }
func (*helloSink) SetReadDeadline(time.Time) error  { return nil }
func (*helloSink) SetWriteDeadline(time.Time) error { return nil }

// Numbers of RFC 8446: content type, message type and extensions.
const (
	recordTypeAlert     = 21
	recordTypeHandshake = 22
	typeClientHello     = 1

	extensionServerName = 0
	extensionGroups     = 10
	extensionALPN       = 16
	extensionKeyShare   = 51
)

var errHello = errors.New("is no ClientHello in one record")

// parseHello reads a record that holds one ClientHello.
func parseHello(record []byte) (Hello, error) {
	hello := Hello{Bytes: len(record)}
	var content, message uint8
	var body, hidden, extensions cryptobyte.String
	all := cryptobyte.String(record)
	if !all.ReadUint8(&content) || content != recordTypeHandshake || !all.Skip(2) || // its version
		!all.ReadUint16LengthPrefixed(&body) || !all.Empty() ||
		!body.ReadUint8(&message) || message != typeClientHello || !body.ReadUint24LengthPrefixed(&body) ||
		!body.Skip(2+32) || // version and random
		!body.ReadUint8LengthPrefixed(&hidden) || // session ID
		!body.ReadUint16LengthPrefixed(&hidden) || // cipher suites
		!body.ReadUint8LengthPrefixed(&hidden) || // compression methods
		!body.ReadUint16LengthPrefixed(&extensions) {
		return Hello{}, errHello
	}
	for !extensions.Empty() {
		var kind uint16
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&body) ||
			!hello.readExtension(kind, body) {
			return Hello{}, errHello
		}
	}
	return hello, nil
}

// readExtension reads one extension that it knows, and skips any other. It returns false if the extension is
// malformed.
func (h *Hello) readExtension(kind uint16, body cryptobyte.String) bool {
	if kind != extensionServerName && kind != extensionGroups && kind != extensionALPN &&
		kind != extensionKeyShare {
		return true
	}
	var list, name cryptobyte.String
	var group uint16
	ok := body.ReadUint16LengthPrefixed(&list)
	for ok && !list.Empty() {
		switch kind {
		case extensionServerName:
			ok = list.Skip(1) && list.ReadUint16LengthPrefixed(&name) // its type: only names of hosts exist
			h.ServerName = string(name)
		case extensionGroups:
			ok = list.ReadUint16(&group)
			h.Groups = append(h.Groups, tls.CurveID(group))
		case extensionALPN:
			ok = list.ReadUint8LengthPrefixed(&name)
			h.Protocols = append(h.Protocols, string(name))
		case extensionKeyShare:
			ok = list.ReadUint16(&group) && list.ReadUint16LengthPrefixed(&name)
			h.KeyShares = append(h.KeyShares, tls.CurveID(group))
		}
	}
	return ok
}
