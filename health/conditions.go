package health

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// report is the response of an endpoint with conditions, and its JSON form.
type report struct {
	Check      string      `json:"check"`  // the endpoint: "readyz"
	Status     string      `json:"status"` // "ok" or "failed"
	Conditions []Condition `json:"conditions"`
	Notes      []Note      `json:"notes"`
}

// conditions answers 200 if every condition holds, else 503. Machines read the status code. People read the
// body. ?verbose lists every condition and note in the style of kube-apiserver. ?exclude=NAME leaves a
// condition out. It may be repeated. ?format=json or the Accept header asks for JSON.
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
		format := query.Get("format")
		if format == "" && strings.Contains(r.Header.Get("Accept"), "application/json") {
			format = "json"
		}
		switch {
		case format == "json":
			answerJSON(w, code, all)
		case query.Has("verbose"):
			answer(w, code, all.verbose())
		default:
			answer(w, code, all.brief())
		}
	})
}

// exclude leaves conditions out of the result. An unknown name becomes a note, because it is a typing error.
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

// brief is ok, or the reason of each condition that does not hold.
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

// verbose has a line for each condition and note, then the result.
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
	result := "passed"
	if r.Status != "ok" {
		result = "failed"
	}
	fmt.Fprintf(&lines, "%s check %s\n", r.Check, result)
	return lines.String()
}

// answer writes a whole plain-text response. A failed write means that the client left.
func answer(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(body))
}

// answerJSON writes a whole JSON response, indented for people.
func answerJSON(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	_ = out.Encode(value) // a failed write means that the client left
}
