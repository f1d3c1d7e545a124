package observe

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestRepeatsAreCountedAndNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type summary struct {
			kind string
			left suppressed
		}
		told := make(chan summary, 2)
		l := &logLimiter{suppressed: func(kind string, left suppressed) { told <- summary{kind, left} }}
		session := uint64(0)
		admitted := func(kind string, times int) (count int) {
			for range times {
				session++
				if l.admit(kind, session) {
					count++
				}
			}
			return count
		}
		for _, row := range []struct {
			kind        string
			times, want int
		}{{"upstream_refused", 1000, logBurst}, {"cert_expired", logBurst, logBurst}, {"upstream_refused", 5, 0}} {
			if got := admitted(row.kind, row.times); got != row.want {
				t.Errorf("%d of %d %s are logged, want %d", got, row.times, row.kind, row.want)
			}
		}
		time.Sleep(logPeriod - time.Nanosecond)
		synctest.Wait()
		if len(told) != 0 {
			t.Fatalf("summed up before the period is over: %v", <-told)
		}
		time.Sleep(time.Nanosecond)
		if got, want := <-told, (summary{"upstream_refused", suppressed{1005 - logBurst, logBurst + 1, 1005 + logBurst}}); got != want {
			t.Errorf("left out are %v, want %v", got, want)
		}
		if got := admitted("upstream_refused", 2*logBurst); got != logBurst {
			t.Errorf("%d are logged in the next period, want %d", got, logBurst)
		}
		l.flush() // the process ends
		if got, want := <-told, (summary{"upstream_refused", suppressed{logBurst, session - logBurst + 1, session}}); got != want {
			t.Errorf("left out at the end are %v, want %v", got, want)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(told) != 0 {
			t.Errorf("it goes on with %v", <-told)
		}
	})
}
