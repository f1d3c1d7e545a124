//go:build !linux

package tlsorigin

import (
	"errors"
	"syscall"
)

// controlSocket has nothing to set.
func controlSocket(_, _ string, _ syscall.RawConn) error { return nil }

// readVitals cannot tell: TCP_INFO is Linux's. Keep-alive probes remain.
func readVitals(syscall.RawConn) (vitals, error) { return vitals{}, errors.ErrUnsupported }

func shutDown(syscall.RawConn) {}
