package sidecar

import (
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/pgwire"
)

func TestPlanCapacity(t *testing.T) {
	const mb = 1 << 20
	for name, row := range map[string]struct {
		granted  resources
		sessions [2]int // from and to
		from     string
	}{
		"no limits":             {resources{}, [2]int{0, 0}, ""},
		"64 files":              {resources{descriptors: 64}, [2]int{8, 12}, "the limit of 64 open files"},
		"64 files, spares":      {resources{descriptors: 64, inUse: 8}, [2]int{4, 8}, "the limit of 64 open files"},
		"1024 files":            {resources{descriptors: 1024}, [2]int{350, 450}, "the limit of 1024 open files"},
		"hardly any files":      {resources{descriptors: 20}, [2]int{4, 4}, "the limit of 20 open files"},
		"64 MiB":                {resources{memory: 64 * mb, descriptors: 1 << 20}, [2]int{700, 900}, "the memory limit of 64 MiB"},
		"32 MiB":                {resources{memory: 32 * mb}, [2]int{270, 330}, "the memory limit of 32 MiB"},
		"hardly any memory":     {resources{memory: 4 * mb}, [2]int{4, 4}, "the memory limit of 4 MiB"},
		"a gigabyte":            {resources{memory: 1024 * mb}, [2]int{15_000, 19_000}, "the memory limit of 1024 MiB"},
		"files are scarcer":     {resources{memory: 1024 * mb, descriptors: 1024}, [2]int{350, 450}, "the limit of 1024 open files"},
		"a limit of their own":  {resources{memory: 64 * mb, maxSessions: 100}, [2]int{0, 0}, ""},
		"their own is too much": {resources{memory: 64 * mb, maxSessions: 9000}, [2]int{0, 0}, ""},
	} {
		p := planCapacity(row.granted)
		if p.sessions < row.sessions[0] || p.sessions > row.sessions[1] || p.from != row.from {
			t.Errorf("%s: %d sessions from %q, want %v from %q", name, p.sessions, p.from, row.sessions, row.from)
		}
		if p.logins < 1 || p.guests < 1 || p.cancels < 1 {
			t.Errorf("%s: %+v lets nobody in", name, p)
		}
		if files := row.granted.descriptors; files > 40 && p.sessions*2+p.guests+2*p.cancels+reservedDescriptors+row.granted.inUse > files {
			t.Errorf("%s: %+v is more than there is", name, p)
		}
		if memory := row.granted.memory; memory > 8*mb && row.granted.maxSessions == 0 {
			used := baseMemory + p.sessions*sessionMemory + p.logins*loginMemory + p.guests*guestMemory
			if int64(used) > memory/5*4 {
				t.Errorf("%s: %+v leaves less than a fifth of the memory", name, p)
			}
		}
		if warned := p.warning != ""; warned != (strings.Contains(name, "too much") || name == "hardly any files") {
			t.Errorf("%s: warning %q", name, p.warning)
		}
		var c pgwire.Capacity
		p.apply(&c, row.granted.memory)
		if c.Sessions != p.sessions || c.Logins != p.logins || c.Guests != p.guests || c.Cancels != p.cancels || c.SessionsFrom != p.from {
			t.Errorf("%s: %+v is not what was planned", name, &c)
		}
		if row.granted.memory > 64*mb && c.Pressed() || row.granted.memory == 4*mb && !c.Pressed() {
			t.Errorf("%s: pressed is wrong", name)
		}
	}
}

// Everything that takes descriptors beside sessions is counted before there are any.
func TestDescriptorsInUse(t *testing.T) {
	settings := config.Config{Origin: config.Origin{}, AdminAddr: "127.0.0.1:9633"}
	settings.Listen.Addr, settings.WarmSpares = []string{"unix:/run/a", "127.0.0.1:6432"}, 3
	s := &Sidecar{settings: settings}
	const want = 2 + 1 + 3 + adminDescriptors // a socket has a lock file
	if got := s.resources(0).inUse; got != want {
		t.Errorf("%d descriptors in use, want %d", got, want)
	}
}
