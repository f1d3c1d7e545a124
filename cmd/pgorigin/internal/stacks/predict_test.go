package stacks

import (
	"slices"
	"strings"
	"testing"
)

// ordinary is a server that every stack can take.
func ordinary() *Server {
	return &Server{
		Versions: map[uint16]bool{TLS10: false, TLS11: false, TLS12: true, TLS13: true},
		Suites:   map[Suites]bool{AEAD: true, CBC: true, DHE: false, RSA: false},
		Groups:   only("X25519", "P-256", "P-384", "P-521"),
	}
}

// only are the groups of a server that takes no others.
func only(groups ...string) map[string]bool {
	taken := map[string]bool{}
	for _, group := range []string{"X25519MLKEM768", "X25519", "P-256", "P-384", "P-521"} {
		taken[group] = slices.Contains(groups, group)
	}
	return taken
}

func TestAnOrdinaryServerBreaksNobody(t *testing.T) {
	for _, k := range Table() {
		p := Predict(ordinary(), &k)
		if _, always := k.Cells[Always]; (p.Verdict == Fails) != always {
			t.Errorf("%s: %s, %+v", k.String(), p.Verdict, p.Reasons)
		}
	}
}

func TestAnUnknownServerBreaksNobody(t *testing.T) {
	for _, k := range Table() {
		if p := Predict(new(Server), &k); p.Verdict == Fails && p.Reasons[0].Cause != Always {
			t.Errorf("%s: %+v", k.String(), p.Reasons)
		}
	}
}

// broken returns the stacks that fail at server for cause.
func broken(server *Server, cause Cause) string {
	var names []string
	for _, k := range Table() {
		p := Predict(server, &k)
		if p.Verdict == Fails && slices.ContainsFunc(p.Reasons, func(r Reason) bool { return r.Cause == cause }) {
			names = append(names, k.String())
		}
	}
	return strings.Join(names, "; ")
}

func TestWhatIsNotAgreedOn(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*Server)
		cause  Cause
		fails  []string
		works  []string
	}{
		"only TLS 1.3": {
			func(s *Server) { s.Versions[TLS12] = false }, NoCommonVersion,
			[]string{"OpenSSL 1.0.2", "Java 8 before 8u341", "Secure Transport", "Schannel of Windows 10", "Node 10"},
			[]string{"Go 1.20", "Java 11", "rustls"},
		},
		"only TLS 1.0 and 1.1": {
			func(s *Server) {
				s.Versions = map[uint16]bool{TLS10: true, TLS11: true, TLS12: false, TLS13: false}
			}, NoCommonVersion,
			[]string{"Go 1.26", "rustls with ring", "Java 17", "Python 3.11", "libpq 15"},
			[]string{"OpenSSL 1.0.2", "GnuTLS", "Node 8"},
		},
		"only RSA key exchange": {
			func(s *Server) {
				s.Versions[TLS13] = false
				s.Suites = map[Suites]bool{AEAD: false, CBC: false, DHE: false, RSA: true}
			}, NoCommonCipher,
			[]string{"Go 1.27", "rustls with ring", "Java 21", "Java 25", "Erlang"},
			[]string{"Go 1.20", "Java 17", "Node", "libpq"},
		},
		"only ECDHE with AES-CBC": {
			func(s *Server) {
				s.Versions[TLS13] = false
				s.Suites = map[Suites]bool{AEAD: false, CBC: true, DHE: false, RSA: false}
			}, NoCommonCipher, []string{"rustls with aws-lc-rs", "Erlang 27"}, []string{"Go", "Java", "libpq", "Bun"},
		},
		"only P-521": {
			func(s *Server) { s.Groups = only("P-521") }, NoCommonGroup,
			[]string{"rustls with ring", "rustls with aws-lc-rs", "Bun", "BoringSSL", "Schannel", "Secure Transport"},
			[]string{"Go", "Java", "Node 12", "libpq", "Erlang 27"},
		},
		"only X25519": {
			func(s *Server) { s.Groups = only("X25519") }, NoCommonGroup,
			[]string{"OpenSSL 1.0.2", "Java 8", "Node 8"},
			[]string{"Java 11", "rustls", "Go"},
		},
		"only post-quantum groups": {
			func(s *Server) { s.Groups = only("X25519MLKEM768") }, NoCommonGroup,
			[]string{"rustls with ring", "Go 1.22", "Go 1.23", "OpenSSL 3.0", "Java 17", "Schannel", "Node 22"},
			[]string{"rustls with aws-lc-rs", "OpenSSL 3.5", "Node 24", "Java 25", "Bun"},
		},
		"the path drops two segments": {
			func(s *Server) { s.LostHello, s.GoodHello = 1470, 1416 }, HelloLost,
			[]string{"libpq 17", "Python 3.13", "Node 24", "Java 25", "rustls with aws-lc-rs", "Bun"},
			[]string{"Go 1.22", "rustls with ring", "libpq 15", "Java 17", "Schannel", "GnuTLS"},
		},
	} {
		server := ordinary()
		row.change(server)
		got := broken(server, row.cause)
		for _, want := range row.fails {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %s should fail; those that fail: %s", name, want, got)
			}
		}
		for _, works := range row.works {
			if strings.Contains(got, works) {
				t.Errorf("%s: %s should not fail; those that fail: %s", name, works, got)
			}
		}
	}
}

// A server that refuses every hello wants something that nobody tried.
func TestAServerThatRefusesEverything(t *testing.T) {
	server := &Server{Versions: map[uint16]bool{TLS10: false, TLS11: false, TLS12: false, TLS13: false}}
	for _, k := range Table() {
		if p := Predict(server, &k); p.Verdict != Unknown && p.Reasons[0].Cause != Always {
			t.Errorf("%s: %+v", k.String(), p)
		}
	}
}

// Between the largest hello that passed and the smallest that did not, nobody knows.
func TestAHelloOfASizeThatWasNotTried(t *testing.T) {
	server := ordinary()
	server.LostHello, server.GoodHello = 1500, 300
	k := Stack{Name: "x", TLS: []uint16{TLS13}, Groups: []string{"X25519"}, Measured: "1", Hello: 1200}
	if p := Predict(server, &k); p.Verdict != Unknown || p.Reasons[0].Cause != HelloLost {
		t.Errorf("%+v", p)
	}
}

func TestTableIsWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Table() {
		if seen[k.String()] {
			t.Errorf("%s is there twice", k.String())
		}
		seen[k.String()] = true
		if len(k.TLS) == 0 || len(k.Groups) == 0 || len(k.Suites) == 0 || k.Drivers == "" {
			t.Errorf("%s does not say what it offers, or who uses it", k.String())
		}
		if k.Measured == "" && !strings.HasPrefix(k.Source, "https://") {
			t.Errorf("%s was neither measured nor has a source", k.String())
		}
		for cause, cell := range k.Cells {
			switch {
			case !slices.Contains(Causes(), cause):
				t.Errorf("%s: %s is no cause with a meaning", k.String(), cause)
			case cell.Verdict == "":
				t.Errorf("%s: %s has no verdict", k.String(), cause)
			case cell.Verdict == Fails && cell.Words == "" && cell.Source == "" && cause != HelloLost:
				t.Errorf("%s: %s has no words", k.String(), cause)
			case cell.Source == "" && k.Measured == "":
				t.Errorf("%s: %s was not measured and has no source", k.String(), cause)
			case cell.Source != "" && !strings.HasPrefix(cell.Source, "https://"):
				t.Errorf("%s: %s has the source %q", k.String(), cause, cell.Source)
			}
		}
	}
}
