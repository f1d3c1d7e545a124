package advice

import (
	"testing"
	"time"
)

func TestExpiry(t *testing.T) {
	const day = 24 * time.Hour
	for _, row := range []struct {
		name       string
		left, life time.Duration
		want       Urgency
	}{
		{"fresh", 89 * day, 90 * day, NotUrgent},
		{"two weeks", 14 * day, 90 * day, NotUrgent},
		{"less", 14*day - 1, 90 * day, Soon},
		{"three days", 3 * day, 90 * day, Soon},
		{"less still", 3*day - 1, 90 * day, Now},
		{"expired", -day, 90 * day, Now},
		{"a day, just renewed", 23 * time.Hour, day, NotUrgent},
		{"a day, not renewed in time", 5 * time.Hour, day, Soon},
		{"a day, nearly over", time.Hour, day, Now},
	} {
		at := time.Now()
		end := at.Add(row.left)
		if got := Expiry(end.Add(-row.life), end, at); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}
