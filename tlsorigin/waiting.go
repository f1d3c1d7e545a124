package tlsorigin

import (
	"context"
	"time"
)

// This file has what package outage needs besides Dial: how far a dial is, whether anything answers, what it
// means to give a dial up, and what several failures mean together.

// connectedKey is the key of the function of WithConnected.
type connectedKey struct{}

// WithConnected returns a context in which Dial calls connected whenever it has a TCP connection. connected
// must not block.
func WithConnected(ctx context.Context, connected func()) context.Context {
	return context.WithValue(ctx, connectedKey{}, connected)
}

// tellConnected calls the function of WithConnected, if there is one.
func tellConnected(ctx context.Context) {
	if connected, ok := ctx.Value(connectedKey{}).(func()); ok {
		connected()
	}
}

// Heard returns when any dial last got a byte of any address. Zero means never. While a ClientHello may have
// vanished that another one will follow, the upstream is not silent.
func (d *Dialer) Heard() time.Time {
	d.waiters.mu.Lock()
	defer d.waiters.mu.Unlock()
	heard := d.waiters.heard
	if now := time.Now(); d.waiters.expecting.After(now) {
		return now
	}
	if d.waiters.expecting.After(heard) {
		return d.waiters.expecting
	}
	return heard
}

// Silent remembers that a dial of addr, which began then, was given up: the address did not answer in time. It
// returns that as the failure of the dial.
func (d *Dialer) Silent(addr *Addr, began time.Time, reason Reason, text string) *Error {
	failure := &Error{Kind: reason, Addr: addr.Host, Text: text}
	if r, err := d.routeTo(addr); err == nil {
		p := d.place(r)
		if failure.past = d.addresses.pastAt(p); failure.past.here && reason == ReasonUpstreamSilent {
			failure.Case = CaseRightPort
		}
		d.addresses.failed(p, r, began, AddressSilent, failure)
	}
	return failure
}

// Merge returns the failure that came furthest, with the others in it. There must be at least one.
func Merge(failures []*Error) *Error { return furthest(failures) }
