// Package road keeps the way through the ordinary case short.
package road

import (
	"slices"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/road"
)

// optional lists the files of what a reader of a dial may skip: each is one call in dial.go, with a name that
// says what it is for.
var optional = []string{
	"admission.go", "hosts.go", "liveness.go", "lookups.go", "memory.go", "observe.go", "race.go", "reload.go",
	"resumption.go", "retry.go", "waiting.go",
}

// The bounds are figures of today. To raise one is a decision about how easy a dial is to follow.
func TestDial(t *testing.T) {
	run, err := road.Record(t.Context(), "../../tlsorigin", "TestPlainDial")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name           string
		skip           func(file, function string) bool
		stays, returns int
	}{
		{
			"without optional steps", func(file, _ string) bool { return slices.Contains(optional, file) }, 8,
			3,
		},
		{"with them", func(string, string) bool { return false }, 31, 15},
	} {
		r, err := run.Read("Dialer.Dial", row.skip)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %v", row.name, r)
		if r.Stays > row.stays || r.Returns > row.returns {
			t.Errorf("%s a plain dial takes %d stays in files and %d returns, want at most %d and %d",
				row.name, r.Stays, r.Returns, row.stays, row.returns)
		}
	}
}
