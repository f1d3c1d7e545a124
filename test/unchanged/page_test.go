//go:build unchanged

package unchanged

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

// The table is a part of a page that the suite test/drivers writes.
const (
	pagePath = "../../docs/reference/compatibility.md"
	begins   = "<!-- unchanged -->\n"
	ends     = "<!-- end of unchanged -->\n"
)

//go:embed testdata/section.md
var sectionText string

// mark is what one driver did in one way, with something to say about it.
type mark struct {
	ok   bool
	note string
}

// table collects marks. Safe for concurrent use.
type table struct {
	drivers []driver
	mu      sync.Mutex
	marks   map[string][]mark // by driver and column
	notes   []string
}

func newTable(drivers []driver) *table { return &table{drivers: drivers, marks: map[string][]mark{}} }

func (t *table) add(d driver, column string, ok bool, note string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marks[d.name+column] = append(t.marks[d.name+column], mark{ok, note})
}

// compare compares the part of the page with what the run says, or writes it.
func (t *table) compare(test *testing.T) {
	test.Helper()
	text, err := os.ReadFile(pagePath)
	if err != nil {
		test.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begins)
	part, after, foundEnd := strings.Cut(rest, ends)
	if !found || !foundEnd {
		test.Fatalf("%s has no part between %q and %q", pagePath, begins, ends)
	}
	section := t.section(test)
	if *update {
		if err := os.WriteFile(pagePath, []byte(before+begins+section+ends+after), 0o644); err != nil {
			test.Fatal(err)
		}
		return
	}
	if part != section {
		test.Errorf("%s is not what the run says (make unchanged UPDATE=-update writes it); the run says:\n%s", pagePath, section)
	}
}

func (t *table) section(test *testing.T) string {
	test.Helper()
	funcs := template.FuncMap{"table": t.text, "notes": t.footnotes}
	var out strings.Builder
	if err := template.Must(template.New("section").Funcs(funcs).Parse(sectionText)).Execute(&out, nil); err != nil {
		test.Fatal(err)
	}
	return out.String()
}

// text is the table. A mark stands for all of its cell if they agree.
func (t *table) text() string {
	columns := []string{bouncerStrip, pgBridge, pgStrip, execPort, execSocket}
	var out strings.Builder
	out.WriteString("| driver | " + strings.Join(columns, " | ") + " |\n")
	out.WriteString("| --- |" + strings.Repeat(" :-: |", len(columns)) + "\n")
	for _, d := range t.drivers {
		out.WriteString("| " + d.name + t.note(d.urlNote) + " |")
		for _, column := range columns {
			var signs []string
			for _, m := range t.marks[d.name+column] {
				signs = append(signs, t.sign(m))
			}
			if len(slices.Compact(slices.Clone(signs))) == 1 {
				signs = signs[:1]
			}
			out.WriteString(" " + strings.Join(signs, " / ") + " |")
		}
		out.WriteString("\n")
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// sign is a mark with the number of its footnote.
func (t *table) sign(m mark) string {
	if m.ok {
		return "✓" + t.note(m.note)
	}
	return "✗" + t.note(m.note)
}

// note is the number of a footnote, if there is something to say.
func (t *table) note(text string) string {
	if text == "" {
		return ""
	}
	i := slices.Index(t.notes, text)
	if i < 0 {
		i = len(t.notes)
		t.notes = append(t.notes, text)
	}
	return fmt.Sprintf("<sup>%d</sup>", i+1)
}

func (t *table) footnotes() string {
	var out []string
	for i, note := range t.notes {
		out = append(out, fmt.Sprintf("%d. %s", i+1, note))
	}
	return strings.Join(out, "\n")
}
