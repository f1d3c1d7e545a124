package tlsorigin

import "context"

// This file has what package outage needs besides Dial: how far a dial is, and what several failures mean
// together.

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

// Merge returns the failure that came furthest, with the others in it. There must be at least one.
func Merge(failures []*Error) *Error { return furthest(failures) }
