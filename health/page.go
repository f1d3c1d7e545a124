package health

import (
	"crypto/sha256"
	_ "embed" // of the style sheet
	"encoding/base64"
	"net/http"
	"strings"
)

//go:embed page.css
var pageStyle markup

// refreshSeconds is how often the page is fetched again by who asked for that: a page that moves by itself is a nuisance to
// who reads it with a screen reader or a magnifier.
const refreshSeconds = "15"

// statusPage answers with the status for people, 200 whatever the state. There is no script on it and nothing is fetched;
// should a text ever become markup, the browser is told to run and load nothing but this very style sheet.
func statusPage(snapshot func() Snapshot) http.Handler {
	sum := sha256.Sum256([]byte(pageStyle))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var page strings.Builder
		page.WriteString("<!DOCTYPE html>\n")
		document(snapshot(), r.URL.Query().Has("refresh")).write(&page)
		header := w.Header()
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", policy)
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte(page.String())) // a failed write means that the reader left
	})
}

// document is the whole page.
func document(s Snapshot, refresh bool) node {
	v := judge(s)
	again, link := all(), el("a", attr("href", "/?refresh"), text("Refresh every "+refreshSeconds+" s"))
	if refresh {
		again = el("meta", attr("http-equiv", "refresh"), attr("content", refreshSeconds))
		link = el("a", attr("href", "/"), text("Stop refreshing"))
	}
	origins := all()
	for i, o := range s.Origins {
		origins.inside = append(origins.inside, o.section(s.Time, i, len(s.Origins) > 1))
	}
	return el("html", attr("lang", "en"), attr("dir", "ltr"),
		el("head",
			el("meta", attr("charset", "utf-8")),
			el("meta", attr("name", "viewport"), attr("content", "width=device-width, initial-scale=1")),
			el("meta", attr("name", "color-scheme"), attr("content", "light dark")),
			again,
			el("title", text(v.word+" · pgorigin")),
			el("style", node{raw: pageStyle}),
		),
		el("body",
			el("header",
				el("p.brand", el("b", text("pgorigin")), text(" "), el("small", text(s.Version))),
				el("p", text("As of "), clock(s.Time, s.Time), text(" UTC "), link),
			),
			el("main", v.section(), s.summary(), origins, s.process()),
			el("footer", el("p", text("More: "),
				el("a", attr("href", "/statusz"), text("all of this as JSON")), text(", "),
				el("a", attr("href", "/readyz?verbose"), text("conditions as text")), text(", "),
				el("a", attr("href", "/metrics"), text("metrics")), text(". Times are in UTC.")),
			),
		),
	)
}

// section says whether it works and, if not, what is wrong and what to change.
func (v verdict) section() node {
	list := el("ul")
	for _, f := range v.findings {
		title := f.title
		if f.origin != "" {
			title = f.origin + ": " + title
		}
		item := el("li", attr("class", f.level.class()), el("h2", f.level.sign(), text(title)), el("p", foreign(f.text)))
		if f.cure != "" {
			item.inside = append(item.inside, cure(f.cure))
		}
		item.inside = append(item.inside, el("p.when", f.times))
		list.inside = append(list.inside, item)
	}
	if len(v.findings) == 0 {
		list = all()
	}
	return el("section", attr("class", "verdict "+v.level.class()), attr("aria-labelledby", "verdict"),
		el("h1", attr("id", "verdict"), v.level.sign(), text(v.word)), el("p.lead", text(v.sentence)), list)
}

// cure says what to change.
func cure(s string) node { return el("p.cure", el("b", text("What to change:")), text(" "+s)) }

// summary has a line for each of several origins.
func (s Snapshot) summary() node {
	if len(s.Origins) < 2 {
		return all()
	}
	rows := el("tbody")
	for i, o := range s.Origins {
		rows.inside = append(rows.inside, el("tr",
			header("row", el("a", attr("href", "#"+anchor(i)), text(o.Name))),
			el("td", o.state()), el("td", text(o.Sessions.now())), el("td", o.firstToEnd(s.Time))))
	}
	return box("h2", "Origins", "origins",
		el("table", el("thead", el("tr", header("col", text("Origin")), header("col", text("Upstream")),
			header("col", text("Sessions")), header("col", text("Its certificates")))), rows))
}

// header is a heading of a row or a column, as scope says.
func header(scope string, inside ...node) node {
	return el("th", append([]node{attr("scope", scope)}, inside...)...)
}

// process says what is common to all origins.
func (s Snapshot) process() node {
	checks := el("ul.checks")
	for _, c := range s.Conditions {
		item := el("li.good", good.sign(), el("b", text(c.Name)), text(" holds"))
		if c.Detail != "" {
			item.inside = append(item.inside, text(": "), foreign(c.Detail))
		}
		if !c.OK {
			item = el("li.bad", bad.sign(), el("b", text(c.Name)), text(" does not hold: "), foreign(c.Reason))
		}
		checks.inside = append(checks.inside, item)
	}
	for _, n := range s.Notes {
		checks.inside = append(checks.inside, el("li.warn", warn.sign(), el("b", text(n.Name)), text(": "), foreign(n.Text)))
	}
	about := list(
		term("Version", text(s.Version)), term("Revision", code(s.Revision)), term("Go", text(s.Go)), term("Platform", text(s.Platform)),
		term("Started", moment(s.Time, s.StartedAt)), term("FIPS 140-3", text(map[bool]string{true: "on", false: "off"}[s.FIPS])),
	)
	if s.GODEBUG != "" {
		about.inside = append(about.inside, term("GODEBUG", code(s.GODEBUG)))
	}
	return el("div.grid",
		box("h2", "Readiness", "readiness", checks),
		box("h2", "This process", "process", about))
}
