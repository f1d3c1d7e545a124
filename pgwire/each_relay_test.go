package pgwire

import "testing"

// eachRelay runs a test of the relay with copying goroutines and with event
// loops, where the system has them.
func eachRelay(t *testing.T, play func(t *testing.T, r *rig)) {
	t.Helper()
	for name, portable := range map[string]bool{"goroutines": true, "loop": false} {
		t.Run(name, func(t *testing.T) {
			play(t, newTCPRig(t, func(s *Server) { s.portable = portable }))
		})
	}
}
