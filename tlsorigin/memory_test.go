package tlsorigin

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// twoMachines is a town whose name has two good machines.
func twoMachines(t *testing.T) *town {
	w := newTown(t)
	w.is("db.test", "10.0.0.1", "10.0.0.2")
	w.put("10.0.0.1", peertest.PipeTo(w.good))
	w.put("10.0.0.2", peertest.PipeTo(w.good))
	return w
}

// TestBadAddressIsPassedOver: only the first dial pays for a black hole. A probe brings the address back.
func TestBadAddressIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		w.put("10.0.0.1", blackHole)
		w.expect("10.0.0.2", stagger)
		w.take()
		w.expect("10.0.0.2", 0)
		if dialled, _ := w.take(); strings.Contains(dialled, "10.0.0.1") {
			t.Errorf("within the hold %s was dialled", dialled)
		}
		time.Sleep(w.timeout + firstHold) // the probe that the race began has failed, and its hold is over
		w.expect("10.0.0.2", 0)
		w.expect("10.0.0.2", 0)
		if dialled, _ := w.take(); strings.Count(dialled, "10.0.0.1") != 1 {
			t.Errorf("after the hold %s was dialled, want one probe", dialled)
		}
		time.Sleep(time.Minute) // the probe has failed, the hold is over
		w.put("10.0.0.1", peertest.PipeTo(w.good))
		w.expect("10.0.0.2", 0)
		synctest.Wait()
		w.expect("10.0.0.1", 0) // the list is a preference again
		if _, changes := w.take(); changes != "10.0.0.1 good" {
			t.Errorf("changes: %s", changes)
		}
		w.checkClosed()
	})
}

// TestLostPacket: a race that is lost once costs that connect alone. The address keeps its preference.
func TestLostPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		for range 5 {
			w.put("10.0.0.1", func(ctx context.Context, network, addr string) (net.Conn, error) {
				w.put("10.0.0.1", peertest.PipeTo(w.good)) // what follows arrives
				return blackHole(ctx, network, addr)
			})
			w.expect("10.0.0.2", stagger)
			synctest.Wait()
			w.expect("10.0.0.1", 0)
		}
		w.checkClosed()
	})
}

// TestFarAddress: an address behind a long way keeps its preference, once it was verified.
func TestFarAddress(t *testing.T) {
	for _, way := range []time.Duration{200, 300, 450} {
		synctest.Test(t, func(t *testing.T) {
			w := twoMachines(t)
			way := way * time.Millisecond
			w.put("10.0.0.1", late(way, w.good))
			w.dial()
			time.Sleep(10 * time.Second)
			for range 3 {
				w.expect("10.0.0.1", 3*way)
			}
			// When it is gone, that shows within a second.
			w.put("10.0.0.1", blackHole)
			w.expect("10.0.0.2", min(2*way, maxStagger))
			w.checkClosed()
		})
	}
}

// TestNoProbesWithoutDials: nobody dials, so nothing is probed; and there is never more than one probe of an
// address in a hold.
func TestNoProbesWithoutDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		w.put("10.0.0.1", refuses)
		w.expect("10.0.0.2", 0)
		w.take()
		time.Sleep(5 * time.Minute)
		if dialled, _ := w.take(); dialled != "" {
			t.Errorf("dialled %s", dialled)
		}
		began := time.Now()
		for time.Since(began) < 5*time.Minute {
			w.expect("10.0.0.2", 0)
			time.Sleep(firstHold)
		}
		// Half a second doubling to 30 s: six probes in the first half minute, then nine or a few more, by jitter.
		dialled, _ := w.take()
		if n := strings.Count(dialled, "10.0.0.1"); n < 12 || n > 20 {
			t.Errorf("%d probes in five minutes", n)
		}
	})
}

// TestFailuresOfOneMomentCountOnce.
func TestFailuresOfOneMomentCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		w.put("10.0.0.1", refuses)
		w.put("10.0.0.2", refuses)
		for range 50 {
			w.expect("upstream_refused", 0)
		}
		for _, a := range w.Addresses() {
			if hold := time.Until(a.Due); a.State != AddressRefused || hold > firstHold || hold < firstHold*4/5 ||
				a.Err.Kind != ReasonUpstreamRefused {
				t.Errorf("%+v, held for %v", a, hold)
			}
		}
		w.put("10.0.0.2", peertest.PipeTo(w.good))
		w.expect("10.0.0.2", 0) // at once: where all are bad, all are tried
	})
}

// TestOldStatesAreForgotten: after ten minutes without a dial, the list alone decides.
func TestOldStatesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		w.put("10.0.0.1", refuses)
		w.expect("10.0.0.2", 0)
		time.Sleep(stateLife + time.Second)
		for _, a := range w.Addresses() {
			if a.State != AddressUnknown || a.Err != nil || !a.Due.IsZero() {
				t.Errorf("%+v", a)
			}
		}
		w.take()
		w.expect("10.0.0.2", 0)
		if dialled, changes := w.take(); !strings.HasPrefix(dialled, "10.0.0.1") || changes != "10.0.0.1 refused, 10.0.0.1 unknown, 10.0.0.2 good, 10.0.0.2 unknown" {
			t.Errorf("dialled %s, changes %s", dialled, changes)
		}
	})
}

// TestNotReady: a server that takes no logins completes handshakes. It is passed over for the hold, or until
// somebody logs in.
func TestNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		conn, err := w.Dial(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		first := conn.RemoteAddr()
		w.NotReady(first, errors.New("\x1b the database system is starting up"))
		w.expect("10.0.0.2", 0)
		again, err := w.Dial(t.Context(), first) // a cancel request goes there all the same
		if err != nil {
			t.Fatal(err)
		}
		again.Close()
		if a := w.Addresses()[1]; a.State != AddressNotReady || a.Resolved != first.String() || strings.Contains(a.Err.Error(), "\x1b") {
			t.Errorf("%+v", a)
		}
		w.expect("10.0.0.2", 0)
		time.Sleep(firstHold)
		w.expect("10.0.0.1", 0)
		w.NotReady(first, nil)
		if hold := time.Until(w.Addresses()[1].Due); hold <= firstHold || hold > 2*firstHold {
			t.Errorf("the second hold is %v", hold)
		}
		w.Ready(first)
		w.expect("10.0.0.1", 0)
		w.NotReady(&net.TCPAddr{}, nil) // not of this Dialer
		w.Ready(&Addr{TCP: &net.TCPAddr{}, Host: "other.test:1"})
	})
}

// TestAllNotReady: where all are bad, the first is tried.
func TestAllNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		targets, failure := w.Targets(t.Context())
		if failure != nil || len(targets) != 2 {
			t.Fatal(targets, failure)
		}
		for _, target := range targets {
			w.NotReady(target, nil)
		}
		w.expect("10.0.0.1", 0)
	})
}

// TestReloadForgetsFailing: new files may cure what failed in TLS, and nothing else.
func TestReloadForgetsFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		targets, _ := w.Targets(t.Context())
		for i, state := range []AddressState{AddressFailing, AddressRefused} {
			r, _ := w.routeTo(targets[i])
			w.addresses.failed(w.place(r), r, time.Now(), state, &Error{})
		}
		w.addresses.reloaded()
		if a := w.Addresses(); a[0].State != AddressUnknown || a[1].State != AddressRefused {
			t.Errorf("%+v", a)
		}
	})
}

// TestLateFailure: a dial that began before another one was verified knows nothing newer.
func TestLateFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		targets, _ := w.Targets(t.Context())
		w.put("10.0.0.1", blackHole)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, err := w.Dial(t.Context(), targets[0]); err == nil {
				t.Error("dialled")
			}
		}()
		time.Sleep(time.Second)
		w.put("10.0.0.1", peertest.PipeTo(w.good))
		w.expect("10.0.0.1", 0)
		<-done
		if a := w.Addresses()[0]; a.State != AddressGood {
			t.Errorf("%+v", a)
		}
	})
}

// TestMemoryIsBounded: a name may have other addresses each time, and each is new.
func TestMemoryIsBounded(t *testing.T) {
	a := addresses{known: map[place]*addressMemory{}, changed: func(AddressStatus, AddressStatus) {}}
	for i := range 3 * maxHosts {
		p := place{fmt.Sprintf("10.0.0.1:%d", i), testName}
		a.failed(p, route{}, time.Now(), AddressRefused, nil)
	}
	if len(a.known) != maxHosts {
		t.Errorf("%d places are remembered", len(a.known))
	}
}

// TestOldAddressesAreFew: where DNS names another address each time, only those are listed that may be in use.
func TestOldAddressesAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for machine, want := range map[string]int{"refuses": 1, "good": maxPerName} {
			w := newTown(t)
			for i := range 100 {
				ip := fmt.Sprintf("10.0.0.%d", i)
				w.is("db.test", ip)
				w.put(ip, refuses)
				if machine == "good" {
					w.put(ip, peertest.PipeTo(w.good))
				}
				w.dial()
				time.Sleep(time.Second)
			}
			if all := w.Addresses(); len(all) != want || all[0].Resolved != "10.0.0.99:6432" {
				t.Errorf("%s: %d addresses, the first is %s", machine, len(all), all[0].Resolved)
			}
		}
	})
}

// TestProbesAreBounded: of many bad addresses, a few are probed at one time, each once.
func TestProbesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		var ips []string
		for i := range maxPerName {
			ips = append(ips, fmt.Sprintf("10.0.0.%d", i))
			w.put(ips[i], refuses)
		}
		w.is("db.test", ips...)
		w.put(ips[15], peertest.PipeTo(w.good))
		w.expect(ips[15], 0)
		time.Sleep(firstHold)
		for _, ip := range ips[:15] {
			w.put(ip, blackHole)
		}
		w.take()
		for range 3 {
			w.expect(ips[15], 0)
		}
		if dialled, _ := w.take(); strings.Count(dialled, ",") != maxAddressProbes+2 {
			t.Errorf("dialled %s", dialled)
		}
	})
}

// TestBesideIsBounded: many dials of a black hole hold a bounded number of further connections.
func TestBesideIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		w.put("10.0.0.1", blackHole)
		open, most := 0, 0
		w.put("10.0.0.2", func(ctx context.Context, network, addr string) (net.Conn, error) {
			w.locked(func() { open++; most = max(most, open) })
			defer w.locked(func() { open-- })
			return late(50*time.Millisecond, w.good)(ctx, network, addr)
		})
		const clients = 100
		done := make(chan time.Duration)
		for range clients {
			go func() {
				_, took := w.dial()
				done <- took
			}()
		}
		for range clients {
			if took := <-done; took > 2*time.Second {
				t.Errorf("a dial took %v", took)
			}
		}
		if most > maxBeside {
			t.Errorf("%d at one time", most)
		}
		if n := len(w.beside); n != 0 {
			t.Errorf("%d places are lost", n)
		}
		w.checkClosed()
	})
}

// TestMayPass: which failures waiting may cure, alone and beside others.
func TestMayPass(t *testing.T) {
	fail := func(kind Reason, p past) *Error { return &Error{Kind: kind, past: p} }
	new, known := past{}, past{here: true, any: true}
	for _, row := range []struct {
		name     string
		failures []*Error
		want     bool
	}{
		{"refused", []*Error{fail(ReasonUpstreamRefused, new)}, true},
		{"no address", []*Error{fail(ReasonDNSNoAddress, new)}, true},
		{"no name", []*Error{fail(ReasonUpstreamDNS, new)}, true},
		{"gone", []*Error{fail(ReasonUpstreamGone, new)}, false},
		{"gone, known", []*Error{fail(ReasonUpstreamGone, known)}, true},
		{"gone, another is known", []*Error{fail(ReasonUpstreamGone, past{any: true})}, true},
		{"TLS timeout", []*Error{fail(ReasonTLSTimeout, new)}, false},
		{"TLS timeout by our own limits", []*Error{{Kind: ReasonTLSTimeout, Err: errOutwaited}}, true},
		{"TLS timeout, known", []*Error{fail(ReasonTLSTimeout, known)}, true},
		{"N", []*Error{fail(ReasonTLSRefused, known)}, false},
		{"certificate", []*Error{fail(ReasonCertNameMismatch, known)}, false},
		{"refused, and certificate", []*Error{fail(ReasonUpstreamRefused, new), fail(ReasonCertExpired, known)}, false},
		{"known and refused, and certificate", []*Error{fail(ReasonUpstreamRefused, known), fail(ReasonCertExpired, new)}, true},
		{"known without DNS, and certificate", []*Error{fail(ReasonUpstreamDNS, known), fail(ReasonCertExpired, new)}, true},
		{"not Postgres, and refused", []*Error{fail(ReasonNotPostgres, new), fail(ReasonUpstreamRefused, past{any: true})}, false},
	} {
		if got := furthest(row.failures).MayPass(); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

// TestMayPassLearns: what a Dialer has verified decides, with real failures.
func TestMayPassLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		wrong := peertest.PipeTo(eager(peertest.PipeServer(tlstest.NewCA("Other Root", tlstest.P256))))
		w.put("10.0.0.1", refuses)
		w.put("10.0.0.2", wrong)
		if failure := dialFailure(t, w.Dialer); failure.MayPass() || failure.Kind != ReasonCertUnknownAuthority {
			t.Errorf("may pass: %v", failure)
		}
		w.put("10.0.0.1", peertest.PipeTo(w.good))
		w.expect("10.0.0.1", 0)
		w.put("10.0.0.1", refuses)
		if failure := dialFailure(t, w.Dialer); !failure.MayPass() || failure.Kind != ReasonCertUnknownAuthority {
			t.Errorf("may not pass: %v", failure)
		}
		w.locked(func() { delete(w.names, "db.test") })
		if failure := dialFailure(t, w.Dialer); !failure.MayPass() || failure.Kind != ReasonUpstreamDNS {
			t.Errorf("may not pass: %v", failure)
		}
		if !errors.As(error(dialFailure(t, w.Dialer)), new(*net.DNSError)) || errors.As(error(dialFailure(t, w.Dialer)), new(x509.UnknownAuthorityError)) {
			t.Error("the cause is lost")
		}
	})
}

// TestWaitedIsToldOnce, at the end, however long the text is.
func TestWaitedIsToldOnce(t *testing.T) {
	e := &Error{Kind: ReasonUpstreamRefused, Addr: "db.test:1", Text: "refused", Waited: 14 * time.Second}
	if got, want := e.Error(), "upstream db.test:1: refused; waited 14s for it"; got != want {
		t.Errorf("got %s", got)
	}
	e.Waited = 499 * time.Millisecond
	if got, want := e.Error(), "upstream db.test:1: refused"; got != want {
		t.Errorf("got %s", got)
	}
	e.Waited = 14 * time.Second
	e.Text = strings.Repeat("x", 1000)
	e.Others = []*Error{{Text: e.Text}, {Text: e.Text}, {Text: e.Text, Waited: time.Second}}
	if got := e.Error(); len(got) > 2048 || !strings.HasSuffix(got, "; waited 14s for it") || strings.Count(got, "waited") != 1 {
		t.Errorf("got %d bytes: %s", len(got), got)
	}
}
