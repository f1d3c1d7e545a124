package pgwire

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// The model of a server follows postgres.c (PostgresMain, SocketBackend) and copyfromparse.c (CopyGetData):
// what it reads, what it ignores, and which transaction it is in.
type modelServer struct {
	said    []byte // types of its answers that the tracker has not seen; ReadyForQuery as i, b, e
	mode    backendMode
	plan    string // of the Query in progress: what is left of its answers
	tx      byte   // 'i' none, 'b' a block, 'e' a block that failed
	began   bool   // an implicit transaction, which pg_stat_activity shows up to the Sync
	garbled bool   // it ends the session: the client broke the rules of COPY
}

// modelMessage is a message of the client and what will come of it.
type modelMessage struct {
	kind byte
	// plan is the answers of a Query or Execute. G goes on with the client's data, E is an error, > and <
	// begin and end a block.
	plan string
}

func (m *modelServer) copying() bool { return m.mode == modeQueryCopyIn || m.mode == modeExecuteCopyIn }

func (m *modelServer) fail() {
	if m.tx == 'b' {
		m.tx = 'e'
	}
	m.began = false
	m.said = append(m.said, 'E')
	if m.mode == modeQuery || m.mode == modeQueryCopyIn {
		m.ready()
		return
	}
	m.mode = modeSkip
}

func (m *modelServer) ready() {
	m.mode, m.plan, m.began = modeRead, "", false
	m.said = append(m.said, m.tx)
}

// work does what is planned of a Query or Execute.
func (m *modelServer) work() {
	for m.plan != "" {
		step := m.plan[0]
		m.plan = m.plan[1:]
		switch step {
		case 'E':
			m.fail()
			return
		case '>':
			m.tx = 'b'
		case '<':
			m.tx = 'i'
		case 'G':
			m.said = append(m.said, 'G')
			if m.mode++; strings.HasPrefix(m.plan, "E") {
				m.fail() // of a trigger, before it reads any data
			}
			return
		default:
			m.said = append(m.said, step)
		}
	}
	if m.mode == modeQuery {
		m.ready()
		return
	}
	m.mode = modeRead
}

func (m *modelServer) read(in modelMessage) {
	switch {
	case m.mode == modeSkip && in.kind != 'S':
	case m.copying():
		m.readCopy(in)
	case in.kind == 'S':
		m.mode = modeRead
		if in.plan == "E" && m.began && m.tx == 'i' { // a deferred constraint
			m.mode = modeQuery
			m.fail()
			return
		}
		m.ready()
	case in.kind == 'Q' || in.kind == 'F':
		m.mode, m.plan = modeQuery, in.plan
		if m.tx == 'e' && !strings.Contains(in.plan, "<") && in.plan != "I" {
			m.plan = "E"
		}
		m.work()
	case strings.IndexByte("Hdcf", in.kind) >= 0:
	case in.kind == 'C':
		m.said = append(m.said, '3')
	default:
		m.readExtended(in)
	}
}

func (m *modelServer) readExtended(in modelMessage) {
	m.began = true
	if in.plan == "E" || m.tx == 'e' && !strings.Contains(in.plan, "<") {
		m.fail()
		return
	}
	switch in.kind {
	case 'P':
		m.said = append(m.said, '1')
	case 'B':
		m.said = append(m.said, '2')
	case 'D':
		m.said = append(m.said, in.plan...)
	case 'E':
		m.mode, m.plan = modeExecute, in.plan
		m.work()
	}
}

func (m *modelServer) readCopy(in modelMessage) {
	switch in.kind {
	case 'H', 'S':
	case 'd', 'c':
		if in.plan == "E" {
			m.fail()
		} else if in.kind == 'c' {
			m.mode--
			m.said = append(m.said, 'C')
			m.work()
		}
	case 'f':
		m.fail()
	default:
		m.garbled = true
	}
}

// inert reports whether nothing is lost if the session ends now, with rest unread.
func (m *modelServer) inert(rest []modelMessage) bool {
	for _, in := range rest {
		if strings.IndexByte("SCHdcf", in.kind) < 0 {
			return false
		}
	}
	return m.mode == modeRead && m.tx == 'i' && !m.began
}

// modelClient sends random messages, by the rules as far as it can know what came of the last ones.
type modelClient struct {
	random  *rand.Rand
	copying int    // 0 no, 1 asked for a copy, 2 was told to go on
	queue   string // to be said next, as plain messages
	synced  bool   // it sent a Sync into a copy, so another one has to follow behind it

	unclear  bool // what became of the copy before is not known
	confused bool // it has copied all the same, and may not know what it does
}

func (c *modelClient) next() modelMessage {
	pick := func(plans ...string) string { return plans[c.random.IntN(len(plans))] }
	rare := func(plan, usual string) string {
		if c.random.IntN(8) == 0 {
			return plan
		}
		return usual
	}
	if c.copying > 0 {
		kind := pick("d", "d", "S", "H", "c", "f", "cS", "fS", "d", "d")
		if c.copying == 1 {
			kind = pick("S", "H", "S", "d", "c", "cS")
		}
		if kind[0] == 'c' || kind[0] == 'f' {
			c.copying = 0
		}
		c.queue = kind[1:] + c.queue
		c.synced = c.synced || kind[0] == 'S'
		if c.copying == 0 {
			c.syncAgain()
		}
		return modelMessage{kind[0], rare("E", "")}
	}
	if c.queue == "" {
		c.queue = pick("PBES", "PBDES", "BE", "S", "S", "Q", "Q", "Q", "F", "CS", "C", "H", "PDS", "PH",
			"PBE", "c", "f", "d", "BESBES", "BEBEBES")
	}
	m := modelMessage{kind: c.queue[0]}
	c.queue = c.queue[1:]
	switch m.kind {
	case 'Q':
		m.plan = pick("TDC", "TDC", "C", "I", ">C", "<C", "E", "TDE", "TDCTDC", "GC", "GTDC",
			"GCG", "HdcC", "GE", "G", "G", ">CG<C")
	case 'E':
		m.plan = pick("DC", "C", "I", "Ds", "E", "DE", ">C", "<C", "G", "G", "HdcC", "HdE", "GE", "s")
	case 'D':
		m.plan = pick("T", "n", "tT", "tn")
	case 'F':
		m.plan = pick("V", "E")
	case 'S', 'P', 'B':
		m.plan = rare("E", "")
	}
	if strings.Contains(m.plan, "G") {
		c.copying, c.confused = 1, c.confused || c.unclear
		if m.kind == 'E' && c.queue != "" && c.queue[0] != 'S' {
			c.queue = ""
		}
	}
	return m
}

// hear takes note of an answer.
func (c *modelClient) hear(kind byte) {
	switch kind {
	case 'G':
		if c.copying < 2 {
			c.copying++
		}
	case 'E':
		if c.copying == 2 {
			c.copying = 0
			c.syncAgain()
		}
		c.synced = c.copying == 1 // perhaps the error of an earlier message
	}
}

func (c *modelClient) syncAgain() {
	if c.synced {
		c.synced, c.queue = false, "S"+c.queue
	}
}

// A random client, a model of the server and the tracker between them: the tracker never takes for idle what
// is not, at any moment, and sees at any rest whether it is.
func TestTxTrackerModel(t *testing.T) {
	var idle, busy, garbled int
	for trial := range uint64(20_000) {
		random := rand.New(rand.NewPCG(trial, 36))
		i, b, g := modelTrial(t, random)
		idle, busy, garbled = idle+i, busy+b, garbled+g
		if t.Failed() {
			t.Fatalf("trial %d", trial)
		}
	}
	t.Logf("%d rests idle, %d not, %d sessions broken off", idle, busy, garbled)
	if idle < 10_000 || busy < 10_000 {
		t.Errorf("met only %d rests that were idle, %d that were not", idle, busy)
	}
}

func modelTrial(t *testing.T, random *rand.Rand) (idle, busy, garbled int) {
	x, server, client := &txTracker{}, &modelServer{tx: 'i', mode: modeRead}, &modelClient{random: random}
	var unread []modelMessage
	var log strings.Builder
	x.upstreamSays(script("i"), false)
	check := func(rest bool) {
		x.delivered()
		got := x.idle() && x.upstream.atBoundary()
		inert := server.inert(unread)
		if got && !inert {
			t.Errorf("idle, but %d is to be read in mode %d: %s", len(unread), server.mode, log.String())
		}
		if rest && got != inert && !client.confused {
			t.Errorf("at rest: idle %t, want %t: %s", got, inert, log.String())
		}
	}
	for range 60 {
		switch action := random.IntN(8); {
		case action == 0: // everything comes to rest
			for len(unread) > 0 && !server.garbled {
				server.read(unread[0])
				unread = unread[1:]
			}
			for len(server.said) > 0 {
				hearOne(x, server, client, random, &log)
			}
			if server.garbled {
				return idle, busy, 1
			}
			check(true)
			switch {
			case client.confused:
			case x.idle():
				idle++
			default:
				busy++
			}
		case action < 4:
			client.unclear = bytes.IndexByte(server.said, 'E') >= 0 || server.copying() ||
				slices.ContainsFunc(unread, func(m modelMessage) bool { return strings.Contains(m.plan, "G") })
			m := client.next()
			fmt.Fprintf(&log, " c:%c(%s)", m.kind, m.plan)
			unread = append(unread, m)
			sayInPieces(random, pgtest.Message(m.kind, "xyz"), func(p []byte) { x.clientSays(p) })
			check(false)
		case action < 6 && len(unread) > 0:
			server.read(unread[0])
			unread = unread[1:]
			if server.garbled {
				return idle, busy, 1
			}
			check(false)
		case len(server.said) > 0:
			hearOne(x, server, client, random, &log)
			check(false)
		}
	}
	return idle, busy, 0
}

func hearOne(
	x *txTracker, server *modelServer, client *modelClient, random *rand.Rand, log *strings.Builder,
) {
	kind := server.said[0]
	server.said = server.said[1:]
	fmt.Fprintf(log, " u:%c", kind)
	sayInPieces(random, script(string(kind)), func(p []byte) { x.upstreamSays(p, false) })
	client.hear(kind)
}

func sayInPieces(random *rand.Rand, p []byte, say func([]byte)) {
	n := random.IntN(len(p) + 1)
	say(p[:n])
	say(p[n:])
}
