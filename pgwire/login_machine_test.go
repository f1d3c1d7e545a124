package pgwire

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// The messages of a login, by a letter each; picking SCRAM is p, another mechanism o, in answer to an offer.
func loginMessage(letter byte) (message []byte, fromClient bool) {
	request := func(code byte, rest string) []byte {
		return pgtest.Message('R', "\x00\x00\x00"+string(rune(code))+rest)
	}
	switch letter {
	case 'v':
		return pgtest.Message('v', "\x00\x00\x00\x02\x00\x00\x00\x00"), false
	case 'N':
		return pgtest.Message('N', "SNOTICE\x00\x00"), false
	case 'E':
		return pgtest.ErrorResponse("28P01", "no"), false
	case 'C':
		return request(3, ""), false
	case '5':
		return request(5, "salt"), false
	case 'G':
		return request(7, ""), false
	case 'I':
		return request(9, ""), false
	case 'c':
		return request(8, "token"), false
	case 'O':
		return pgtest.AuthenticationSASL("SCRAM-SHA-256", "OAUTHBEARER"), false
	case '1':
		return request(11, "r=1"), false
	case '2':
		return request(12, "v=1"), false
	case 'K':
		return pgtest.AuthenticationOk(), false
	case 'P':
		return pgtest.ParameterStatus("a", "b"), false
	case 'k':
		return pgtest.BackendKeyData("pid4key4"), false
	case 'A':
		return pgtest.Message('A', "\x00\x00\x00\x01hello\x00self\x00"), false
	case 'Z':
		return pgtest.ReadyForQuery('I'), false
	case 'q':
		return pgtest.Message('p', string(initialResponse("SCRAM-SHA-256", []byte("n,,n=,r=1")))), true
	case 'o':
		return pgtest.Message('p', string(initialResponse("OAUTHBEARER", nil))), true
	case 'p':
		return pgtest.Message('p', "answer"), true
	}
	panic(letter)
}

const loginLetters = "vNEC5GIcO12KPkAZqop"

// legalLogins matches every beginning of a login that the protocol knows. It is written from the manual,
// chapter "Message Flow", and knows nothing of the machine's table.
func legalLogins() *regexp.Regexp {
	const (
		end    = `(?:E|K[NPA]*(?:k[NPA]*)?[ZE]?)`
		any    = `[poq]`
		plain  = `[C5]N*(?:E|` + any + `N*` + end + `?)?`
		tokens = `[GI][Ncpoq]*` + end + `?`
		scram  = `ON*(?:E|qN*(?:E|1N*(?:E|` + any + `N*(?:E|2N*` + end + `?)?)?)?)?`
		other  = `ON*(?:E|oN*(?:` + end + `|1N*(?:E|` + any + `N*E?)?)?)?`
	)
	return regexp.MustCompile(`^N*(?:vN*)?(?:` + end + `|` + plain + `|` + tokens + `|` + scram + `|` + other + `)?$`)
}

// play feeds a machine and returns how many messages it took.
func play(m *loginMachine, letters string) (taken int, err error) {
	for i := range len(letters) {
		message, fromClient := loginMessage(letters[i])
		if fromClient {
			err = m.clientSays(message)
		} else {
			_, _, err = m.upstreamSays(message)
		}
		if err != nil {
			return i, err
		}
	}
	return len(letters), nil
}

// TestLoginOrder feeds random sequences: the machine takes exactly what the protocol allows.
func TestLoginOrder(t *testing.T) {
	legal := legalLogins()
	random := rand.New(rand.NewPCG(1, 2))
	complete := 0
	for range 2_000 {
		var letters []byte
		for range 1 + random.IntN(14) { // mostly legal, so that it comes far
			next := loginLetters[random.IntN(len(loginLetters))]
			for range 12 {
				if legal.Match(append(letters, next)) {
					break
				}
				next = loginLetters[random.IntN(len(loginLetters))]
			}
			letters = append(letters, next)
		}
		checkLoginOrder(t, legal, string(letters))
		if legal.Match(letters) && letters[len(letters)-1] == 'Z' {
			complete++
		}
	}
	if complete < 20 {
		t.Errorf("only %d complete logins were tried", complete)
	}
}

func checkLoginOrder(t *testing.T, legal *regexp.Regexp, letters string) {
	t.Helper()
	want := 0
	for want < len(letters) && legal.MatchString(letters[:want+1]) {
		want++
	}
	m := newLoginMachine(StripChannelBinding, 0)
	taken, err := play(&m, letters)
	if taken != want {
		t.Fatalf("%q: took %d messages, want %d (%v)", letters, taken, want, err)
	}
	if d, ok := AsFailure(err); err != nil && (!ok || d.SQLState() != stateProtocolViolation) {
		t.Fatalf("%q: ended with %v", letters, err)
	}
}

// FuzzLoginOrder is TestLoginOrder with sequences of the fuzzer's choice.
func FuzzLoginOrder(f *testing.F) {
	for _, seed := range []string{"KPPkZ", "vNOq1p2KPkZ", "OoKZ", "Oo1pE", "GpcpKZ", "CpKZ", "5pE", "KC", "KZC", "Oq1p2K2", "Oq1p1", "Z"} {
		f.Add([]byte(seed))
	}
	legal := legalLogins()
	f.Fuzz(func(t *testing.T, in []byte) {
		for i, b := range in {
			in[i] = loginLetters[int(b)%len(loginLetters)]
			if at := strings.IndexByte(loginLetters, b); at >= 0 {
				in[i] = loginLetters[at]
			}
		}
		checkLoginOrder(t, legal, string(in[:min(len(in), maxTokens)]))
	})
}

// How a login is let in is what is reported of it.
func TestLoginMethod(t *testing.T) {
	for letters, want := range map[string]string{
		"KPkZ": "none", "CpKZ": "password", "5pKZ": "md5", "GpcpKZ": "gss", "IpKZ": "sspi",
		"Oq1p2KZ": "scram-sha-256", "OoKZ": "oauth",
	} {
		m := newLoginMachine(PassChannelBinding, 0)
		if _, err := play(&m, letters); err != nil || m.methodName() != want || m.state != loginReady {
			t.Errorf("%s: %s (%v), want %s", letters, m.methodName(), err, want)
		}
	}
}

// Every method that is not allowed ends the login before the client hears of it.
func TestRequireAuth(t *testing.T) {
	tests := map[string]struct {
		required string
		letters  string
		taken    int
	}{
		"nothing is required":       {"", "CpKZ", 4},
		"SCRAM as required":         {"scram-sha-256", "Oq1p2KZ", 7},
		"SCRAM without an end":      {"scram-sha-256", "Oq1pK", 4},
		"ready without an end":      {"scram-sha-256", "Oq1pZ", 4},
		"cleartext for SCRAM":       {"scram-sha-256", "C", 0},
		"MD5 for SCRAM":             {"scram-sha-256", "5", 0},
		"GSS for SCRAM":             {"scram-sha-256", "G", 0},
		"SSPI for SCRAM":            {"scram-sha-256", "I", 0},
		"token for SCRAM":           {"scram-sha-256", "Oo", 1},
		"SCRAM for a token":         {"oauth", "Oq", 1},
		"token as required":         {"oauth", "OoKZ", 4},
		"nothing asked for SCRAM":   {"scram-sha-256", "K", 0},
		"ready for SCRAM":           {"scram-sha-256", "Z", 0},
		"MD5 as required":           {"md5,scram-sha-256", "5pKZ", 4},
		"GSS as required":           {"gss", "GpcpKZ", 6},
		"nothing asked, as allowed": {"none", "KZ", 2},
		"cleartext for none":        {"none", "C", 0},
		"excluded":                  {"!password", "C", 0},
		"not excluded":              {"!password", "Oq1p2KZ", 7},
		"cleartext behind SCRAM":    {"scram-sha-256,password", "Oq1p2C", 5},
		"cleartext behind Ok":       {"scram-sha-256", "Oq1p2KC", 6},
		"notice before":             {"md5", "NC", 1},
	}
	for name, tt := range tests {
		required, err := ParseAuthMethods(tt.required)
		if err != nil {
			t.Fatal(err)
		}
		m := newLoginMachine(StripChannelBinding, required)
		if taken, err := play(&m, tt.letters); taken != tt.taken {
			t.Errorf("%s: took %d of %s, want %d (%v)", name, taken, tt.letters, tt.taken, err)
		}
	}
}

// What the client sees of an offer, and what a bridge keeps of it.
func TestOffers(t *testing.T) {
	const scram, plus, token = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER"
	tests := map[string]struct {
		binding  ChannelBinding
		required string
		offer    []string
		shown    []string // nil: nothing
		kept     []string // to pick from
		reason   Reason   // "": none
	}{
		"strip":                      {offer: []string{plus, scram}, shown: []string{scram}},
		"strip, nothing to strip":    {offer: []string{scram}, shown: []string{scram}},
		"strip keeps the order":      {offer: []string{"A", "B-PLUS", "C"}, shown: []string{"A", "C"}},
		"PLUS within a name":         {offer: []string{"X-PLUS-1", "PLUS"}, shown: []string{"X-PLUS-1", "PLUS"}},
		"strip, only PLUS":           {offer: []string{plus}, reason: ReasonAuthChannelBinding},
		"strip, token not allowed":   {required: "scram-sha-256", offer: []string{token, plus, scram}, shown: []string{scram}},
		"strip, only a token":        {required: "scram-sha-256", offer: []string{token}, reason: ReasonAuthRejected},
		"strip, unknown, required":   {required: "!password", offer: []string{"X", scram}, shown: []string{scram}},
		"strip, token wanted":        {required: "oauth", offer: []string{token, plus, scram}, shown: []string{token}},
		"strip, md5 wanted":          {required: "md5", offer: []string{scram}, reason: ReasonAuthRejected},
		"pass":                       {binding: PassChannelBinding, offer: []string{plus, scram}, shown: []string{plus, scram}},
		"pass, token not allowed":    {binding: PassChannelBinding, required: "scram-sha-256", offer: []string{plus, token}, shown: []string{plus}},
		"bridge":                     {binding: BridgeChannelBinding, offer: []string{plus, scram, token}, kept: []string{plus, scram}},
		"bridge, only a token":       {binding: BridgeChannelBinding, offer: []string{token}, reason: ReasonAuthRejected},
		"bridge, token named":        {binding: BridgeChannelBinding, required: "oauth", offer: []string{token, scram}, shown: []string{token}},
		"bridge, bound only":         {binding: BridgeChannelBinding, required: "scram-sha-256-plus", offer: []string{plus, scram}, kept: []string{plus}},
		"bridge, bound, not offered": {binding: BridgeChannelBinding, required: "scram-sha-256-plus", offer: []string{scram}, reason: ReasonAuthRejected},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			required, err := ParseAuthMethods(tt.required)
			if err != nil {
				t.Fatal(err)
			}
			m := newLoginMachine(tt.binding, tt.binding.Methods(required))
			shown, _, err := m.upstreamSays(pgtest.AuthenticationSASL(tt.offer...))
			if d, ok := AsFailure(err); ok != (tt.reason != "") || ok && Reason(d.Reason()) != tt.reason {
				t.Fatalf("ended with %v, want %q", err, tt.reason)
			}
			var want []byte
			if tt.shown != nil {
				want, tt.kept = pgtest.AuthenticationSASL(tt.shown...), tt.shown
			}
			if !bytes.Equal(shown, want) || err == nil && fmt.Sprint(m.offer) != fmt.Sprint(tt.kept) {
				t.Errorf("showed %q, kept %q", shown, m.offer)
			}
		})
	}
}

// A client's answer to an offer must be one, and of a mechanism that it was shown.
func TestInitialResponses(t *testing.T) {
	answer := func(mechanism, data string) string { return string(initialResponse(mechanism, []byte(data))) }
	tests := map[string]struct {
		body   string
		reason Reason // "": taken
	}{
		"libpq":               {answer("SCRAM-SHA-256", "n,,n=,r=abc"), ""},
		"Npgsql":              {answer("SCRAM-SHA-256", "y,,n=*,r=abc"), ReasonAuthChannelBinding},
		"no data":             {answer("SCRAM-SHA-256", ""), ""},
		"absent data":         {"SCRAM-SHA-256\x00\xff\xff\xff\xff", ""},
		"not offered":         {answer("OAUTHBEARER", "token"), ReasonClientProtocol},
		"stripped":            {answer("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,"), ReasonClientProtocol},
		"no body":             {"", ReasonClientProtocol},
		"name without an end": {"SCRAM-SHA-256", ReasonClientProtocol},
		"short data":          {answer("SCRAM-SHA-256", "n,,")[:19], ReasonClientProtocol},
		"long data":           {answer("SCRAM-SHA-256", "n,,") + "x", ReasonClientProtocol},
		"password":            {"secret\x00", ReasonClientProtocol},
	}
	for name, tt := range tests {
		m := newLoginMachine(StripChannelBinding, 0)
		if _, _, err := m.upstreamSays(pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")); err != nil {
			t.Fatal(err)
		}
		err := m.clientSays(pgtest.Message('p', tt.body))
		if d, ok := AsFailure(err); ok != (tt.reason != "") || ok && Reason(d.Reason()) != tt.reason {
			t.Errorf("%s: %v, want %q", name, err, tt.reason)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error repeats what the client sent: %v", name, err)
		}
	}
}

// Keys of lengths that no cancel request can have pass, and are of no use.
func TestCancelKeys(t *testing.T) {
	for key, want := range map[string]bool{
		"pid4key4": true, "pid4" + strings.Repeat("s", 256): true, "pid4" + strings.Repeat("s", 257): false, "pid4key": false,
	} {
		m := newLoginMachine(StripChannelBinding, 0)
		if _, err := play(&m, "K"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.upstreamSays(pgtest.BackendKeyData(key)); err != nil || (m.cancelKey == key) != want {
			t.Errorf("%d bytes: key %q (%v)", len(key), m.cancelKey, err)
		}
	}
}

func TestMalformedLogin(t *testing.T) {
	for name, message := range map[string][]byte{
		"authentication, no code": pgtest.Message('R', "\x00\x00\x00"),
		"Ok with a body":          pgtest.Message('R', "\x00\x00\x00\x00x"),
		"cleartext with a body":   pgtest.Message('R', "\x00\x00\x00\x03x"),
		"MD5 without salt":        pgtest.Message('R', "\x00\x00\x00\x05sal"),
		"unknown request":         pgtest.Message('R', "\x00\x00\x00\x63"),
		"ready without a status":  pgtest.Message('Z', ""),
		"ready that is too long":  pgtest.Message('Z', "II"),
		"empty list":              pgtest.Message('R', "\x00\x00\x00\x0a\x00"),
		"no list":                 pgtest.Message('R', "\x00\x00\x00\x0a"),
		"unterminated list":       pgtest.Message('R', "\x00\x00\x00\x0aab"),
		"list without last NUL":   pgtest.Message('R', "\x00\x00\x00\x0aab\x00"),
		"bytes behind the list":   pgtest.Message('R', "\x00\x00\x00\x0aab\x00\x00x"),
		"oversized list":          pgtest.Message('R', "\x00\x00\x00\x0a"+strings.Repeat("a", maxSASLMessage)+"\x00\x00"),
	} {
		m := newLoginMachine(StripChannelBinding, 0)
		shown, _, err := m.upstreamSays(message)
		if d, ok := AsFailure(err); !ok || Reason(d.Reason()) != ReasonUpstreamProtocol || shown != nil {
			t.Errorf("%s: showed %q (%v)", name, shown, err)
		}
	}
}

// Tokens are bounded in number.
func TestTokensEnd(t *testing.T) {
	m := newLoginMachine(StripChannelBinding, 0)
	if taken, err := play(&m, "G"+strings.Repeat("c", 100)); taken != 1+maxTokens || err == nil {
		t.Errorf("took %d requests (%v)", taken, err)
	}
}

// TestLoginTableIsDocumented compares docs/reference/login.md with the table. PGORIGIN_UPDATE=1 writes it.
func TestLoginTableIsDocumented(t *testing.T) {
	const path = "../docs/reference/login.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- table -->\n", "<!-- end of table -->\n"
	before, rest, _ := strings.Cut(string(page), begin)
	_, after, found := strings.Cut(rest, end)
	if !found {
		t.Fatalf("%s has no place for the table", path)
	}
	want := before + begin + loginTableMarkdown() + end + after
	if os.Getenv("PGORIGIN_UPDATE") == "1" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(page) {
		t.Errorf("%s differs from the table; PGORIGIN_UPDATE=1 writes it", path)
	}
}

func loginTableMarkdown() string {
	var b strings.Builder
	b.WriteString("| state | what may come | next state |\n| --- | --- | --- |\n")
	table := loginTable()
	for state := loginBegun; state < loginStates; state++ {
		name := state.String()
		for event := range loginEvents {
			if next := table[state][event]; next != noPlace {
				if name != "" {
					name = "**" + name + "**"
				}
				fmt.Fprintf(&b, "| %s | %v | %v |\n", name, event, next)
				name = ""
			}
		}
	}
	return b.String()
}
