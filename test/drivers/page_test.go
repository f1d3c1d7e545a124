//go:build drivers

package drivers

import (
	_ "embed"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/template"
)

// pagePath is the page, as seen from this folder.
const pagePath = "../../docs/reference/compatibility.md"

// versionsHeading begins the part of the page that is not compared.
const versionsHeading = "## Versions"

//go:embed testdata/page.md
var pageText string

// cell is what one driver did at one check, in one mode, against one upstream.
type cell struct{ driver, check, mode, upstream string }

// results collects what all runs say. Safe for concurrent use.
type results struct {
	mu       sync.Mutex
	lines    map[cell]line
	versions map[string]string // by driver
	order    []string          // the drivers' names
}

func newResults(drivers []driver) *results {
	r := &results{lines: map[cell]line{}, versions: map[string]string{}}
	for _, d := range drivers {
		r.order = append(r.order, d.name)
	}
	return r
}

// add takes over one run and fails the test for everything that is not as it should be.
func (r *results) add(t *testing.T, run *run, out outcome) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	name := fmt.Sprintf("%s, %s, %s", run.driver.name, run.mode, run.upstream.name)
	if out.err != nil {
		t.Errorf("%s: %v", name, out.err)
	}
	seen := map[string]line{}
	for _, l := range out.lines {
		if l.Version != "" {
			r.versions[run.driver.name] = l.Version
			continue
		}
		seen[l.Check] = l
	}
	for _, check := range checks {
		l, found := seen[check.name]
		switch {
		case !found:
			t.Errorf("%s: no result for %s", name, check.name)
		case l.OK == nil && l.Note == "":
			t.Errorf("%s: %s is not done, and no reason given", name, check.name)
		case l.OK != nil && !*l.OK:
			t.Errorf("%s: %s: %s", name, check.name, l.Note)
		}
		r.lines[cell{run.driver.name, check.name, run.mode, run.upstream.name}] = l
	}
}

// page writes docs/reference/compatibility.md.
func (r *results) page(t *testing.T, upstreams []*upstream) string {
	t.Helper()
	p := &page{results: r, upstreams: upstreams}
	funcs := template.FuncMap{
		"table": p.table, "notes": p.notes, "versions": p.versions,
		"unchanged": unchanged,
	}
	var out strings.Builder
	if err := template.Must(template.New("page").Funcs(funcs).Parse(pageText)).Execute(&out, nil); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// unchanged is the part of the page that the suite test/unchanged writes.
func unchanged() (string, error) {
	const begins, ends = "<!-- unchanged -->", "<!-- end of unchanged -->"
	text, err := os.ReadFile(pagePath)
	if err != nil {
		return "", err
	}
	_, part, found := strings.Cut(string(text), begins)
	part, _, foundEnd := strings.Cut(part, ends)
	if !found || !foundEnd {
		return "", fmt.Errorf("%s has no part between %q and %q", pagePath, begins, ends)
	}
	return begins + part + ends, nil
}

type page struct {
	*results
	upstreams []*upstream
	footnotes []string
}

// table is the table of one mode. A mark stands for all upstreams if they agree.
func (p *page) table(mode string) string {
	var out strings.Builder
	out.WriteString("| driver |")
	for _, check := range checks {
		fmt.Fprintf(&out, " %s |", check.title)
	}
	out.WriteString("\n| --- |" + strings.Repeat(" :-: |", len(checks)) + "\n")
	for _, d := range p.order {
		fmt.Fprintf(&out, "| %s |", d)
		for _, check := range checks {
			var marks []string
			for _, u := range p.upstreams {
				marks = append(marks, p.mark(p.lines[cell{d, check.name, mode, u.name}]))
			}
			if len(slices.Compact(slices.Clone(marks))) == 1 {
				marks = marks[:1]
			}
			fmt.Fprintf(&out, " %s |", strings.Join(marks, " / "))
		}
		out.WriteString("\n")
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// mark is a sign, with the number of a footnote if there is something to say.
func (p *page) mark(l line) string {
	sign := "✓"
	if l.OK == nil {
		sign = "–"
	}
	if l.Note == "" {
		return sign
	}
	i := slices.Index(p.footnotes, l.Note)
	if i < 0 {
		i = len(p.footnotes)
		p.footnotes = append(p.footnotes, l.Note)
	}
	return fmt.Sprintf("%s<sup>%d</sup>", sign, i+1)
}

func (p *page) notes() string {
	var out []string
	for i, note := range p.footnotes {
		out = append(out, fmt.Sprintf("%d. %s", i+1, note))
	}
	return strings.Join(out, "\n")
}

func (p *page) versions() string {
	var drivers, servers []string
	for _, row := range p.order {
		if version := p.results.versions[row]; !slices.Contains(drivers, version) {
			drivers = append(drivers, version)
		}
	}
	for _, u := range p.upstreams {
		servers = append(servers, u.version)
	}
	return "Servers:\n\n- " + strings.Join(servers, "\n- ") + "\n\nDrivers:\n\n- " + strings.Join(drivers, "\n- ")
}
