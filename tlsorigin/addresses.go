package tlsorigin

import (
	"context"
	"net"
	"time"
)

// AddressState is what is known about one resolved address.
type AddressState string

// The states.
const (
	AddressUnknown     AddressState = "unknown"     // not tried, or not for a long time
	AddressGood        AddressState = "good"        // verified
	AddressRefused     AddressState = "refused"     // refuses TCP, or ends connections before TLS
	AddressUnreachable AddressState = "unreachable" // no route, or no host
	AddressSilent      AddressState = "silent"      // does not answer
	AddressFailing     AddressState = "failing"     // answers, and fails in TLS or in verification
	AddressNotReady    AddressState = "not_ready"   // verified, and takes no logins for now: see Dialer.NotReady
)

// AddressStates returns all states.
func AddressStates() []AddressState {
	return []AddressState{
		AddressUnknown, AddressGood, AddressRefused, AddressUnreachable, AddressSilent, AddressFailing,
		AddressNotReady,
	}
}

// AddressStatus is what the Dialer remembers about one resolved address.
type AddressStatus struct {
	Addr     string // host:port as configured
	Resolved string // address and port
	State    AddressState
	Since    time.Time // of State
	Verified time.Time // the last time that it was verified; zero: never
	Err      *Error    // the latest failure; nil in the states good and unknown
	Due      time.Time // not before then it is tried again while another address is good; zero: at any time
}

// Addresses returns what is remembered, in the order in which Dial would try the addresses.
func (d *Dialer) Addresses() []AddressStatus { return nil }

// Targets returns all addresses of the upstream, resolved anew, in the order in which Dial would try them. The
// error says why there is none.
func (d *Dialer) Targets(context.Context) ([]*Addr, *Error) { return nil, nil }

// NotReady says that a verified upstream has refused a login for a reason that passes: it starts or stops.
// addr is the RemoteAddr of the connection.
func (d *Dialer) NotReady(addr net.Addr, why error) {}

// MayPass reports whether waiting may cure the failure. It may not cure a wrong certificate, or a TLS that is
// refused.
func (e *Error) MayPass() bool { return false }
