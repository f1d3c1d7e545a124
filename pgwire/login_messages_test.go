package pgwire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// Whatever the chunks, messages come out whole, in order, and nothing is allocated for a declared length.
func TestLoginMessages(t *testing.T) {
	stream := join(pgtest.Message('N', strings.Repeat("n", 100_000)), pgtest.Login("pid4key4"), []byte("S\x00\x00\x00\x09a"))
	for _, chunk := range []int{1, 2, 7, 1 << 20} {
		var m loginMessages
		var out []byte
		for rest := stream; len(rest) > 0; rest = rest[min(chunk, len(rest)):] {
			m.add(rest[:min(chunk, len(rest))])
			for {
				message, complete, err := m.next()
				if err != nil {
					t.Fatal(err)
				}
				if !complete {
					break
				}
				out = append(out, message...)
			}
		}
		if whole := len(stream) - 6; !bytes.Equal(out, stream[:whole]) || string(m.rest()) != string(stream[whole:]) {
			t.Errorf("chunks of %d: %d bytes, rest %q", chunk, len(out), m.rest())
		}
	}
	for name, in := range map[string]string{
		"length 0": "S\x00\x00\x00\x00", "length 3": "S\x00\x00\x00\x03", "length 2^31-1": "S\x7f\xff\xff\xff",
		"length 2^32-1": "S\xff\xff\xff\xff", "above the limit": "S\x00\x01\x00\x05", "text above its limit": "E\x00\x04\x00\x05",
		"no message of a login": "H",
	} {
		var m loginMessages
		m.add([]byte(in))
		if message, _, err := m.next(); err == nil {
			t.Errorf("%s: took %q", name, message)
		}
	}
	var m loginMessages
	m.add([]byte("E\x00\x03\xff\xff"))
	if message, _, err := m.next(); message != nil || err != nil || cap(m.held) > 64 {
		t.Errorf("holds %d bytes for 5 that came (%v)", cap(m.held), err)
	}
}
