package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"sync"

	"github.com/pgorigin/pgorigin/health"
)

//go:embed templates
var files embed.FS

// Handler serves the page with status 200, whatever the state. It calls snapshot for each request.
func Handler(snapshot func() health.Snapshot) http.Handler {
	style := styleSheet()
	page := sync.OnceValue(func() *template.Template { // most processes never show it
		return template.Must(template.New("page.html").Funcs(functions()).ParseFS(files, "templates/*.html"))
	})
	sum := sha256.Sum256([]byte(style))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := newView(snapshot())
		v.Style, v.Refresh = style, r.URL.Query().Has("refresh")
		var out bytes.Buffer
		if err := page().Execute(&out, v); err != nil {
			http.Error(w, "render the status page: "+err.Error(), http.StatusInternalServerError)
			return
		}
		header := w.Header()
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", policy)
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(out.Bytes()) // a failed write means that the reader left
	})
}

// styleSheet returns the embedded style. Nothing else on the page is trusted not to need escaping.
func styleSheet() template.CSS {
	style, err := files.ReadFile("templates/page.css")
	if err != nil {
		panic(err) // it is embedded
	}
	return template.CSS(style)
}

func functions() template.FuncMap {
	return template.FuncMap{
		"text": text, "times": times, "took": took,
		"keyExchange": keyExchange, "fallback": fallback, "listenAddr": listenAddr,
	}
}

// view is what page.html shows.
type view struct {
	health.Snapshot
	now
	Summary summary
	Origins []origin
	Style   template.CSS
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
