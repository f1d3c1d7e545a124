package sidecar

import (
	"math"
	"runtime/debug"

	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
)

// gcPercent is how much the heap may grow, in percent of what is in use, before it is collected, unless GOGC
// says so. Half of Go's 100 saves a fifth of the memory of idle sessions (20 KiB for each instead of 25), for
// no processor time that could be measured, since only logins make garbage; 25 saves another fifth and makes
// logins a tenth more expensive.
const gcPercent = 50

// memoryPlan is what the garbage collector was told.
type memoryPlan struct {
	limit     int64  // in bytes, of everything that Go manages; math.MaxInt64 for none
	from      string // "cgroup", "GOMEMLIMIT" or "none"
	gcPercent int    // negative: off
}

// planMemory makes the garbage collector keep to its part of the memory limit of the cgroup, which is 0 for
// none: Go follows its CPU limit by itself, but learns of this one only from the kernel that kills it. The
// kernel keeps the buffers of sockets in the same cgroup, and a fifth stays free. GOMEMLIMIT and GOGC, Go's
// own variables, win.
func planMemory(env []string, limit, kernel int64) memoryPlan {
	plan := memoryPlan{from: "none"}
	if host.Lookup(env, "GOMEMLIMIT") != "" {
		plan.from = "GOMEMLIMIT"
	} else if limit > 0 {
		plan.from = "cgroup"
		debug.SetMemoryLimit(limit/5*4 - kernel)
	}
	plan.limit = debug.SetMemoryLimit(-1) // negative only asks
	if host.Lookup(env, "GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	plan.gcPercent = debug.SetGCPercent(gcPercent) // there is no way to only ask
	debug.SetGCPercent(plan.gcPercent)
	return plan
}

// MarshalLogObject makes a plan fit for a log line.
func (p memoryPlan) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("limit_from", p.from)
	if p.limit < math.MaxInt64 {
		enc.AddInt64("limit_bytes", p.limit)
	}
	enc.AddInt("gc_percent", p.gcPercent)
	return nil
}
