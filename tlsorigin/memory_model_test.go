package tlsorigin

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// addressModel is what one address must be, by the words of the documentation.
type addressModel struct {
	state    AddressState
	due      time.Time // of a bad state
	used     time.Time
	verified time.Time
	probing  bool
}

func (m *addressModel) bad(now time.Time) bool {
	if m.state == AddressNotReady {
		return now.Before(m.due)
	}
	return m.state != AddressUnknown && m.state != AddressGood
}

// FuzzAddressStates plays failures, successes, probes and pauses in any order.
func FuzzAddressStates(f *testing.F) {
	f.Add([]byte{0x01, 0x11, 0x40, 0x01, 0x31, 0x02, 0x50, 0x06, 0x01})
	f.Add([]byte{0x03, 0x40, 0x40, 0x02, 0x60, 0x07, 0x70, 0x00, 0x13, 0x23, 0x08})
	f.Fuzz(func(t *testing.T, events []byte) {
		synctest.Test(t, func(t *testing.T) { playAddresses(t, events[:min(len(events), 500)]) })
	})
}

func playAddresses(t *testing.T, events []byte) {
	const machines = 4
	w := newTown(t)
	var ips []string
	for i := range machines {
		ips = append(ips, fmt.Sprintf("10.0.0.%d", i))
	}
	w.is("db.test", ips...)
	targets, failure := w.Targets(t.Context())
	if failure != nil {
		t.Fatal(failure)
	}
	models := make([]addressModel, machines)
	for i := range models {
		models[i] = addressModel{state: AddressUnknown, used: time.Now()}
	}
	for _, event := range events {
		i := int(event>>4) % machines
		m, target := &models[i], targets[i]
		r, _ := w.routeTo(target)
		p, now := w.place(r), time.Now()
		known := w.addresses.knows(p)
		if known && now.Sub(m.used) > stateLife {
			m.state, m.due = AddressUnknown, time.Time{}
		}
		touch := func() { m.used = now }
		fail := func(state AddressState) {
			touch()
			again := m.bad(now) && now.Before(m.due) // within the hold, nothing is counted
			m.state = state
			w.addresses.failed(p, r, now, state, &Error{Kind: ReasonUpstreamRefused})
			due := w.addresses.known[p].status.Due
			if again && !due.Equal(m.due) {
				t.Errorf("within a hold, its end moved from %v to %v", m.due, due)
			}
			if hold := due.Sub(now); hold > maxHold || !again && hold < firstHold*4/5 {
				t.Errorf("a hold of %v", hold)
			}
			m.due = due
		}
		switch event & 0x0f {
		case 0:
			touch()
			m.verified = now
			w.addresses.succeeded(p, r, 0)
			if m.state != AddressNotReady {
				m.state, m.due = AddressGood, time.Time{}
			}
		case 1:
			fail(AddressRefused)
		case 2:
			fail(AddressSilent)
		case 3:
			fail(AddressFailing)
		case 4, 5: // a dial that began long ago
			if m.verified.IsZero() {
				break
			}
			touch()
			w.addresses.failed(p, r, m.verified.Add(-1), AddressSilent, nil)
		case 6:
			touch()
			again := m.bad(now) && now.Before(m.due)
			w.NotReady(target, nil)
			if due := w.addresses.known[p].status.Due; again && !due.Equal(m.due) {
				t.Error("not ready again moved the hold")
			} else {
				m.due = due
			}
			m.state = AddressNotReady
		case 7:
			touch()
			w.Ready(target)
			m.state, m.due = AddressGood, time.Time{}
		case 8:
			w.addresses.reloaded()
			for j := range models {
				// An old state is forgotten in any case.
				if models[j].state == AddressFailing {
					models[j].state, models[j].due = AddressUnknown, time.Time{}
				}
			}
		case 9, 10:
			may := w.addresses.mayProbe(p)
			stale := known && now.Sub(m.used) > stateLife
			want := m.bad(now) && m.state != AddressNotReady && !now.Before(m.due) && !m.probing
			if may != want && !stale {
				t.Errorf("%s: a probe may start: %v", m.state, may)
			}
			m.probing = m.probing || may
		case 11:
			if m.probing {
				w.addresses.probed(p)
				m.probing = false
			}
		case 12:
			if known {
				touch()
			}
			if got := w.addresses.isBad(p, r); got != m.bad(now) {
				t.Errorf("%s is bad: %v", m.state, got)
			}
		case 13:
			time.Sleep(firstHold)
		case 14:
			time.Sleep(maxHold)
		case 15:
			time.Sleep(stateLife / 2)
		}
		checkAddresses(t, w, models)
	}
}

// checkAddresses compares what the Dialer says with models, and the order with that of the list.
func checkAddresses(t *testing.T, w *town, models []addressModel) {
	t.Helper()
	now, order := time.Now(), []int{}
	for _, bad := range []bool{false, true} {
		for i := range models {
			forgotten := now.Sub(models[i].used) > stateLife
			if (models[i].bad(now) && !forgotten) == bad {
				order = append(order, i)
			}
		}
	}
	all := w.Addresses()
	if len(all) != len(models) {
		t.Fatalf("%d addresses", len(all))
	}
	for place, a := range all {
		i := int(netip.MustParseAddrPort(a.Resolved).Addr().As4()[3])
		m := models[i]
		if now.Sub(m.used) > stateLife {
			m = addressModel{state: AddressUnknown, verified: m.verified}
		}
		if i != order[place] {
			t.Errorf("address %d stands at %d, want the order %v", i, place, order)
		}
		if a.State != m.state || !a.Due.Equal(m.due) || !a.Verified.Equal(m.verified) {
			t.Errorf("address %d is %s until %v, want %s until %v", i, a.State, a.Due, m.state, m.due)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}
