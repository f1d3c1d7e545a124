package health

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"testing"
	"time"
)

func TestStatusz(t *testing.T) {
	origin := OriginSnapshot{Name: "default", Listen: []string{"127.0.0.1:6432"}}
	new(Record).Describe(&origin)
	for name, row := range map[string]struct {
		prepare func(*Status)
		want    Snapshot
	}{
		"starting": {func(*Status) {}, Snapshot{
			Live:       true,
			Conditions: []Condition{{Name: "listener", Reason: "not bound yet"}},
		}},
		"ready": {func(s *Status) { s.Started() }, Snapshot{
			Started: true, Live: true, Ready: true, Conditions: []Condition{{Name: "listener", OK: true}},
		}},
		"a note bears on nothing": {func(s *Status) {
			s.Started()
			s.AddNote("certificates", func() string { return "reload failed" })
			s.AddNote("silent", func() string { return "" })
		}, Snapshot{
			Started: true, Live: true, Ready: true, Conditions: []Condition{{Name: "listener", OK: true}},
			Notes: []Note{{"certificates", "reload failed"}},
		}},
		"draining, and all that can fails": {func(s *Status) {
			fails := func() (string, error) { return "", errors.New("refused") }
			s.AddStartup("upstream", fails)
			s.AddLiveness("accept", fails)
			s.AddReadiness("upstream", fails)
			s.Started()
			s.Drain()
		}, Snapshot{
			Draining: true, Conditions: []Condition{
				{Name: "listener", OK: true},
				{Name: "draining", Reason: "told to stop; running sessions may finish"},
				{Name: "upstream", Reason: "refused"},
			},
		}},
		"an origin": {func(s *Status) {
			s.About = About{Version: "v1.2.3", FIPS: true}
			s.AddOrigin(func() OriginSnapshot { return origin })
		}, Snapshot{
			About: About{Version: "v1.2.3", FIPS: true}, Live: true, Conditions: []Condition{{Name: "listener", Reason: "not bound yet"}},
			Origins: []OriginSnapshot{origin},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var s Status
			row.prepare(&s)
			answer := ask(t, Handler(&s, http.NotFoundHandler(), http.NotFoundHandler()), http.MethodGet, "/statusz")
			var got Snapshot
			if err := json.Unmarshal([]byte(answer.body), &got); err != nil {
				t.Fatalf("%v in %s", err, answer.body)
			}
			if time.Since(got.Time) > time.Minute || got.Time.Location() != time.UTC {
				t.Errorf("time is %v", got.Time)
			}
			got.Time = time.Time{}
			for _, list := range []any{&row.want.Notes, &row.want.Origins} { // lists in JSON even when there is nothing in them
				if v := reflect.ValueOf(list).Elem(); v.IsNil() {
					v.Set(reflect.MakeSlice(v.Type(), 0, 0))
				}
			}
			if answer.code != http.StatusOK || !reflect.DeepEqual(got, row.want) {
				t.Errorf("%d %+v,\nwant 200 %+v", answer.code, got, row.want)
			}
		})
	}
}
