package tlsorigin

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// family is a root, an authority below it and a server's certificate of that one.
type family struct {
	root, between *tlstest.CA
	server        *tlstest.Pair
}

func newFamily() family {
	root := tlstest.NewCA("Test Root", tlstest.P256)
	between := root.Authority(tlstest.Authority{Name: "Between"})
	return family{root, between, between.Issue(tlstest.Leaf{DNSNames: []string{testName}})}
}

// dialKnown dials a peer that presents one pair after the other and returns the errors.
func dialKnown(t *testing.T, d **Dialer, ca *tlstest.CA, change func(*Config), pairs ...*tlstest.Pair) []error {
	t.Helper()
	next := make(chan *tlstest.Pair, len(pairs))
	p := peertest.Start(t, func(conn net.Conn) { peertest.Presents(<-next)(conn) })
	*d = newTestDialer(t, ca, change, p.Addr)
	var errs []error
	for _, pair := range pairs {
		next <- pair
		conn, err := (*d).Dial(t.Context(), nil)
		if err == nil {
			peertest.CheckEcho(t, conn)
			conn.Close()
		}
		errs = append(errs, err)
	}
	return errs
}

func TestKnownPeerIsVerifiedToTheRoots(t *testing.T) {
	for name, change := range map[string]func(*Config){"verify-full": nil, "verify-ca": func(c *Config) { c.VerifyCA = true }} {
		t.Run(name, func(t *testing.T) {
			f := newFamily()
			full := f.server.WithChain(f.between.Cert)
			var d *Dialer
			var lengths []int
			errs := dialKnown(t, &d, f.root, func(c *Config) {
				if change != nil {
					change(c)
				}
				c.Trace = &Trace{Attempt: func(a Attempt) { lengths = append(lengths, len(a.State.VerifiedChains[0])) }}
			}, full, full, full)
			if err := errors.Join(errs...); err != nil || fmt.Sprint(lengths) != "[3 3 3]" {
				t.Errorf("%v, chains of %v certificates", err, lengths)
			}
			if len(d.state.Load().policy.KnownChains([]*x509.Certificate{f.server.Leaf, f.between.Cert}, time.Now())) != 1 {
				t.Error("the list that was presented is not known")
			}
		})
	}
}

// What is remembered must not make anything pass that would not pass the first time.
func TestKnownPeerProvesNothingElse(t *testing.T) {
	f := newFamily()
	full := f.server.WithChain(f.between.Cert)
	forged := tlstest.SelfSigned(tlstest.Leaf{DNSNames: []string{testName}})
	for name, row := range map[string]struct {
		then *tlstest.Pair
		want Reason
	}{
		"the chain is not sent any more":   {f.server.WithChain(), ReasonCertUnknownAuthority},
		"another chain is sent":            {f.server.WithChain(newFamily().between.Cert), ReasonCertUnknownAuthority},
		"the same names by somebody else":  {newFamily().server.WithChain(f.between.Cert), ReasonCertUnknownAuthority},
		"self-signed, with the known leaf": {forged.WithChain(f.server.Leaf, f.between.Cert), ReasonCertUnknownAuthority},
	} {
		t.Run(name, func(t *testing.T) {
			var d *Dialer
			errs := dialKnown(t, &d, f.root, nil, full, row.then, full)
			var refused *Error
			if errs[0] != nil || !errors.As(errs[1], &refused) || refused.Kind != row.want || errs[2] != nil {
				t.Errorf("%v, want %s in the middle", errs, row.want)
			}
		})
	}
}
