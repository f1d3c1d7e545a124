package pgwire

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

func TestParseAuthMethods(t *testing.T) {
	for list, want := range map[string]string{
		"":                                 "",
		"scram-sha-256":                    "scram-sha-256",
		" md5 , password":                  "password,md5",
		"!password,!md5":                   "gss,sspi,scram-sha-256,none,oauth",
		"!scram-sha-256":                   "password,md5,gss,sspi,none,oauth",
		"oauth":                            "oauth",
		"scram-sha-256-plus":               "scram-sha-256-plus",
		"scram-sha-256-plus,scram-sha-256": "scram-sha-256,scram-sha-256-plus",
		"none":                             "none",
		"password,md5,gss,sspi,scram-sha-256,none": "password,md5,gss,sspi,scram-sha-256,none",
	} {
		if got, err := ParseAuthMethods(list); err != nil || got.String() != want {
			t.Errorf("%q: %v (%v), want %s", list, got, err, want)
		}
	}
	for _, list := range []string{"scram", "md5,!gss", "!md5,gss", "md5,md5", "md5,,gss", ",", "!", "!password,!md5,!gss,!sspi,!scram-sha-256,!none,!oauth", "!scram-sha-256-plus"} {
		if got, err := ParseAuthMethods(list); err == nil {
			t.Errorf("%q is taken as %v", list, got)
		}
	}
}

// TestExclusionsAllowABridgeNothing: whoever writes !password wants less than the default.
func TestExclusionsAllowABridgeNothing(t *testing.T) {
	for list, want := range map[string]string{
		"":                     "scram-sha-256",
		"!password":            "scram-sha-256",
		"!md5,!none":           "scram-sha-256",
		"!scram-sha-256":       "",
		"none,scram-sha-256":   "scram-sha-256,none",
		"scram-sha-256-plus":   "scram-sha-256-plus",
		"password":             "password",
		"!password,!md5,!none": "scram-sha-256",
	} {
		required, err := ParseAuthMethods(list)
		if err != nil {
			t.Fatal(err)
		}
		methods := BridgeChannelBinding.Methods(required)
		if methods.String() != want {
			t.Errorf("a bridge with %q answers %v, want %s", list, methods, want)
		}
		for _, name := range []string{"password", "md5", "gss", "sspi", "none", "oauth"} {
			if methods.Allows(name) != slices.Contains(strings.Split(want, ","), name) {
				t.Errorf("a bridge with %q and %s: %v", list, name, methods.Allows(name))
			}
		}
	}
}

func TestBindingClaimIsExplained(t *testing.T) {
	r := newTCPRig(t, nil)
	client := r.connect()
	client.Send(pgtest.Startup("user", "app"))
	upstream := <-r.upstreams
	upstream.Expect(pgtest.Startup("user", "app"))
	upstream.Send(pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"))
	client.Expect(pgtest.AuthenticationSASL("SCRAM-SHA-256"))
	client.Send(pgtest.Message('p', string(initialResponse("SCRAM-SHA-256", []byte("y,,n=*,r=abc")))))
	contains(t, client.ExpectError("28000").Message, "could bind")
	client.ExpectEOF()
	_ = client.Close()
	r.expectEnd(ReasonAuthChannelBinding)
	if rest := upstream.ExpectClosed(); len(rest) > 0 {
		t.Errorf("the upstream was sent %q", rest)
	}
}

func TestPassLeavesTheOffer(t *testing.T) {
	r := newTCPRig(t, func(s *Server) { s.ChannelBinding = PassChannelBinding })
	client := r.connect()
	client.Send(pgtest.Startup("user", "app"))
	upstream := <-r.upstreams
	upstream.Expect(pgtest.Startup("user", "app"))
	offer := pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
	upstream.Send(offer)
	client.Expect(offer)
	answer := pgtest.Message('p', string(initialResponse("SCRAM-SHA-256", []byte("n,,n=*,r=abc"))))
	client.Send(answer)
	upstream.Expect(answer)
}
