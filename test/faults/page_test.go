//go:build faults

package faults

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	_ "embed"
)

var update = flag.Bool("update", false, "write docs/explanation/diagnosis.md instead of comparing with it")

const pageFile = "../../docs/explanation/diagnosis.md"

//go:embed testdata/page.md
var pageText string

// ours and theirs are the columns of the table.
func ours() []surface   { return []surface{client, log, page, check} }
func theirs() []surface { return []surface{libpq, stunnel, pgbouncer} }

// row is the line of the table about one fault.
func (r *result) row(f fault) string {
	reason := "—"
	if f.reason != "" {
		reason = "`" + f.reason + "`"
	}
	cells := []string{f.name, reason}
	for _, which := range ours() {
		cells = append(cells, r.scores[which].mark())
	}
	cells = append(cells, yes(r.cured))
	for _, which := range theirs() {
		cells = append(cells, r.scores[which].peerMark())
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// simulated lists the faults whose first advice the suite cannot do.
func simulated(list []group) string {
	var out strings.Builder
	for _, g := range list {
		for _, f := range g.faults {
			if f.simulated != "" {
				fmt.Fprintf(&out, "| %s | %s |\n", f.name, f.simulated)
			}
		}
	}
	return out.String()
}

func yes(is bool) string {
	if is {
		return "✓"
	}
	return "no"
}

// comparePage writes the page, or fails for each fault of which pgorigin says less than the page has. What other
// programs say is not compared.
func comparePage(t *testing.T, list []group, all *results) {
	t.Helper()
	missing := unmet(all)
	written := renderPage(list, all, missing)
	if *update {
		if err := os.WriteFile(pageFile, []byte(written), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, g := range list {
		count += len(g.faults)
	}
	for _, line := range missing {
		if len(all.byName) == count && !strings.Contains(string(data), line+"\n") {
			t.Errorf("no fault has %s", line)
		}
	}
	known := rowsOf(string(data))
	for name, cells := range rowsOf(written) {
		old, found := known[name]
		if !found {
			t.Errorf("%s is not on the page; -update writes it", name)
			continue
		}
		for i := range len(ours()) + 1 { // the surfaces, and whether the advice works
			if have, want := cells[2+i], old[2+i]; have != want && want == "✓" {
				t.Errorf("%s: column %d has %q, not %q", name, 3+i, have, want)
			} else if have != want {
				t.Logf("%s: column %d has %q, the page has %q", name, 3+i, have, want)
			}
		}
	}
}

// rowsOf returns the cells of the rows of all tables of a page, by the first cell.
func rowsOf(text string) map[string][]string {
	rows := map[string][]string{}
	for line := range strings.SplitSeq(text, "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) == 3+len(ours())+len(theirs()) && !strings.HasPrefix(line, "| ---") && cells[0] != "fault" {
			rows[cells[0]] = cells
		}
	}
	return rows
}

func renderPage(list []group, all *results, missing []string) string {
	var tables strings.Builder
	for _, g := range list {
		fmt.Fprintf(&tables, "### %s\n\n", g.title)
		tables.WriteString("| fault | reason | client | log | page | check | cured | libpq | stunnel | pgbouncer |\n")
		tables.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
		for _, f := range g.faults {
			if r := all.byName[f.name]; r != nil {
				tables.WriteString(r.row(f) + "\n")
			}
		}
		tables.WriteString("\n")
	}
	without := ""
	if len(missing) > 0 {
		without = "\n## Reasons and cases without a fault\n\n| reason | why |\n| --- | --- |\n" + strings.Join(missing, "\n") + "\n"
	}
	return strings.NewReplacer(
		"SIMULATED\n", simulated(list), "WITHOUT\n", without, "TOTALS", totals(list, all), "TABLES\n", strings.TrimSuffix(tables.String(), "\n"), "EXAMPLES\n", examples(list, all),
	).Replace(pageText)
}

// totals counts the marks.
func totals(list []group, all *results) string {
	shown, good := map[surface]int{}, map[surface]int{}
	advised := map[surface]int{}
	faults, cured := 0, 0
	for _, g := range list {
		for _, f := range g.faults {
			r := all.byName[f.name]
			if r == nil {
				continue
			}
			faults++
			if r.cured {
				cured++
			}
			for which, s := range r.scores {
				if s.hidden != "" || s.text == "" && slices.Contains(theirs(), which) {
					continue
				}
				shown[which]++
				if s.cause {
					good[which]++
				}
				if s.cause && s.advice {
					advised[which]++
				}
			}
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%d faults. The first advice of pgorigin cures %d of them.\n\n", faults, cured)
	out.WriteString("| program | faults that it meets | names the cause | and says first what cures |\n| --- | --: | --: | --: |\n")
	names := map[surface]string{
		client: "pgorigin: message and hint at the client", log: "pgorigin: log",
		page: "pgorigin: metrics, status and page", check: "`pgorigin check`",
		libpq: "libpq alone, `sslmode=verify-full`", stunnel: "stunnel, and the client behind it",
		pgbouncer: "pgbouncer as a sidecar, and the client behind it",
	}
	for _, which := range append(ours(), theirs()...) {
		fmt.Fprintf(&out, "| %s | %d | %d | %d |\n", names[which], shown[which], good[which], advised[which])
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// examples are what all programs say about the faults that the page shows in full.
func examples(list []group, all *results) string {
	var out strings.Builder
	for _, g := range list {
		for _, f := range g.faults {
			r := all.byName[f.name]
			if r == nil || !f.shown {
				continue
			}
			fmt.Fprintf(&out, "### Example: %s\n\n", f.name)
			texts := map[string]string{
				"pgorigin": r.scores[client].text, "no program between": r.scores[libpq].text,
				"stunnel, and its log": r.scores[stunnel].text, "pgbouncer, and its log": r.scores[pgbouncer].text,
			}
			for _, who := range []string{"pgorigin", "no program between", "stunnel, and its log", "pgbouncer, and its log"} {
				if text := tidy(texts[who]); text != "" {
					fmt.Fprintf(&out, "With %s:\n\n```text\n%s\n```\n\n", who, text)
				}
			}
		}
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// quiet are lines of logs that say nothing about a fault.
func quiet() []string {
	return []string{
		"LOG5[ui]", "LOG6[", "kernel file descriptor", "listening on", "process up", "stats:", "DEBUG", "Initializing",
		"Service [postgres] accepted", "got SIGTERM", "client unexpected eof", "Terminated", "Compiled", "Running", "s_connect: connect",
		"Service [postgres] connected", "Connection reset: 0", "auto-database", "login attempt", "new connection to server",
	}
}

// numbers are what differs between two lines of a log that say the same.
var numbers = regexp.MustCompile(`[0-9.:\[\]-]+|0x[0-9a-f]+`)

// tidy leaves out of a log what is the same in every run, and keeps at most eight lines.
func tidy(text string) string {
	var lines []string
	said := map[string]bool{}
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		dull := slices.ContainsFunc(quiet(), func(words string) bool { return strings.Contains(line, words) })
		words := numbers.ReplaceAllString(line, "")
		if !dull && !said[words] && len(lines) < 8 {
			said[words] = true
			lines = append(lines, strings.ReplaceAll(strings.TrimRight(line, " "), shared.lab.Dir(), "/lab"))
		}
	}
	return strings.Join(lines, "\n")
}
