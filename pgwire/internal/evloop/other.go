//go:build !linux

package evloop

import (
	"errors"
	"net"
)

// Group has no loops on this system.
type Group struct{}

// Busy does nothing.
func (*Group) Busy(int64) {}

// Add returns an error.
func (*Group) Add(*Pair, Relay, *Socket, *Socket) error { return errors.ErrUnsupported }

// Pair is never part of a loop on this system.
type Pair struct{}

// Wake does nothing.
func (*Pair) Wake() {}

// AwaitBatch does nothing.
func (*Pair) AwaitBatch(*Socket, int) {}

// AwaitAny does nothing.
func (*Pair) AwaitAny(*Socket) {}

// Socket cannot be made on this system.
type Socket struct {
	net.Conn
	Readable, HungUp bool
}

// NewSocket returns an error.
func NewSocket(net.Conn) (*Socket, error) { return nil, errors.ErrUnsupported }

// BatchTimedOut returns false.
func (*Socket) BatchTimedOut() bool { return false }

// WasRead does nothing.
func (*Socket) WasRead(bool, error) {}

// HasRoom returns true.
func (*Socket) HasRoom() bool { return true }

// GiveBack returns an error.
func (*Socket) GiveBack() (net.Conn, error) { return nil, errors.ErrUnsupported }
