package pgwire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// feedAll feeds in to a filter in chunks of at most n bytes.
func feedAll(in []byte, n int) (f *authFilter, out, rest []byte, err error) {
	f = &authFilter{}
	for len(in) > 0 && err == nil && !f.ready {
		k := min(n, len(in))
		out, rest, err = f.feed(out, in[:k])
		in = in[k:]
	}
	return f, out, append(bytes.Clone(rest), in...), err
}

func TestAuthFilter(t *testing.T) {
	key32 := "pid4" + strings.Repeat("s", 32)
	key256 := "pid4" + strings.Repeat("s", 256)
	ok, ready := pgtest.AuthenticationOk(), pgtest.ReadyForQuery('I')
	plus := pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
	plain := pgtest.AuthenticationSASL("SCRAM-SHA-256")
	refusal := pgtest.ErrorResponse("28P01", "password authentication failed")
	notice := pgtest.Message('N', "SNOTICE\x00\x00")

	tests := map[string]struct {
		in, out  []byte // out nil: same as in
		rest     string
		key      string
		state    string // of an ErrorResponse that passed
		rejected bool
		ready    bool
	}{
		"trust":                    {in: join(ok, pgtest.BackendKeyData("pid4key4"), ready), key: "pid4key4", ready: true},
		"SCRAM offer loses -PLUS":  {in: plus, out: plain},
		"offer without -PLUS":      {in: plain},
		"order is kept":            {in: pgtest.AuthenticationSASL("A", "B-PLUS", "C", "D-PLUS", "E"), out: pgtest.AuthenticationSASL("A", "C", "E")},
		"PLUS within a name":       {in: pgtest.AuthenticationSASL("X-PLUS-1", "PLUS")},
		"continue and final":       {in: join(plain, pgtest.Message('R', "\x00\x00\x00\x0br=1"), pgtest.Message('R', "\x00\x00\x00\x0cv=1"), ok)},
		"MD5":                      {in: pgtest.Message('R', "\x00\x00\x00\x05salt")},
		"cleartext":                {in: pgtest.Message('R', "\x00\x00\x00\x03")},
		"GSS token, large":         {in: join(pgtest.Message('R', "\x00\x00\x00\x08"+strings.Repeat("g", 60000)), ok)},
		"SSPI":                     {in: pgtest.Message('R', "\x00\x00\x00\x09")},
		"notice before login":      {in: join(notice, plus, ok, ready), out: join(notice, plain, ok, ready), ready: true},
		"version negotiation":      {in: join(pgtest.Message('v', "\x00\x00\x00\x02\x00\x00\x00\x00"), plus), out: join(pgtest.Message('v', "\x00\x00\x00\x02\x00\x00\x00\x00"), plain)},
		"bytes behind ready":       {in: join(ok, ready, []byte("any\x00thing")), out: join(ok, ready), rest: "any\x00thing", ready: true},
		"offer behind ready":       {in: join(ok, ready, plus), out: join(ok, ready), rest: string(plus), ready: true},
		"offer behind Ok":          {in: join(ok, plus, ready), ready: true},
		"no key":                   {in: join(ok, ready), ready: true},
		"32 byte key":              {in: join(ok, pgtest.BackendKeyData(key32), ready), key: key32, ready: true},
		"256 byte key":             {in: join(ok, pgtest.BackendKeyData(key256), ready), key: key256, ready: true},
		"257 byte key is not ours": {in: join(ok, pgtest.BackendKeyData(key256+"s"), ready), ready: true},
		"three byte key":           {in: join(ok, pgtest.BackendKeyData("pid4key"), ready), ready: true},
		"refusal":                  {in: refusal, state: "28P01", rejected: true},
		"refusal after the offer":  {in: join(plus, refusal), out: join(plain, refusal), state: "28P01", rejected: true},
		"huge refusal":             {in: pgtest.ErrorResponse("28P01", strings.Repeat("x", 2*maxHeldError)), rejected: true},
		"refusal without a code":   {in: pgtest.Message('E', "Mno\x00\x00"), rejected: true},
		"unterminated refusal":     {in: pgtest.Message('E', "C28P01"), rejected: true},
		"empty parameter":          {in: join(ok, pgtest.Message('S', "\x00\x00"), ready), ready: true},
	}
	for name, tt := range tests {
		if tt.out == nil {
			tt.out = tt.in
		}
		for _, chunk := range []int{1, 2, 3, 7, 1 << 20} {
			t.Run(name, func(t *testing.T) {
				f, out, rest, err := feedAll(tt.in, chunk)
				if err != nil || !bytes.Equal(out, tt.out) || string(rest) != tt.rest {
					t.Fatalf("chunks of %d: got %q, rest %q (%v), want %q, rest %q", chunk, out, rest, err, tt.out, tt.rest)
				}
				if f.cancelKey != tt.key || f.sqlState != tt.state || f.rejected != tt.rejected || f.ready != tt.ready {
					t.Errorf("key %q, state %q, rejected %v, ready %v", f.cancelKey, f.sqlState, f.rejected, f.ready)
				}
			})
		}
	}
}

func TestAuthFilterRefuses(t *testing.T) {
	tests := map[string]struct {
		in   string
		want Reason
	}{
		"length 0":                  {"S\x00\x00\x00\x00", ReasonUpstreamProtocol},
		"length 3":                  {"S\x00\x00\x00\x03", ReasonUpstreamProtocol},
		"length 2^31-1":             {"S\x7f\xff\xff\xff", ReasonUpstreamProtocol},
		"length 2^32-1":             {"S\xff\xff\xff\xff", ReasonUpstreamProtocol},
		"just above the limit":      {"S\x00\x10\x00\x00", ReasonUpstreamProtocol},
		"authentication, no code":   {"R\x00\x00\x00\x07\x00\x00\x00", ReasonUpstreamProtocol},
		"ready without a status":    {"Z\x00\x00\x00\x04", ReasonUpstreamProtocol},
		"ready that is too long":    {"Z\x00\x00\x00\x06II", ReasonUpstreamProtocol},
		"only PLUS":                 {string(pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS")), ReasonAuthChannelBinding},
		"empty list":                {"R\x00\x00\x00\x09\x00\x00\x00\x0a\x00", ReasonUpstreamProtocol},
		"no list":                   {"R\x00\x00\x00\x08\x00\x00\x00\x0a", ReasonUpstreamProtocol},
		"unterminated list":         {"R\x00\x00\x00\x0a\x00\x00\x00\x0aab", ReasonUpstreamProtocol},
		"list without its last NUL": {"R\x00\x00\x00\x0b\x00\x00\x00\x0aab\x00", ReasonUpstreamProtocol},
		"bytes behind the list":     {"R\x00\x00\x00\x0d\x00\x00\x00\x0aab\x00\x00x", ReasonUpstreamProtocol},
		"oversized list":            {"R\x00\x00\x20\x00\x00\x00\x00\x0aab", ReasonUpstreamProtocol},
	}
	for name, tt := range tests {
		for _, chunk := range []int{1, 1 << 20} {
			t.Run(name, func(t *testing.T) {
				_, out, _, err := feedAll([]byte(tt.in), chunk)
				d, ok := asDescribed(err)
				if !ok || Reason(d.Reason()) != tt.want {
					t.Fatalf("chunks of %d: got %q (%v), want reason %s", chunk, out, err, tt.want)
				}
				if len(out) > 0 {
					t.Errorf("forwarded %q of a message that was refused", out)
				}
			})
		}
	}
}

// A declared length is not a reason to allocate.
func TestAuthFilterHoldsLittle(t *testing.T) {
	for _, kind := range "RKEZSNv" {
		f := &authFilter{}
		_, _, _ = f.feed(nil, []byte{byte(kind), 0, 0x0f, 0xff, 0xff, 0, 0, 0, 10})
		if cap(f.held) > 64 {
			t.Errorf("%c: holds %d bytes for 9 that came", kind, cap(f.held))
		}
	}
}
