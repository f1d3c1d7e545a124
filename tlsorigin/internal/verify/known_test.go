package verify

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

const testName = "db.test"

// family is a root, an authority below it and a server's certificate of that one.
type family struct {
	root, between *tlstest.CA
	server        *tlstest.Pair
}

func newFamily(betweenEnds time.Time) family {
	root := tlstest.NewCA("Test Root", tlstest.P256)
	between := root.Authority(tlstest.Authority{Name: "Between", Template: func(c *x509.Certificate) {
		if !betweenEnds.IsZero() {
			c.NotAfter = betweenEnds
		}
	}})
	return family{root, between, between.Issue(tlstest.Leaf{DNSNames: []string{testName}})}
}

func TestKnownPeerIsCheckedForWhatChanges(t *testing.T) {
	now := time.Now()
	betweenEnds := now.Add(24 * time.Hour)
	f := newFamily(betweenEnds)
	sent := []*x509.Certificate{f.server.Leaf, f.between.Cert}
	newPolicy := func(t *testing.T) *Policy {
		policy := NewPolicy([]*x509.Certificate{f.root.Cert})
		if _, err := policy.Verify(sent, testName, now); err != nil {
			t.Fatal(err)
		}
		if len(policy.KnownChains(sent, now)) != 1 || len(*policy.known.Load()) != 1 {
			t.Fatal("not remembered")
		}
		return policy
	}
	t.Run("dates of an authority", func(t *testing.T) {
		policy := newPolicy(t)
		if _, err := policy.Verify(sent, testName, betweenEnds.Add(time.Second)); err == nil {
			t.Error("accepted after the authority has expired")
		}
	})
	t.Run("pins", func(t *testing.T) {
		policy := newPolicy(t)
		policy.Pins = PinSet{{}}
		if _, err := policy.Verify(sent, testName, now); !errors.Is(err, errPolicy) {
			t.Errorf("with a foreign pin: %v", err)
		}
	})
	t.Run("name", func(t *testing.T) {
		for _, name := range []string{"other.test", ""} {
			var wrong x509.HostnameError
			if _, err := newPolicy(t).Verify(sent, name, now); !errors.As(err, &wrong) {
				t.Errorf("name %q: %v", name, err)
			}
		}
	})
	t.Run("never accepted", func(t *testing.T) {
		policy := NewPolicy([]*x509.Certificate{f.root.Cert})
		foreign := newFamily(time.Time{})
		_, stranger := policy.Verify([]*x509.Certificate{foreign.server.Leaf, foreign.between.Cert}, testName, now)
		_, misnamed := policy.Verify(sent, "other.test", now)
		if stranger == nil || misnamed == nil || policy.known.Load() != nil {
			t.Errorf("%v, %v; remembered: %v", stranger, misnamed, policy.known.Load())
		}
	})
}

func TestRememberHasLimits(t *testing.T) {
	f := newFamily(time.Time{})
	policy := NewPolicy([]*x509.Certificate{f.root.Cert})
	chains := [][]*x509.Certificate{{f.server.Leaf, f.between.Cert, f.root.Cert}}
	for i := range 3 * maxKnown {
		policy.remember([]*x509.Certificate{f.between.Issue(tlstest.Leaf{DNSNames: []string{fmt.Sprint(i)}}).Leaf}, chains)
		if n := len(*policy.known.Load()); n < 1 || n > maxKnown {
			t.Fatalf("%d lists after %d", n, i+1)
		}
	}
	other := NewPolicy([]*x509.Certificate{f.root.Cert})
	if other.known.Load() != nil {
		t.Error("another policy knows them, too")
	}
}

// Servers that share an address present more lists than are remembered: a list has its own chains or none.
func TestKnownPeersModel(t *testing.T) {
	f := newFamily(time.Time{})
	policy := NewPolicy([]*x509.Certificate{f.root.Cert})
	var leaves []*x509.Certificate
	for i := range maxKnown + 8 {
		leaves = append(leaves, f.between.Issue(tlstest.Leaf{DNSNames: []string{fmt.Sprint(i)}}).Leaf)
	}
	var clients sync.WaitGroup
	for worker := range 4 {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(6, uint64(worker)))
			for range 2000 {
				leaf := leaves[random.IntN(len(leaves))]
				sent := []*x509.Certificate{leaf}
				policy.remember(sent, [][]*x509.Certificate{{leaf, f.between.Cert, f.root.Cert}})
				other := leaves[random.IntN(len(leaves))]
				chains := policy.KnownChains([]*x509.Certificate{other}, time.Now())
				if len(chains) > 0 && chains[0][0] != other {
					t.Error("a list has the chains of another")
				}
				if n := len(*policy.known.Load()); n > maxKnown {
					t.Errorf("%d lists", n)
				}
			}
		})
	}
	clients.Wait()
}
