package tlsorigin

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Hello describes a ClientHello as it goes over the wire.
type Hello struct {
	Bytes      int           // with its record header
	Groups     []tls.CurveID // offered
	KeyShares  []tls.CurveID // those of Groups that need no second round trip
	ServerName string        // SNI; empty for an IP address
	Protocols  []string      // ALPN
}

// Hello returns the ClientHello that the first address gets as a rule, with the configuration in force.
func (d *Dialer) Hello() (Hello, error) {
	t := d.state.Load()
	return buildHello(t.config(&verification{policy: t.policy, name: d.upstream[0].name}, &clientAuth{configured: t.client}))
}

// buildHello lets crypto/tls write a ClientHello for config to nobody, and reads it.
func buildHello(config *tls.Config) (Hello, error) {
	var sink helloSink
	err := tls.Client(&sink, config).Handshake() //nolint:noctx // nothing here waits
	if len(sink.record) == 0 {
		return Hello{}, fmt.Errorf("make ClientHello: %w", err)
	}
	return parseHello(sink.record)
}

// helloSink is a connection to nobody, which keeps the first write: crypto/tls writes a ClientHello as one record, in
// one piece.
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
	r := &fieldReader{rest: record}
	if r.number(1) != recordTypeHandshake {
		return Hello{}, errHello
	}
	r.take(2) // version
	if body := r.vector(2); len(r.rest) == 0 {
		r.rest = body
	} else {
		r.failed = true
	}
	if r.number(1) != typeClientHello {
		return Hello{}, errHello
	}
	r.rest = r.vector(3)
	r.take(2 + 32) // version and random
	r.vector(1)    // session ID
	r.vector(2)    // cipher suites
	r.vector(1)    // compression methods
	for extensions := r.sub(2); len(extensions.rest) > 0 && !r.failed; {
		kind, body := extensions.number(2), extensions.sub(2)
		hello.readExtension(kind, body)
		r.failed = r.failed || extensions.failed || body.failed
	}
	if r.failed {
		return Hello{}, errHello
	}
	return hello, nil
}

// readExtension takes what it knows out of one extension.
func (h *Hello) readExtension(kind int, r *fieldReader) {
	if kind != extensionServerName && kind != extensionGroups && kind != extensionALPN && kind != extensionKeyShare {
		return
	}
	list := r.sub(2)
	for len(list.rest) > 0 {
		switch kind {
		case extensionServerName:
			list.take(1) // its type: only names of hosts exist
			h.ServerName = string(list.vector(2))
		case extensionGroups:
			h.Groups = append(h.Groups, tls.CurveID(list.number(2)))
		case extensionALPN:
			h.Protocols = append(h.Protocols, string(list.vector(1)))
		case extensionKeyShare:
			h.KeyShares = append(h.KeyShares, tls.CurveID(list.number(2)))
			list.vector(2)
		}
	}
	r.failed = r.failed || list.failed
}

// fieldReader reads the fields of TLS messages. Past the end it gives zeros and remembers that it failed.
type fieldReader struct {
	rest   []byte
	failed bool
}

func (r *fieldReader) take(n int) []byte {
	if n > len(r.rest) {
		r.rest, r.failed = nil, true
		return nil
	}
	field := r.rest[:n]
	r.rest = r.rest[n:]
	return field
}

// number reads n bytes, at most three.
func (r *fieldReader) number(n int) int {
	var wide [4]byte
	field := r.take(n)
	copy(wide[4-len(field):], field)
	return int(binary.BigEndian.Uint32(wide[:]))
}

// vector reads a field behind its length, which has n bytes.
func (r *fieldReader) vector(n int) []byte { return r.take(r.number(n)) }

// sub is vector, for reading on inside.
func (r *fieldReader) sub(n int) *fieldReader { return &fieldReader{rest: r.vector(n)} }
