package pgwire

import (
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// Each step is who speaks and what: the types of messages, where ReadyForQuery
// is given as its status. "c:PBES" is a client's extended query.
func TestExchangeIdle(t *testing.T) {
	tests := map[string]struct {
		steps string
		idle  bool
	}{
		"before the login is over": {"", false},
		"after login":              {"u:RSSKi", true},
		"query under way":          {"u:i c:Q u:TD", false},
		"query done":               {"u:i c:Q u:TDDCi", true},
		"in a transaction":         {"u:i c:Q u:Ct", false},
		"in a failed transaction":  {"u:i c:Q u:Ee", false},
		"committed":                {"u:i c:Q u:Ct c:Q u:Ci", true},
		"extended, not synced":     {"u:i c:PBDE u:12TDC", false},
		"flushed, not synced":      {"u:i c:PH u:1", false},
		"extended, synced":         {"u:i c:PBDES u:12TDCi", true},
		"pipeline, one answered":   {"u:i c:PBES c:PBES u:12Ci", false},
		"pipeline, both answered":  {"u:i c:PBES c:PBES u:12Ci u:12Ci", true},
		"two queries, one answer":  {"u:i c:QQ u:Ci", false},
		"function call":            {"u:i c:F u:Vi", true},
		"notices between":          {"u:i u:NAS", true},
		"copy in by query":         {"u:i c:Q u:G c:ddc u:Ci", true},
		"copy in goes on":          {"u:i c:Q u:G c:dd", false},
		"copy in fails":            {"u:i c:Q u:G c:df u:Ei", true},
		"copy in, extended":        {"u:i c:PBES u:12G c:ddcS u:Ci", true},
		"copy in, extended, on":    {"u:i c:PBES u:12G c:dd", false},
		"copy in, extended, fails": {"u:i c:PBES u:12GEi c:dcS u:i c:Q", false},
		"copy in, then again":      {"u:i c:PBES u:12G c:dcS u:Ci c:PBES u:12G c:dcS u:Ci", true},
		"more answers than asked":  {"u:i u:i c:Q", false},
		"copy out":                 {"u:i c:Q u:HddcCi", true},
		"copy in in a pipeline":    {"u:i c:PBES c:PBES u:12G c:dcS u:Ci u:i u:i", false},
		"replication":              {"u:i c:Q u:W", false},
		"replication over":         {"u:i c:Q u:W c:dc u:cCi", false},
		"terminated":               {"u:i c:X", false},
		"client lost":              {"u:i c:!", false},
		"upstream lost":            {"u:i u:!", false},
	}
	for name, tt := range tests {
		for _, chunk := range []int{1, 3, 7, 1 << 20} {
			x := exchange{due: 1}
			for step := range strings.FieldsSeq(tt.steps) {
				say := func(p []byte) { x.upstreamSaid(p) }
				if step[0] == 'c' {
					say = func(p []byte) {
						if !x.clientSays(p) {
							t.Fatal("not retired, but refuses the client's bytes")
						}
					}
				}
				stream := script(step[2:])
				for len(stream) > 0 {
					n := min(chunk, len(stream))
					say(stream[:n])
					stream = stream[n:]
				}
			}
			if got := x.retire(); got != tt.idle {
				t.Errorf("%s, in chunks of %d: idle %t, want %t", name, chunk, got, tt.idle)
			}
			if got := x.clientSays(script("Q")); got == tt.idle {
				t.Errorf("%s: a retired session takes messages %t", name, got)
			}
		}
	}
}

// script returns messages of the given types. Lower case i, t and e are
// ReadyForQuery with that status, and ! is a message of impossible length.
func script(types string) (stream []byte) {
	for _, kind := range []byte(types) {
		switch kind {
		case 'i', 't', 'e':
			stream = append(stream, pgtest.ReadyForQuery(kind-'a'+'A')...)
		case '!':
			stream = append(stream, "x\x00\x00\x00\x03"...)
		default:
			stream = append(stream, pgtest.Message(kind, strings.Repeat("x", int(kind)%9))...)
		}
	}
	return stream
}

func TestExchangeExpectsMessage(t *testing.T) {
	tests := map[string]struct {
		said string
		want bool
	}{
		"nothing":         {"", true},
		"whole message":   {"D\x00\x00\x00\x05x", true},
		"half a header":   {"D\x00\x00", false},
		"half a body":     {"D\x00\x00\x00\x08x", false},
		"an error":        {string(pgtest.ErrorResponse("57P01", "bye")), false},
		"status is due":   {"Z\x00\x00\x00\x05", false},
		"ready":           {string(pgtest.ReadyForQuery('I')), true},
		"ready, too long": {"Z\x00\x00\x00\x06II", true},
		"not Postgres":    {"D\x00\x00\x00\x00", false},
	}
	for name, tt := range tests {
		x := exchange{due: 1}
		x.upstreamSaid([]byte(tt.said))
		if got := x.expectsMessage(); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
	}
}
