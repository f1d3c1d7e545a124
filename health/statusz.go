package health

import (
	"encoding/json"
	"net/http"
)

// statusReport is the body of /statusz.
type statusReport struct {
	Started    bool              `json:"started"`
	Draining   bool              `json:"draining"`
	Ready      bool              `json:"ready"`
	Conditions []statusCondition `json:"conditions"` // of readiness
	Notes      []statusNote      `json:"notes"`      // what does not bear on readiness, such as a failed reload
}

type statusCondition struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

type statusNote struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// report reads the conditions and notes of this moment.
func (s *Status) report() statusReport {
	s.mu.Lock()
	r := statusReport{
		Started: s.started, Draining: s.draining, Ready: true,
		Conditions: []statusCondition{}, Notes: []statusNote{}, // lists in JSON even when there is nothing in them
	}
	s.mu.Unlock()
	for _, o := range s.readiness() {
		if o.note != "" {
			r.Notes = append(r.Notes, statusNote{o.name, o.note})
			continue
		}
		c := statusCondition{Name: o.name, OK: o.err == nil}
		if o.err != nil {
			c.Reason, r.Ready = o.err.Error(), false
		}
		r.Conditions = append(r.Conditions, c)
	}
	return r
}

// statusz answers 200 whatever the state: it is to be read, not to be probed.
func statusz(s *Status) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		_ = out.Encode(s.report()) // a failed write means that the reader left
	})
}
