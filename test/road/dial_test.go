// Package road keeps the way through the ordinary case short.
package road

import (
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/road"
)

func TestDial(t *testing.T) {
	r, err := road.Walk(t.Context(), "../../tlsorigin", "TestPlainDial", "Dialer.Dial", func(string, string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if r.Stays > 34 || r.Returns > 13 {
		t.Errorf("following a plain dial takes %d stays in files and %d returns", r.Stays, r.Returns)
	}
}
