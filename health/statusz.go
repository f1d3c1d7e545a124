package health

import (
	"encoding/json"
	"net/http"
)

// statusz answers 200 whatever the state: it is to be read, not to be probed.
func statusz(s *Status) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, s.Snapshot())
	})
}

// answerJSON writes a whole JSON response, indented because people read it, too.
func answerJSON(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	_ = out.Encode(value) // a failed write means that the reader left
}
