package pgwire

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// Each step is who speaks and what: the types of messages, where ReadyForQuery
// is given as its status. "c:PBES" is a client's extended query.
func TestTxTrackerIdle(t *testing.T) {
	tests := map[string]struct {
		steps string
		idle  bool
	}{
		"before the login is over":  {"", false},
		"after login":               {"u:RSSKi", true},
		"pipelined behind startup":  {"c:Q u:RSSKi", false},
		"query under way":           {"u:i c:Q u:TD", false},
		"query done":                {"u:i c:Q u:TDDCi", true},
		"in a transaction":          {"u:i c:Q u:Cb", false},
		"in a failed transaction":   {"u:i c:Q u:Ee", false},
		"committed":                 {"u:i c:Q u:Cb c:Q u:Ci", true},
		"extended, not synced":      {"u:i c:PBDE u:12TDC", false},
		"flushed, not synced":       {"u:i c:PH u:1", false},
		"extended, synced":          {"u:i c:PBDES u:12TDCi", true},
		"described, no data":        {"u:i c:PDS u:1tni", true},
		"portal suspended, closed":  {"u:i c:BES u:2Dsi c:CS u:3i", true},
		"pipeline, one answered":    {"u:i c:PBES c:PBES u:12Ci", false},
		"pipeline, both answered":   {"u:i c:PBES c:PBES u:12Ci u:12Ci", true},
		"two queries, one answer":   {"u:i c:QQ u:Ci", false},
		"function call":             {"u:i c:F u:Vi", true},
		"notices between":           {"u:i u:NAS", true},
		"copy in by query":          {"u:i c:Q u:G c:ddc u:Ci", true},
		"copy in goes on":           {"u:i c:Q u:G c:dd", false},
		"copy in fails":             {"u:i c:Q u:G c:df u:Ei", true},
		"copy in, a bad row":        {"u:i c:Q u:G c:d u:Ei c:dc", true},
		"copy in twice":             {"u:i c:Q u:G c:dc u:CG c:dc u:Ci", true},
		"copy in, Sync inside":      {"u:i c:Q u:G c:dSdSc u:Ci c:Q u:C", false},
		"copy in, Syncs inside":     {"u:i c:Q u:G c:dSdSc u:Ci c:Q u:Ci", true},
		"copy in, Sync, a bad row":  {"u:i c:Q u:G c:dSd u:Ei c:c", true},
		"and on":                    {"u:i c:Q u:G c:dSd u:Ei c:cQ", false},
		"and on, answered":          {"u:i c:Q u:G c:dSd u:Ei c:cQ u:Ci", true},
		"and on, Sync answered":     {"u:i c:Q u:G c:dSd u:Ei c:cQ u:i", false},
		"copy in, extended":         {"u:i c:PBES u:12G c:ddcS u:Ci", true},
		"copy in, extended, on":     {"u:i c:PBES u:12G c:dd", false},
		"copy in, extended, failed": {"u:i c:BES u:2G c:dfS u:Ei", true},
		"then a query":              {"u:i c:BES u:2G c:dfS u:Ei c:PBES u:12C", false},
		"then a query, answered":    {"u:i c:BES u:2G c:dfS u:Ei c:PBES u:12Ci", true},
		"failed before the Sync":    {"u:i c:BES u:2GEi c:dfS u:i", true},
		"then one under way":        {"u:i c:BES u:2GEi c:dfS u:i c:Q", false},
		"failed, pipelined on":      {"u:i c:BES u:2G c:dcSBESBES u:Ei2Ci", false},
		"failed, pipelined, done":   {"u:i c:BES u:2G c:dcSBESBES u:Ei2Ci2Ci", true},
		"copy in, then again":       {"u:i c:PBES u:12G c:dcS u:Ci c:PBES u:12G c:dcS u:Ci", true},
		"copy in in a pipeline":     {"u:i c:PBE c:PBES u:12G c:dcS u:C12Ci", false},
		"copies in a pipeline":      {"u:i c:BE u:2G c:dc c:BE u:C2G c:dc c:S u:Ci", true},
		"more answers than asked":   {"u:i u:i c:Q", false},
		"copy out":                  {"u:i c:Q u:HddcCi", true},
		"copy out, extended":        {"u:i c:BES u:2HddcCi", true},
		"copy out, fails":           {"u:i c:BES u:2HdEi", true},
		"error, not synced":         {"u:i c:PBE u:E", false},
		"error, synced":             {"u:i c:PBE u:E c:S u:i", true},
		"error skips a query":       {"u:i c:PQS u:Ei", true},
		"error in the query":        {"u:i c:PQSBES u:1Eii", false},
		"error at Sync":             {"u:i c:BES u:2CEi", true},
		"flush alone":               {"u:i c:H", true},
		"close alone":               {"u:i c:C", true},
		"close, flushed":            {"u:i c:CH u:3", true},
		"close behind a parse":      {"u:i c:PCH u:13", false},
		"a Sync that does nothing":  {"u:i c:S", true},
		"half a Sync":               {"u:i c:_", false},
		"replication over":          {"u:i c:Q u:W c:dc u:cCi", true},
		"terminated":                {"u:i c:X", false},
		"client lost":               {"u:i c:!", false},
		"upstream lost":             {"u:i u:!", false},
		"answer without a request":  {"u:i c:Q u:2Ci", true},
		"a server without answers":  {"u:i c:PBES u:i c:Q", false},
	}
	for name, tt := range tests {
		for _, chunk := range []int{1, 3, 7, 1 << 20} {
			var x txTracker
			for step := range strings.FieldsSeq(tt.steps) {
				playStep(t, &x, step, chunk)
			}
			if got := x.stopIfIdle(); got != tt.idle {
				t.Errorf("%s, in chunks of %d: idle %t, want %t", name, chunk, got, tt.idle)
			}
			if got := x.clientSays(script("Q")); got == tt.idle {
				t.Errorf("%s: a stopped session takes messages %t", name, got)
			}
		}
	}
}

// playStep lets a side say a step in chunks.
func playStep(t *testing.T, x *txTracker, step string, chunk int) {
	t.Helper()
	for stream := range slices.Chunk(script(step[2:]), chunk) {
		if step[0] == 'c' && !x.clientSays(stream) {
			t.Fatal("not stopped, but refuses the client's bytes")
		}
		if step[0] == 'u' {
			if n := x.upstreamSays(stream, false); n != len(stream) {
				t.Fatalf("lets %d bytes of %d pass", n, len(stream))
			}
			if x.delivered() != stopNone {
				t.Fatal("stopped")
			}
		}
	}
}

// More messages than are remembered make it unsure, until all are answered.
func TestTxTrackerManyMessages(t *testing.T) {
	const batches = maxRemembered
	var x txTracker
	playStep(t, &x, "u:i", 1<<20)
	playStep(t, &x, "c:"+strings.Repeat("BDE", batches), 1<<20)
	playStep(t, &x, "u:"+strings.Repeat("2nC", batches), 1<<20)
	if x.idle() {
		t.Error("idle before the Sync")
	}
	playStep(t, &x, "c:SQ", 1<<20)
	playStep(t, &x, "u:i", 1<<20)
	if x.idle() {
		t.Error("idle with a query under way")
	}
	playStep(t, &x, "u:Ci", 1<<20)
	if !x.idle() || x.counting {
		t.Errorf("idle %t, counting %t, due %d", x.idle(), x.counting, x.due)
	}
	playStep(t, &x, "c:BES", 1<<20)
	if x.idle() {
		t.Error("idle with an extended query under way")
	}
}

// Nothing that asks for authentication passes behind the login, not even its
// first byte. A stream ends between two messages, if the server drains.
func TestTxTrackerStops(t *testing.T) {
	tests := map[string]struct {
		before, said string // as scripts
		draining     bool
		pass         string
		stopped      stopCause
	}{
		"login":                 {"", "RSKi", false, "RSKi", stopNone},
		"behind the login":      {"", "RSKiR", false, "RSKi", stopBreach},
		"in a query":            {"u:i c:Q", "TDRDCi", false, "TD", stopBreach},
		"stream":                {"u:i c:Q u:W", "ddd", false, "ddd", stopNone},
		"stream, draining":      {"u:i c:Q u:W", "ddd", true, "", stopDrain},
		"begins to stream":      {"u:i c:Q", "Wdd", true, "W", stopDrain},
		"copy out, draining":    {"u:i c:Q", "Hdd", true, "Hdd", stopNone},
		"stream over, draining": {"u:i c:Q u:W c:c u:cCi c:Q", "TDCi", true, "TDCi", stopNone},
	}
	for name, tt := range tests {
		for _, chunk := range []int{1, 3, 1 << 20} {
			var x txTracker
			for step := range strings.FieldsSeq(tt.before) {
				playStep(t, &x, step, 1<<20)
			}
			passed := 0
			for stream := range slices.Chunk(script(tt.said), chunk) {
				passed += x.upstreamSays(stream, tt.draining)
			}
			if want := len(script(tt.pass)); passed != want || x.delivered() != tt.stopped {
				t.Errorf("%s, in chunks of %d: %d bytes pass, want %d; stopped %d", name, chunk, passed, want, x.stopped)
			}
			if tt.stopped != stopNone && x.clientSays(script("Q")) {
				t.Errorf("%s: takes messages", name)
			}
		}
	}
}

// What was let pass but is not delivered is in the client's way.
func TestTxTrackerUndelivered(t *testing.T) {
	var x txTracker
	x.upstreamSays(script("i"), false)
	if x.stopIfIdle() || x.atBoundary() || x.expectsMessage() {
		t.Error("ready before the client was told so")
	}
	x.delivered()
	if !x.atBoundary() || !x.expectsMessage() || !x.stopIfIdle() {
		t.Error("not ready behind that")
	}
}

// script returns messages of the given types. The letters i, b and e are
// ReadyForQuery outside a transaction, in one and in one that failed; ! is a
// message of impossible length, and _ a header without its end.
func script(types string) (stream []byte) {
	for _, kind := range []byte(types) {
		switch kind {
		case 'i', 'b', 'e':
			status := map[byte]byte{'i': 'I', 'b': 'T', 'e': 'E'}
			stream = append(stream, pgtest.ReadyForQuery(status[kind])...)
		case '_':
			stream = append(stream, "S\x00"...)
		case '!':
			stream = append(stream, "x\x00\x00\x00\x03"...)
		default:
			stream = append(stream, pgtest.Message(kind, strings.Repeat("x", int(kind)%9))...)
		}
	}
	return stream
}

func TestTxTrackerExpectsMessage(t *testing.T) {
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
		var x txTracker
		x.upstreamSays([]byte(tt.said), false)
		x.delivered()
		if got := x.expectsMessage(); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
	}
}
