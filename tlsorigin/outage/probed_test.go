package outage

import (
	"errors"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// TestProbedSaysWhy: Probed and Away name one reason.
func TestProbedSaysWhy(t *testing.T) {
	inBubble(t, patience, []string{"a", "b"}, func(t *testing.T, r *rig) {
		var latest error
		r.Line.options.Trace.Probed = func(_ *tlsorigin.Error, why error) { latest = why }
		r.set(refused)
		r.client(t.Context(), 0)
		for _, h := range []health{refused, dropped, hung} {
			r.set(h, "b")
			r.pass(time.Second + 500*time.Millisecond)
			if _, why, away := r.Away(); !away || !errors.Is(latest, why) {
				t.Errorf("Probed says %v, Away says %v", latest, why)
			}
		}
	})
}
