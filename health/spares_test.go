package health

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestSpareMetrics(t *testing.T) {
	m := NewMetrics(Options{Origins: []string{"default", "audit"}})
	m.WarmSpares("default", func() int { return 2 })
	m.WarmSpares("audit", func() int { return 0 })
	m.SpareUsed("default", "hit")
	m.SpareDiscarded("audit", "age")
	m.SpareDiscarded("audit", "boredom")
	page := scrape(t, Handler(new(Status), m))
	for _, want := range []string{
		`pgorigin_warm_spares_ready{origin="default"} 2`,
		`pgorigin_warm_spares_ready{origin="audit"} 0`,
		`pgorigin_warm_spare_checkouts_total{origin="default",result="hit"} 1`,
		`pgorigin_warm_spare_checkouts_total{origin="audit",result="miss"} 0`,
		`pgorigin_warm_spares_discarded_total{cause="age",origin="audit"} 1`,
		`pgorigin_warm_spares_discarded_total{cause="other",origin="audit"} 1`,
	} {
		if !strings.Contains(page, "\n"+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
