package corpus

import (
	"os"
	"strings"
	"testing"
)

// page states the policy in words and lists the differences in a table.
const page = "../../docs/reference/libpq-differences.md"

// tableHead begins that table.
const tableHead = "| case | libpq | pgorigin | why |"

type difference struct{ libpq, pgorigin, why string }

// listed reads the table of differences.
func listed(t *testing.T) map[string]difference {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), tableHead+"\n")
	if !ok {
		t.Fatalf("%s has no table %q", page, tableHead)
	}
	differences := map[string]difference{}
	for line := range strings.Lines(table) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if strings.HasPrefix(strings.TrimSpace(cells[0]), "---") {
			continue
		}
		if len(cells) != 4 {
			t.Fatalf("%s: a row with %d cells: %s", page, len(cells), line)
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if _, twice := differences[cells[0]]; twice || cells[3] == "" {
			t.Errorf("%s: %q stands there twice, or without a reason", page, cells[0])
		}
		differences[cells[0]] = difference{cells[1], cells[2], cells[3]}
	}
	return differences
}

// compare fails on each difference that is not listed as it is, and on each listed one that is none.
func compare(t *testing.T, rows []row) {
	t.Helper()
	differences := listed(t)
	known := len(differences)
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.name] {
			t.Errorf("two cases are called %q", r.name)
		}
		seen[r.name] = true
		d, ok := differences[r.name]
		delete(differences, r.name)
		switch {
		case r.libpq == r.pgorigin && ok:
			t.Errorf("%s: listed as a difference, but both %s", r.name, onlyVerb(r.libpq))
		case r.libpq != r.pgorigin && !ok:
			t.Errorf("%s: libpq %s, pgorigin %s (%s): not listed in %s", r.name, r.libpq, r.pgorigin, r.reason, page)
		case ok && (d.libpq != r.libpq || d.pgorigin != r.pgorigin):
			t.Errorf("%s: libpq %s, pgorigin %s, listed the other way round", r.name, r.libpq, r.pgorigin)
		}
	}
	for name := range differences {
		t.Errorf("%s: listed in %s, but there is no such case", name, page)
	}
	t.Logf("%d differences are listed in %s", known, page)
}

func onlyVerb(verdict string) string { return strings.TrimSuffix(verdict, "s") }
