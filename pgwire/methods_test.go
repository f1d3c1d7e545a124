package pgwire

import (
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

func TestParseAuthMethods(t *testing.T) {
	for list, want := range map[string]string{
		"":                "",
		"scram-sha-256":   "scram-sha-256",
		" md5 , password": "password,md5",
		"!password,!md5":  "gss,sspi,scram-sha-256,none",
		"none":            "none",
		"password,md5,gss,sspi,scram-sha-256,none": "password,md5,gss,sspi,scram-sha-256,none",
	} {
		if got, err := ParseAuthMethods(list); err != nil || got.String() != want {
			t.Errorf("%q: %v (%v), want %s", list, got, err, want)
		}
	}
	for _, list := range []string{"scram", "md5,!gss", "!md5,gss", "md5,md5", "md5,,gss", ",", "!", "!password,!md5,!gss,!sspi,!scram-sha-256,!none"} {
		if got, err := ParseAuthMethods(list); err == nil {
			t.Errorf("%q is taken as %v", list, got)
		}
	}
}

// What is not allowed ends the login before the client has heard of it.
func TestRequireAuth(t *testing.T) {
	ok := pgtest.AuthenticationOk()
	request := func(code byte) []byte { return pgtest.Message('R', "\x00\x00\x00"+string(rune(code))) }
	scram := join(pgtest.AuthenticationSASL("SCRAM-SHA-256"), pgtest.Message('R', "\x00\x00\x00\x0br=1"))
	final := pgtest.Message('R', "\x00\x00\x00\x0cv=1")
	tests := map[string]struct {
		required string
		in       []byte
		passes   []byte // nil: all of it
		refused  bool
	}{
		"nothing is required":       {"", join(request(3), ok), nil, false},
		"SCRAM as required":         {"scram-sha-256", join(scram, final, ok), nil, false},
		"SCRAM without an end":      {"scram-sha-256", join(scram, ok), scram, true},
		"cleartext for SCRAM":       {"scram-sha-256", request(3), []byte{}, true},
		"MD5 for SCRAM":             {"scram-sha-256", pgtest.Message('R', "\x00\x00\x00\x05salt"), []byte{}, true},
		"MD5 as required":           {"md5,scram-sha-256", join(pgtest.Message('R', "\x00\x00\x00\x05salt"), ok), nil, false},
		"GSS for SCRAM":             {"scram-sha-256", request(7), []byte{}, true},
		"GSS as required":           {"gss", join(request(7), pgtest.Message('R', "\x00\x00\x00\x08x"), ok), nil, false},
		"SSPI for SCRAM":            {"scram-sha-256", request(9), []byte{}, true},
		"nothing asked for SCRAM":   {"scram-sha-256", ok, []byte{}, true},
		"nothing asked, as allowed": {"none", ok, nil, false},
		"cleartext for none":        {"none", request(3), []byte{}, true},
		"unknown request":           {"!password", request(99), []byte{}, true},
		"excluded":                  {"!password", request(3), []byte{}, true},
		"not excluded":              {"!password", join(scram, final, ok), nil, false},
		"notice before":             {"md5", join(pgtest.Message('N', "SNOTICE\x00\x00"), request(3)), pgtest.Message('N', "SNOTICE\x00\x00"), true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			required, err := ParseAuthMethods(tt.required)
			if err != nil {
				t.Fatal(err)
			}
			if tt.passes == nil {
				tt.passes = tt.in
			}
			f := &authFilter{requests: authRequests{required: required}}
			out, _, err := f.feed(nil, tt.in)
			if (err != nil) != tt.refused || string(out) != string(tt.passes) {
				t.Errorf("passed %q (%v), want %q", out, err, tt.passes)
			}
			if tt.refused {
				contains(t, err.Error(), "only these methods are allowed: "+required.String())
			}
		})
	}
}

// The client's answer to a stripped offer: who says y,, is told what to do, and
// everybody else's bytes go on as they are.
func TestBindingClaim(t *testing.T) {
	answer := func(mechanism, data string) []byte {
		return pgtest.Message('p', string(initialResponse(mechanism, []byte(data))))
	}
	tests := map[string]struct {
		in      []byte
		claimed bool
	}{
		"libpq":               {answer("SCRAM-SHA-256", "n,,n=,r=abc"), false},
		"Npgsql":              {answer("SCRAM-SHA-256", "y,,n=*,r=abc"), true},
		"other mechanism":     {answer("OAUTHBEARER", "y,,"), false},
		"no data":             {answer("SCRAM-SHA-256", ""), false},
		"no body":             {pgtest.Message('p', ""), false},
		"name without an end": {pgtest.Message('p', "SCRAM-SHA-256"), false},
		"endless name":        {pgtest.Message('p', string(make([]byte, 10))+string(make([]byte, 300))), false},
		"another message":     {pgtest.Terminate(), false},
		"password":            {pgtest.Message('p', "yes\x00"), false},
	}
	for name, tt := range tests {
		for _, chunk := range []int{1, 3, 1000} {
			var c bindingClaim
			var out []byte
			claimed := false
			for in := tt.in; len(in) > 0 && !claimed; in = in[min(chunk, len(in)):] {
				var forward []byte
				forward, claimed = c.feed(in[:min(chunk, len(in))])
				out = append(out, forward...)
			}
			if claimed != tt.claimed {
				t.Errorf("%s in chunks of %d: claimed %v", name, chunk, claimed)
			}
			if !claimed && string(out) != string(tt.in) {
				t.Errorf("%s in chunks of %d: forwarded %q of %q", name, chunk, out, tt.in)
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
