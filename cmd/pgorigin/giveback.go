package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	// giveBackPeriod is how long little has to be allocated until it is taken for calm.
	giveBackPeriod = time.Minute
	// giveBackWorth is what little is, in bytes: health probes and metrics take about half of it. Less than that since the
	// last time is not worth the collection either.
	giveBackWorth = 1 << 20
)

// giveBackMemory returns to the kernel what a burst of sessions or of logins has left free, in the first calm minute behind
// it. Go by itself keeps a tenth more than the heap had at its last collection, garbage included, for a process that is
// about to need it again; a sidecar may be idle until the next morning.
func (in *instance) giveBackMemory(ctx context.Context) {
	var calm calmness
	in.every(ctx, giveBackPeriod, func() bool {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		if calm.after(stats.TotalAlloc) {
			debug.FreeOSMemory()
		}
		return true
	})
}

// calmness tells when a time of calm has begun.
type calmness struct {
	before, settled uint64 // bytes that had been allocated at the last call, and when calm last began
}

// after takes how many bytes have been allocated since the process began, and reports whether that is little more than at
// the last call and much more than when it last returned true.
func (c *calmness) after(allocated uint64) bool {
	calm := allocated-c.before < giveBackWorth && allocated-c.settled >= giveBackWorth
	c.before = allocated
	if calm {
		c.settled = allocated
	}
	return calm
}
