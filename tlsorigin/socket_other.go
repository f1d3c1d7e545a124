//go:build !linux

package tlsorigin

import (
	"errors"
	"net"
	"syscall"
)

// TCP_INFO is Linux's. Elsewhere keep-alive probes remain.

func controlSocket(_, _ string, _ syscall.RawConn) error { return nil }

func readVitals(syscall.RawConn) (vitals, error) { return vitals{}, errors.ErrUnsupported }

func shutDown(syscall.RawConn) {}

func shrinkSegments(syscall.RawConn) {}

func packetsLost(net.Conn) bool { return false }
