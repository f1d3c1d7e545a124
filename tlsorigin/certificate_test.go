package tlsorigin

import (
	"testing"
	"time"
)

func TestDaysLeft(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for left, want := range map[time.Duration]int{
		3*day - time.Hour: 2, day: 1, time.Hour: 0, -time.Second: -1, -day: -1, -day - time.Hour: -1, -2*day - time.Hour: -2,
	} {
		if got := DaysLeft(now.Add(left), now); got != want {
			t.Errorf("%v: %d, want %d", left, got, want)
		}
	}
}
