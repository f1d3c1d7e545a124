package pgtest

import (
	"testing"
	"time"
)

// Watchdog fails a fuzz target that does not return: an endless loop is a finding too.
func Watchdog(t *testing.T) {
	timer := time.AfterFunc(10*time.Second, func() { panic("fuzz target hangs: " + t.Name()) })
	t.Cleanup(func() { timer.Stop() })
}
