package sidecar

import (
	"fmt"
	"math"
	"strings"

	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
	"github.com/pgorigin/pgorigin/pgwire"
)

// What things cost in bytes, measured with 2,000 sessions and upwards under a memory limit;
// docs/reference/limits.md shows the sum.
const (
	baseMemory    = 8 << 20  // the process at rest
	sessionMemory = 45 << 10 // a session with the kernel's buffers and TLS's buffer for one whole record
	kernelMemory  = 6 << 10  // the kernel's part of that
	loginMemory   = 96 << 10 // a login more than that, while it lasts
	guestMemory   = 16 << 10 // a connection that is no session
)

// pressedPercent of the memory limit may be in use when another session is taken on.
const pressedPercent = 85

const (
	// reservedDescriptors are for what runs beside sessions: the process itself, health and metrics,
	// reloads, name lookups.
	reservedDescriptors = 32
	// adminDescriptors are what the admin endpoints add: their listener, and the connections that
	// health.Serve takes.
	adminDescriptors = 17
)

// The bounds that hold where the machine sets no closer one, and those that are kept on the smallest.
const (
	mostLogins, fewestLogins   = 512, 16
	mostGuests, fewestGuests   = pgwire.MaxPending, 8
	mostCancels, fewestCancels = pgwire.MaxCancels, 2
	fewestSessions             = 4
)

// resources are what the machine grants, and what the settings use of it before the first client comes.
type resources struct {
	memory      int64 // of the cgroup in bytes; 0 for no limit
	descriptors int   // open files; 0 for no limit
	maxSessions int   // what the settings allow in all; 0 for no limit
	inUse       int   // descriptors of listeners and spares
}

// capacityPlan is what follows from resources. Zero bounds nothing.
type capacityPlan struct {
	sessions, logins, guests, cancels int

	from   string // what sessions follows from
	kernel int64  // memory that the kernel may use for so many sessions
	doubt  string // "" or why the settings promise more than there is room for
}

// planCapacity shares out what there is. A fifth of the memory stays free: a limit that is reached kills
// every session.
func planCapacity(r resources) capacityPlan {
	p := capacityPlan{sessions: math.MaxInt, logins: mostLogins, guests: mostGuests, cancels: mostCancels}
	if r.descriptors > 0 {
		rest := r.descriptors - reservedDescriptors - r.inUse
		p.guests = between(fewestGuests, rest/8, mostGuests)
		p.cancels = between(fewestCancels, rest/16, mostCancels)
		p.sessions = max((rest-p.guests-2*p.cancels)/2, fewestSessions)
		p.from = fmt.Sprintf("the limit of %d open files", r.descriptors)
		if needed := r.descriptors - rest + p.guests + 2*p.cancels + 2*p.sessions; needed > r.descriptors {
			p.doubt = fmt.Sprintf(
				"the limit of %d open files may not do: %d are needed for as few as %d sessions",
				r.descriptors, needed, p.sessions)
		}
	}
	if r.memory > 0 {
		room := r.memory / 5 * 4
		p.logins = between(fewestLogins, int(room/8/loginMemory), mostLogins)
		p.guests = min(p.guests, between(fewestGuests, int(room/16/guestMemory), mostGuests))
		used := baseMemory + int64(p.logins)*loginMemory + int64(p.guests)*guestMemory
		sessions := max(int((room-used)/sessionMemory), fewestSessions)
		if r.maxSessions > sessions {
			p.doubt = fmt.Sprintf(
				"%sMAX_SESSIONS allows %d sessions in all, but the memory limit of %s leaves room "+
					"for about %d",
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

func between(low, n, high int) int { return min(max(low, n), high) }

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

// apply puts the plan in force. No client may have been accepted yet. Under a memory limit it is also
// watched: what a session costs depends on what it does.
func (p capacityPlan) apply(c *pgwire.Capacity, memory int64) {
	c.Sessions, c.SessionsFrom, c.Logins, c.Guests, c.Cancels = p.sessions, p.from, p.logins,
		p.guests, p.cancels
	if memory > 0 {
		c.Pressed = func() bool {
			kernel := int64(c.InUse()) * kernelMemory
			return int64(heldMemory())+kernel > memory/100*pressedPercent
		}
	}
}

// MarshalLogObject makes a plan fit for a log line.
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

// resources returns what the machine grants. memory is the limit of the cgroup, 0 for none.
func (in *instance) resources(memory int64) resources {
	r := resources{memory: memory, descriptors: host.DescriptorLimit()}
	unlimited := false
	for _, o := range in.settings.AllOrigins() {
		r.inUse += len(o.Listen.Addr) + int(o.WarmSpares)
		for _, addr := range o.Listen.Addr {
			if strings.HasPrefix(addr, config.UnixScheme) {
				r.inUse++ // its lock file
			}
		}
		r.maxSessions += int(o.MaxSessions)
		unlimited = unlimited || o.MaxSessions == 0
	}
	if unlimited {
		r.maxSessions = 0
	}
	if !in.settings.AdminAddr.Off() {
		r.inUse += adminDescriptors
	}
	return r
}

// planResources shares out memory and descriptors. env may say what Go's collector is to do.
func (in *instance) planResources(env []string, memory int64) {
	in.plan = planCapacity(in.resources(memory))
	in.plan.apply(in.room, memory)
	in.memory = planMemory(env, memory, in.plan.kernel)
	if in.plan.doubt != "" {
		in.doubts = append(in.doubts, config.Warning{Text: in.plan.doubt})
	}
}
