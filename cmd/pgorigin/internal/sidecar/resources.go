package sidecar

import (
	"fmt"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"strings"

	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire"
)

// Costs in bytes, measured with 2,000 and more sessions under a memory limit. docs/reference/limits.md shows
// the sum.
const (
	baseMemory    = 8 << 20  // of the process without sessions
	sessionMemory = 45 << 10 // of a session, with buffers of the kernel and of one TLS record
	kernelMemory  = 6 << 10  // the kernel's part of sessionMemory
	loginMemory   = 96 << 10 // of a login, in addition to its session
	guestMemory   = 16 << 10 // of a connection that is not a session

	tlsSessionMemory = 44 << 10 // more, of a session whose client has TLS; 24 KiB of it while it is idle
	tlsGuestMemory   = 48 << 10 // more, of a connection that is in the handshake
)

// pressedPercent of the memory limit may be in use when another session begins.
const pressedPercent = 85

const (
	// reservedDescriptors are for everything but sessions: the process, health, metrics, reloads, lookups.
	reservedDescriptors = 32
	// adminDescriptors are for the admin endpoints: the listener and its connections.
	adminDescriptors = 1 + health.MaxConnections
)

// A large machine gets the first limits, which are pgwire's own where it has some. The smallest machine
// gets the second ones.
const (
	mostLogins, fewestLogins   = 512, 16
	mostGuests, fewestGuests   = pgwire.MaxPending, 8
	mostCancels, fewestCancels = pgwire.MaxCancels, 2
	fewestSessions             = 4
)

// resources are the limits of the machine, and what the settings use before the first client comes.
type resources struct {
	memory      int64 // limit of the cgroup in bytes; zero: none
	descriptors int   // limit of open files; zero: none
	maxSessions int   // sum of MAX_SESSIONS; zero: an origin has no limit
	inUse       int   // descriptors of listeners and spares
	clientTLS   bool  // clients may have TLS
}

// capacityPlan is what pgwire.Capacity is set to. Zero means no limit.
type capacityPlan struct {
	sessions, logins, guests, cancels int

	from    string // the resource that limits sessions; empty: none
	kernel  int64  // bytes that the kernel may use for so many sessions
	warning string // why the settings allow more than there is room for; empty: they do not
}

// planCapacity shares out resources. It leaves a fifth of the memory free, because the kernel kills a process
// that reaches its limit, with every session.
func planCapacity(r resources) capacityPlan {
	p := capacityPlan{sessions: math.MaxInt, logins: mostLogins, guests: mostGuests, cancels: mostCancels}
	if r.descriptors > 0 {
		rest := r.descriptors - reservedDescriptors - r.inUse
		p.guests = between(fewestGuests, rest/8, mostGuests)
		p.cancels = between(fewestCancels, rest/16, mostCancels)
		p.sessions = max((rest-p.guests-2*p.cancels)/2, fewestSessions)
		p.from = fmt.Sprintf("the limit of %d open files", r.descriptors)
		if needed := r.descriptors - rest + p.guests + 2*p.cancels + 2*p.sessions; needed > r.descriptors {
			p.warning = fmt.Sprintf("the limit of %d open files is too low: %d are needed for %d sessions",
				r.descriptors, needed, p.sessions)
		}
	}
	if r.memory > 0 {
		room := r.memory / 5 * 4
		session, guest := int64(sessionMemory), int64(guestMemory)
		if r.clientTLS {
			session, guest = session+tlsSessionMemory, guest+tlsGuestMemory
		}
		p.logins = between(fewestLogins, int(room/8/loginMemory), mostLogins)
		p.guests = min(p.guests, between(fewestGuests, int(room/16/guest), mostGuests))
		used := baseMemory + int64(p.logins)*loginMemory + int64(p.guests)*guest
		sessions := max(int((room-used)/session), fewestSessions)
		if r.maxSessions > sessions {
			p.warning = fmt.Sprintf("%sMAX_SESSIONS allows %d sessions in all, "+
				"but the memory limit of %s leaves room for about %d",
				config.Prefix, r.maxSessions, mebibytes(r.memory), sessions)
		}
		if r.maxSessions == 0 && sessions < p.sessions {
			p.sessions, p.from = sessions, "the memory limit of "+mebibytes(r.memory)
		}
	}
	expected := p.sessions
	if r.maxSessions > 0 {
		expected = min(expected, r.maxSessions)
	}
	if p.from == "" {
		p.sessions = 0
	}
	if r.memory > 0 {
		p.kernel = min(int64(expected), r.memory/4/kernelMemory) * kernelMemory
	}
	return p
}

// between returns n, but at least low and at most high.
func between(low, n, high int) int { return min(max(low, n), high) }

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

// apply sets c before the first client is accepted. Under a memory limit, c also checks the memory in use,
// because the cost of a session depends on its queries.
func (p capacityPlan) apply(c *pgwire.Capacity, memory int64) {
	c.Sessions, c.SessionsFrom = p.sessions, p.from
	c.Logins, c.Guests, c.Cancels = p.logins, p.guests, p.cancels
	if memory > 0 {
		c.Pressed = func() bool {
			kernel := int64(c.InUse()) * kernelMemory
			return int64(heldMemory())+kernel > memory/100*pressedPercent
		}
	}
}

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (p capacityPlan) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	if p.sessions > 0 {
		enc.AddInt("sessions", p.sessions)
		enc.AddString("sessions_from", p.from)
	}
	enc.AddInt("logins", p.logins)
	enc.AddInt("guests", p.guests)
	enc.AddInt("cancels", p.cancels)
	return nil
}

// resources returns the limits, given the memory limit of the cgroup.
func (s *Sidecar) resources(memory int64) resources {
	r := resources{memory: memory, descriptors: host.DescriptorLimit()}
	unlimited := false
	for _, o := range s.settings.AllOrigins() {
		r.inUse += len(o.Listen.Addr) + o.WarmSpares
		for _, addr := range o.Listen.Addr {
			if strings.HasPrefix(addr, config.UnixScheme) {
				r.inUse++ // the lock file
			}
		}
		r.maxSessions += o.MaxSessions
		r.clientTLS = r.clientTLS || o.ListensSelfSigned() || o.ListensWithFiles()
		unlimited = unlimited || o.MaxSessions == 0
	}
	if unlimited {
		r.maxSessions = 0
	}
	if !s.settings.AdminAddr.Off() {
		r.inUse += adminDescriptors
	}
	return r
}

// planResources shares out descriptors and memory, whose limit in bytes is memory. Zero means no limit. env
// may have GOMEMLIMIT and GOGC.
func (s *Sidecar) planResources(env []string, memory int64) {
	s.plan = planCapacity(s.resources(memory))
	s.plan.apply(s.capacity, memory)
	s.memory = planMemory(env, memory, s.plan.kernel)
	if s.plan.warning != "" {
		s.warnings = append(s.warnings, config.Warning{Text: s.plan.warning})
	}
}

// gcPercent is the growth of the heap, in percent of what is in use, that starts a collection, unless GOGC is
// set. Compared with Go's 100, it saves a fifth of the memory of idle sessions at no measurable cost: only
// logins make garbage. 25 would save another fifth, and make logins a tenth more expensive.
const gcPercent = 50

// memoryPlan is how the garbage collector is set.
type memoryPlan struct {
	limit     int64  // of everything that Go manages, in bytes; math.MaxInt64: none
	from      string // "cgroup", "GOMEMLIMIT" or "none"
	gcPercent int    // negative: off
}

// planMemory sets the garbage collector by the memory limit of the cgroup, which Go does not read itself.
// Zero means no limit. The buffers of sockets, kernel bytes of them, count against the same limit, and a
// fifth of it stays free. GOMEMLIMIT and GOGC in env take precedence.
func planMemory(env []string, limit, kernel int64) memoryPlan {
	plan := memoryPlan{from: "none"}
	if host.Getenv(env, "GOMEMLIMIT") != "" {
		plan.from = "GOMEMLIMIT"
	} else if limit > 0 {
		plan.from = "cgroup"
		debug.SetMemoryLimit(limit/5*4 - kernel)
	}
	plan.limit = debug.SetMemoryLimit(-1) // a negative limit changes nothing
	if host.Getenv(env, "GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	plan.gcPercent = debug.SetGCPercent(gcPercent) // the only way to read it is to change it
	debug.SetGCPercent(plan.gcPercent)
	return plan
}

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (p memoryPlan) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("limit_from", p.from)
	if p.limit < math.MaxInt64 {
		enc.AddInt64("limit_bytes", p.limit)
	}
	enc.AddInt("gc_percent", p.gcPercent)
	return nil
}

// heldMemory returns how many bytes Go has from the kernel.
func heldMemory() uint64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}
