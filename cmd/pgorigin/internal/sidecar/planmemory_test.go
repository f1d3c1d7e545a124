package sidecar

import (
	"runtime/debug"
	"testing"
)

func TestPlanMemory(t *testing.T) {
	limit, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	restore := func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	}
	t.Cleanup(restore)
	const limited, kernel = 10_000_000_000, 1_000_000_000
	debug.SetGCPercent(77)
	for name, row := range map[string]struct {
		env   []string
		limit int64
		want  memoryPlan
	}{
		"limit":           {nil, limited, memoryPlan{7_000_000_000, "cgroup", gcPercent}},
		"no limit":        {nil, 0, memoryPlan{limit, "none", gcPercent}},
		"GOMEMLIMIT wins": {[]string{"GOMEMLIMIT=1GiB"}, limited, memoryPlan{limit, "GOMEMLIMIT", gcPercent}},
		"GOGC wins":       {[]string{"GOGC=77"}, limited, memoryPlan{7_000_000_000, "cgroup", 77}},
	} {
		restore()
		debug.SetGCPercent(77) // as the runtime has it from GOGC, or another than ours
		if got := planMemory(row.env, row.limit, kernel); got != row.want || debug.SetMemoryLimit(-1) != row.want.limit {
			t.Errorf("%s: %+v, want %+v", name, got, row.want)
		}
	}
}
