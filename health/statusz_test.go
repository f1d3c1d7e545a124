package health

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
)

func TestStatusz(t *testing.T) {
	for name, row := range map[string]struct {
		prepare func(*Status)
		want    statusReport
	}{
		"starting": {func(*Status) {}, statusReport{
			Conditions: []statusCondition{{"listener", false, "listener: not bound yet"}}, Notes: []statusNote{},
		}},
		"ready": {func(s *Status) { s.Started() }, statusReport{
			Started: true, Ready: true, Conditions: []statusCondition{{"listener", true, ""}}, Notes: []statusNote{},
		}},
		"a note bears on nothing": {func(s *Status) {
			s.Started()
			s.AddNote("certificates", func() string { return "reload failed" })
			s.AddNote("silent", func() string { return "" })
		}, statusReport{
			Started: true, Ready: true, Conditions: []statusCondition{{"listener", true, ""}},
			Notes: []statusNote{{"certificates", "reload failed"}},
		}},
		"draining, and a check fails": {func(s *Status) {
			s.Started()
			s.Drain()
			s.AddCheck("upstream", func() error { return errors.New("refused") })
		}, statusReport{
			Started: true, Draining: true, Conditions: []statusCondition{
				{"listener", true, ""}, {"draining", false, errDraining.Error()}, {"upstream", false, "upstream: refused"},
			}, Notes: []statusNote{},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var s Status
			row.prepare(&s)
			w := httptest.NewRecorder()
			Handler(&s, NewMetrics(Options{})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/statusz", nil))
			var got statusReport
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%v in %s", err, w.Body)
			}
			if w.Code != http.StatusOK || !reflect.DeepEqual(got, row.want) {
				t.Errorf("%d %+v, want 200 %+v", w.Code, got, row.want)
			}
		})
	}
}
