//go:build !linux

package evloop

import "net"

// HungUp always returns false: on this system an end is noticed when something is read or written.
func HungUp(net.Conn) bool { return false }

// Undelivered always returns false on this system.
func Undelivered(net.Conn) bool { return false }
