package verify

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// DateProblem reports that cert is outside its dates. Its text begins with a verb, for the caller to put the
// name in front.
func DateProblem(cert *x509.Certificate, now time.Time) *Problem {
	switch {
	case now.After(cert.NotAfter):
		return because(Expired, "expired %s, %s ago", stamp(cert.NotAfter), span(now.Sub(cert.NotAfter)))
	case now.Before(cert.NotBefore):
		return because(NotYetValid, "is not valid before %s, in %s (it is %s here)", stamp(cert.NotBefore),
			span(cert.NotBefore.Sub(now)), stamp(now))
	}
	return nil
}

// linkDateProblem is DateProblem for place i of a chain. The case says who has to act.
func linkDateProblem(chain []*x509.Certificate, i int, now time.Time) *Problem {
	found := DateProblem(chain[i], now)
	if found == nil || found.Reason != Expired {
		return found
	}
	expired := func(cert *x509.Certificate) bool { return now.After(cert.NotAfter) }
	switch last := len(chain) - 1; {
	case last == 0:
		found.Case = CaseTrustedLeaf
	case !slices.ContainsFunc(chain, func(cert *x509.Certificate) bool { return !expired(cert) }):
		found.Case = CaseClock
		if i == 0 {
			found.Text += fmt.Sprintf(" (it is %s here)", stamp(now))
		}
	case i == last:
		found.Case = CaseTrusted
	case i > 0:
		found.Case = CaseMiddle
	}
	return found
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// span writes a duration in the largest unit of which there are at least two, rounded down. The reader wants
// to know whether a clock is wrong or somebody forgot to renew.
func span(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "days"}, {time.Hour, "hours"}, {time.Minute, "minutes"}} {
		if d >= 2*unit.of {
			return fmt.Sprintf("%d %s", d/unit.of, unit.name)
		}
	}
	return d.Round(time.Second).String()
}
