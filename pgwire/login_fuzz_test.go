package pgwire

import (
	"bytes"
	"context"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// What both sides say in a fuzzed login: legal messages and others. GSSAPI is left out, for its order is not
// fixed.
const (
	fuzzUpstream = "vNEC5O12KPkZHR"
	fuzzClient   = "qopXQ!"
)

// fuzzMessage returns a message of loginMessage, or one that no login has.
func fuzzMessage(letter byte) []byte {
	switch letter {
	case 'H':
		return []byte("HTTP/1.1 400 Bad Request\r\n\r\n")
	case 'R':
		return pgtest.Message('R', "\x00\x00\x00\x63")
	case 'X':
		return pgtest.Terminate()
	case 'Q':
		return pgtest.Message('Q', "DROP TABLE x\x00")
	case '!':
		return pgtest.Startup("user", "app", "database", "other")
	}
	message, _ := loginMessage(letter)
	return message
}

// modelLogin says what must reach the upstream behind the startup packet, and what the client must see before
// any error of ours. It knows the protocol by legalLogins alone.
func modelLogin(legal *regexp.Regexp, fromUpstream, fromClient string) (sent, shown []byte, ready bool) {
	trace := ""
	for _, letter := range []byte(fromUpstream) {
		if strings.IndexByte("HR", letter) >= 0 || !legal.MatchString(trace+string(letter)) {
			return sent, shown, false
		}
		trace += string(letter)
		shown = append(shown, fuzzMessage(letter)...)
		switch letter {
		case 'E':
			return sent, shown, false
		case 'Z':
			return sent, shown, true
		case 'C', '5', 'O', '1':
		default:
			continue
		}
		if fromClient == "" {
			return sent, shown, false
		}
		answer := fromClient[0]
		fromClient = fromClient[1:]
		switch {
		case answer == 'X':
			return append(sent, pgtest.Terminate()...), shown, false
		case strings.IndexByte("Q!", answer) >= 0, !legal.MatchString(trace + string(answer)):
			return sent, shown, false
		}
		trace += string(answer)
		sent = append(sent, fuzzMessage(answer)...)
	}
	return sent, shown, false
}

func checkFuzzedLogin(ctx context.Context, t *testing.T, legal *regexp.Regexp, fromUpstream, fromClient string, random *rand.Rand) {
	t.Helper()
	if end := strings.IndexByte(fromUpstream, 'Z'); end >= 0 {
		fromUpstream = fromUpstream[:end+1] // the relay has tests of its own
	}
	startup := pgtest.Startup("user", "app")
	// Some connections end before that, and the client must not notice.
	var scripts [][]byte
	var before []byte
	if random.IntN(2) == 0 {
		said := slices.Sorted(maps.Keys(endings()))
		scripts = append(scripts, endings()[said[random.IntN(len(said))]])
		before = startup
	}
	scripts = append(scripts, spell(fromUpstream))
	sent, seen := runLogin(ctx, t, scripts, join(startup, spell(fromClient)), random)
	sent, repeated := bytes.CutPrefix(sent, before)
	if !repeated {
		t.Fatalf("the first connection got %q", sent)
	}
	wantSent, wantSeen, ready := modelLogin(legal, fromUpstream, fromClient)
	wantSent = join(startup, wantSent)
	all := join(startup, spell(fromClient))
	if ready {
		if !bytes.HasPrefix(sent, wantSent) || !bytes.HasPrefix(all, sent) {
			t.Fatalf("%s and %s: the upstream got %q, want %q and what is left", fromUpstream, fromClient, sent, wantSent)
		}
	} else if !bytes.Equal(sent, wantSent) {
		t.Fatalf("%s and %s: the upstream got %q, want %q", fromUpstream, fromClient, sent, wantSent)
	}
	ours, found := bytes.CutPrefix(seen, wantSeen)
	if !found || len(ours) > 0 && (ours[0] != typeErrorResponse || !strings.HasPrefix(errorField(ours[messageHeader:], 'M'), "pgorigin: ")) {
		t.Fatalf("%s and %s: the client got %q, want %q and an error at most", fromUpstream, fromClient, seen, wantSeen)
	}
}

func spell(letters string) []byte {
	var out []byte
	for _, letter := range []byte(letters) {
		out = append(out, fuzzMessage(letter)...)
	}
	return out
}

// runLogin plays one session whose both sides say all they have to say in chunks of any size. Each connection
// to the upstream has a script.
func runLogin(ctx context.Context, t *testing.T, scripts [][]byte, fromClient []byte, random *rand.Rand) (sent, seen []byte) {
	t.Helper()
	var peers sync.WaitGroup
	say := func(to io.Writer, words []byte, seed uint64) {
		chunks := rand.New(rand.NewPCG(1, seed))
		for len(words) > 0 {
			n := min(1+chunks.IntN(1+chunks.IntN(60)), len(words))
			if _, err := to.Write(words[:n]); err != nil {
				return
			}
			words = words[n:]
		}
	}
	seeds := [2]uint64{random.Uint64(), random.Uint64()}
	over := make(chan struct{})
	var open func(context.Context, error) (Opened, error)
	open = func(_ context.Context, why error) (Opened, error) {
		if len(scripts) == 0 {
			return Opened{}, why
		}
		script := scripts[0]
		scripts = scripts[1:]
		near, far := net.Pipe()
		peers.Go(func() {
			say(far, script, seeds[0])
			_ = far.Close()
		})
		return Opened{Upstream: recorder{pgtest.NewUpstream(near), &sent}, Replace: open}, nil
	}
	server := &Server{
		Trace:       &Trace{Ended: func(SessionInfo, SessionResult) { close(over) }},
		DialSession: func(ctx context.Context, _ func(func())) (Opened, error) { return open(ctx, nil) },
	}
	ln := pgtest.NewListener()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	near, far := halfClosablePipe()
	ln.Hand(near)
	peers.Go(func() { seen, _ = io.ReadAll(far) })
	peers.Go(func() {
		say(far, fromClient, seeds[1])
		_ = far.(*pipeEnd).CloseWrite()
	})
	select {
	case <-over:
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	_ = far.Close()
	_ = server.Close()
	<-served
	peers.Wait()
	return sent, seen
}

// TestRandomLogins plays logins that are mostly legal, so that they come far.
func TestRandomLogins(t *testing.T) {
	legal := legalLogins()
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var fromUpstream, fromClient, trace string
		for range 1 + random.IntN(12) {
			letters := fuzzUpstream + fuzzClient
			next := letters[random.IntN(len(letters))]
			for range 10 {
				if legal.MatchString(trace + string(next)) {
					break
				}
				next = letters[random.IntN(len(letters))]
			}
			trace += string(next)
			if strings.IndexByte(fuzzClient, next) >= 0 {
				fromClient += string(next)
			} else {
				fromUpstream += string(next)
			}
		}
		checkFuzzedLogin(t.Context(), t, legal, fromUpstream, fromClient, random)
	}
}

// FuzzLogin is TestRandomLogins with messages of the fuzzer's choice.
func FuzzLogin(f *testing.F) {
	for _, seed := range [][2]string{{"O12KPkZ", "qp"}, {"NvCKZ", "pQ"}, {"O12KC", "qpp"}, {"ZKZ", ""}, {"OoK", "o"}, {"EKZ", "p"}, {"O1", "!"}} {
		f.Add(seed[0], seed[1], uint64(1))
	}
	legal := legalLogins()
	f.Fuzz(func(t *testing.T, fromUpstream, fromClient string, seed uint64) {
		pgtest.Watchdog(t)
		only := func(letters string) func(rune) rune {
			return func(r rune) rune { return rune(letters[int(r)%len(letters)]) }
		}
		keep := func(text, letters string) string {
			if strings.Trim(text, letters) != "" {
				text = strings.Map(only(letters), text)
			}
			return text[:min(len(text), 20)]
		}
		random := rand.New(rand.NewPCG(seed, 1))
		checkFuzzedLogin(context.Background(), t, legal, keep(fromUpstream, fuzzUpstream), keep(fromClient, fuzzClient), random)
	})
}
