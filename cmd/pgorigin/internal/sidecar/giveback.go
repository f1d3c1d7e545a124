package sidecar

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// giveBackPeriod is how often memory is looked at. Two looks have to find it grown, so a burst is given
	// back within a minute.
	giveBackPeriod = 20 * time.Second
	// giveBackWorth is the growth, in bytes, that a collection is worth, beside a quarter of what there was.
	giveBackWorth = 4 << 20
)

// giveBackMemory returns to the kernel what a burst of sessions or of logins has left free. Go by itself
// keeps a tenth more than the heap had at its last collection, garbage included, for a process that is about
// to need it again; a sidecar may be idle until the next morning.
func (in *instance) giveBackMemory(ctx context.Context) {
	var level memoryLevel
	in.every(ctx, giveBackPeriod, func() bool {
		if level.grown(heldMemory()) {
			debug.FreeOSMemory()
			level.settle(heldMemory())
		}
		return true
	})
}

// heldMemory returns how many bytes Go has from the kernel.
func heldMemory() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}

// memoryLevel tells when a process holds much more memory than it needed when it was last looked at closely.
// The zero value has settled at nothing.
type memoryLevel struct {
	settled uint64 // bytes
	high    bool   // at the last look
}

// grown takes how much is held, and reports whether that is much more than what settled, for the second time
// running.
func (l *memoryLevel) grown(held uint64) bool {
	l.settled = min(l.settled, held)
	high := held > l.settled+l.settled/4+giveBackWorth
	twice := high && l.high
	l.high = high && !twice
	return twice
}

// settle takes what is held by a process that has just given back all that it does not need.
func (l *memoryLevel) settle(held uint64) { l.settled = held }
