package health

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// report is what an endpoint with conditions has to say, and its answer in JSON.
type report struct {
	Check      string      `json:"check"`  // the endpoint: "readyz"
	Status     string      `json:"status"` // "ok" or "failed"
	Conditions []Condition `json:"conditions"`
	Notes      []Note      `json:"notes"`
}

// conditions answers 200 when every condition holds and 503 else. Machines read the status code; the body is for people,
// and ?verbose lists every condition and note in the style of kube-apiserver. ?exclude=NAME, more than once if need be,
// leaves a condition out. ?format=json, or Accept, asks for JSON.
func conditions(name string, read func() []Condition, notes func() []Note) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		all := report{Check: name, Status: "ok", Conditions: read(), Notes: notes()}
		all.exclude(query["exclude"])
		code := http.StatusOK
		if !allHold(all.Conditions) {
			code, all.Status = http.StatusServiceUnavailable, "failed"
		}
		w.Header().Set("Vary", "Accept")
		switch {
		case query.Get("format") == "json", query.Get("format") == "" && strings.Contains(r.Header.Get("Accept"), "application/json"):
			answerJSON(w, code, all)
		case query.Has("verbose"):
			answer(w, code, all.verbose())
		default:
			answer(w, code, all.brief())
		}
	})
}

// exclude takes conditions out of the verdict. A name that is none is noted, for it is a typing error somewhere.
func (r *report) exclude(names []string) {
	for _, name := range names {
		i := slices.IndexFunc(r.Conditions, func(c Condition) bool { return c.Name == name })
		if i < 0 {
			r.Notes = append(r.Notes, Note{"exclude", fmt.Sprintf("there is no condition %q now", name)})
			continue
		}
		r.Conditions[i].Excluded = true
	}
}

// brief is ok, or the reasons alone.
func (r *report) brief() string {
	var reasons strings.Builder
	for _, c := range r.Conditions {
		if !c.OK && !c.Excluded {
			fmt.Fprintf(&reasons, "%s: %s\n", c.Name, c.Reason)
		}
	}
	if reasons.Len() == 0 {
		return "ok\n"
	}
	return reasons.String()
}

// verbose has a line for each condition and note, and the verdict.
func (r *report) verbose() string {
	var lines strings.Builder
	for _, c := range r.Conditions {
		switch {
		case c.Excluded:
			fmt.Fprintf(&lines, "[+]%s excluded: ok\n", c.Name)
		case !c.OK:
			fmt.Fprintf(&lines, "[-]%s failed: %s\n", c.Name, c.Reason)
		case c.Detail != "":
			fmt.Fprintf(&lines, "[+]%s ok: %s\n", c.Name, c.Detail)
		default:
			fmt.Fprintf(&lines, "[+]%s ok\n", c.Name)
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&lines, "[!]%s: %s\n", n.Name, n.Text)
	}
	verdict := "passed"
	if r.Status != "ok" {
		verdict = "failed"
	}
	fmt.Fprintf(&lines, "%s check %s\n", r.Check, verdict)
	return lines.String()
}
