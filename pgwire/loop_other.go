//go:build !linux

package pgwire

import "sync/atomic"

// loops exist on Linux alone. Elsewhere two goroutines copy.
//
//nolint:gochecknoglobals // as on Linux
var loops struct{ logins atomic.Int64 }

func (*session) joinLoop() bool { return false }
