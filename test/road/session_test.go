package road

import (
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/road"
)

func TestSession(t *testing.T) {
	r, err := road.Walk(t.Context(), "../../pgwire", "TestPlainSession", "session.serve", func(string, string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if r.Stays > 59 || r.Returns > 41 {
		t.Errorf("following a plain session takes %d stays in files and %d returns", r.Stays, r.Returns)
	}
}
