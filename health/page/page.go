package page

import (
	"crypto/sha256"
	_ "embed" // of the style sheet
	"encoding/base64"
	"net/http"
	"strconv"

	"github.com/pgorigin/pgorigin/health"
)

//go:generate go tool qtc -skipLineComments -file page.html
//go:generate go tool qtc -skipLineComments -file origin.html
//go:generate go tool qtc -skipLineComments -file parts.html

//go:embed page.css
var styleSheet string

// Handler serves the page with status 200, whatever the state. It calls snapshot for each request.
func Handler(snapshot func() health.Snapshot) http.Handler {
	sum := sha256.Sum256([]byte(styleSheet))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := newView(snapshot())
		v.Refresh = r.URL.Query().Has("refresh")
		header := w.Header()
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", policy)
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte(document(v))) // a failed write means that the client left
	})
}

// view is what page.html shows.
type view struct {
	health.Snapshot
	now
	Summary summary
	Origins []origin
	Refresh bool // the page reloads itself, because the reader asked for it
}

func newView(s health.Snapshot) view {
	v := view{Snapshot: s, now: now{s.Time}, Summary: summarize(s)}
	for i, o := range s.Origins {
		v.Origins = append(v.Origins, origin{
			OriginSnapshot: o, now: v.now, ID: "origin-" + strconv.Itoa(i), Several: v.Several(),
		})
	}
	return v
}

// Several reports whether there is more than one origin.
func (v view) Several() bool { return len(v.Snapshot.Origins) > 1 }
