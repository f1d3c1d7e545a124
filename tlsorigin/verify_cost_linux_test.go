package tlsorigin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// maxMessage is the largest certificate message that crypto/tls reads.
const maxMessage = 256 << 10

// budget is what a peer that has proved nothing may cost.
const budget = 50 * time.Millisecond

// costOf returns what f costs this thread. If that is above the budget, f runs three times more, and the
// least counts in signature checks with P-521: they make up the budget, on slow machines and under the race
// detector, too.
func costOf(f func()) (checks float64, took time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	key, _ := ecdsa.GenerateKey(elliptic.P521(), cryptorand.Reader)
	sum := sha256.Sum256(nil)
	signature, _ := ecdsa.SignASN1(cryptorand.Reader, key, sum[:])
	if took = threadCost(f); took < budget {
		return 0, took
	}
	one := leastOfThree(func() { ecdsa.VerifyASN1(&key.PublicKey, sum[:], signature) })
	took = leastOfThree(f)
	return float64(took) / float64(one), took
}

func leastOfThree(f func()) time.Duration {
	return min(threadCost(f), threadCost(f), threadCost(f))
}

func threadCost(f func()) time.Duration {
	before := threadTime()
	f()
	return max(threadTime()-before, time.Microsecond)
}

// threadTime is the processor time of this thread. Getrusage counts it in ticks of milliseconds.
func threadTime() time.Duration {
	const threadClock = 3 // CLOCK_THREAD_CPUTIME_ID
	var now syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&now)), 0); errno != 0 {
		panic(errno)
	}
	return time.Duration(now.Nano())
}

// checkCost parses, verifies and explains a certificate message and holds it to the budget of a peer that has
// proved nothing: 50 ms of processor, which is 15 signature checks with P-521, and 2 KiB of text.
func checkCost(t *testing.T, d *Dialer, message [][]byte) {
	t.Helper()
	size, r := 0, route{name: testName}
	for _, der := range message {
		size += len(der)
	}
	if size > maxMessage {
		return
	}
	var failure *Error
	checks, took := costOf(func() {
		var sent []*x509.Certificate
		for _, der := range message {
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return // crypto/tls is done with it, too
			}
			sent = append(sent, cert)
		}
		state := &tlsState{policy: verify.NewPolicy(d.state.Load().policy.Roots())} // which remembers nothing
		_, err := state.policy.Verify(sent, testName, time.Now())
		var refused *verify.Refusal
		if failure = nil; errors.As(err, &refused) {
			a := d.newAttempt(r, state, time.Second, options{})
			failure = a.failure(a.certificateFailure(refused), err)
		}
	})
	if checks > 15 && took > budget {
		t.Errorf("%d bytes cost as much as %.1f signature checks, %v", size, checks, took)
	}
	if failure == nil {
		return
	}
	t.Logf("%d bytes: %v: %s: %s", size, took, failure.Kind, failure.Text)
	checkSafe(t, failure.Error())
	text := failure.Error() + fmt.Sprint(*failure.Peer)
	if len(text) > 6<<10 {
		t.Errorf("%d bytes of text with the certificate's description", len(text))
	}
}

// Whatever a peer sends costs little processor time.
func TestHostileCertificatesCostLittle(t *testing.T) {
	ca, peers := sharedHostilePeers()
	d := newTestDialer(t, ca, nil, "db.test:6432")
	for _, row := range peers {
		t.Run(row.name, func(t *testing.T) { checkCost(t, d, row.pair.TLS().Certificate) })
	}
}

// A refusal costs no more where many authorities are configured.
func TestManyRootsCostLittle(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	roots := []*x509.Certificate{ca.Cert}
	for i := range 20_000 {
		root := *ca.Cert
		root.Raw, root.RawSubject = fmt.Appendf(nil, "certificate %d", i), fmt.Appendf(nil, "name %d", i)
		roots = append(roots, &root)
	}
	stranger := tlstest.NewCA("Evil Root", tlstest.P256).Issue(named(nil))
	policy := verify.NewPolicy(roots)
	checks, took := costOf(func() {
		_, err := policy.Verify([]*x509.Certificate{stranger.Leaf}, testName, time.Now())
		var refused *verify.Refusal
		if !errors.As(err, &refused) || policy.Explain(refused, testName, time.Now()).Reason != verify.UnknownAuthority {
			t.Error(err)
		}
	})
	if checks > 15 && took > budget {
		t.Errorf("%.1f signature checks, %v", checks, took)
	}
}

// FuzzCertificateMessage puts messages together from certificates that were made to cost time. Their keys are
// cheap, for speed; what tries a lot more than it should is above the budget with them, too. Its input is a
// seed, for which there is nothing to minimise: that takes longer than the search.
func FuzzCertificateMessage(f *testing.F) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	pool := hostilePool(ca)
	d := newTestDialer(f, ca, nil, "db.test:6432")
	for i := range uint64(8) {
		f.Add(i, uint8(i*8))
	}
	f.Fuzz(func(t *testing.T, seed uint64, others uint8) {
		random := rand.New(rand.NewPCG(seed, 0))
		var message [][]byte
		for range 1 + int(others)%64 {
			message = append(message, pool[random.IntN(len(pool))])
		}
		checkCost(t, d, message)
	})
}

// hostilePool has the small certificates of hostilePeers, and authorities of four names of which each has
// vouched for each, in several versions.
func hostilePool(ca *tlstest.CA) (pool [][]byte) {
	names := []*tlstest.CA{ca.Intermediate("A", tlstest.P256), falseAuthority(ca, tlstest.P256), tlstest.NewCA("B", tlstest.P256), tlstest.NewCA("C", tlstest.Ed25519)}
	for _, signer := range names {
		pool = append(pool, signer.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}}).Leaf.Raw)
	}
	for _, signer := range append(names, ca) {
		for _, signed := range names {
			for i := range 2 {
				pool = append(pool, signer.CrossSign(signed, func(c *x509.Certificate) { c.DNSNames = []string{fmt.Sprint(i)} }).Cert.Raw)
			}
		}
	}
	for _, peer := range hostilePeers(ca, tlstest.P256) {
		for _, der := range peer.pair.TLS().Certificate[:min(3, len(peer.pair.TLS().Certificate))] {
			if len(der) < 24<<10 {
				pool = append(pool, der)
			}
		}
	}
	return pool
}
