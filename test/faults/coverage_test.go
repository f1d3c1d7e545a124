//go:build faults

package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// advised is one set of cures of the table of reasons: that of a reason, or of one of its cases.
type advised struct {
	reason string
	when   string // of a case; the meaning of the reason itself
	isCase bool
	cures  string // all of them, in one line
}

// readTable returns the table of reasons as "pgorigin explain" prints it.
func readTable(ctx context.Context, binary string) (rows []advised, err error) {
	page, err := os.ReadFile("../../docs/reference/reasons.md")
	if err != nil {
		return nil, err
	}
	for _, found := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(string(page), -1) {
		out, err := exec.CommandContext(ctx, binary, "explain", found[1]).Output()
		if err != nil {
			return nil, fmt.Errorf("explain %s: %w", found[1], err)
		}
		rows = append(rows, explained(found[1], string(out))...)
	}
	return rows, nil
}

// explained reads what explain prints about a reason.
func explained(reason, text string) []advised {
	rows := []advised{{reason: reason}}
	for i, block := range strings.Split(text, "\n\n") {
		if i == 1 {
			rows[0].when = strings.TrimSuffix(strings.Join(strings.Fields(block), " "), ".")
		}
		heading, list, found := strings.Cut(block, "\n  - ")
		if !found {
			continue
		}
		heading = strings.Join(strings.Fields(heading), " ")
		cures := strings.Join(strings.Fields(strings.ReplaceAll(list, "\n  - ", " ")), " ")
		if heading == "What to do:" {
			rows[0].cures = cures
		} else if when, ok := strings.CutPrefix(heading, "If "); ok {
			rows = append(rows, advised{reason, strings.TrimSuffix(when, ":"), true, cures})
		}
	}
	return rows
}

// met reports whether a fault got these cures.
func (a advised) met(all *results) bool {
	for _, r := range all.byName {
		if r.reason == a.reason && (!a.isCase || a.shownAs(r.cure)) {
			return true
		}
	}
	return false
}

// shownAs reports whether cure is what a surface shows for a.
func (a advised) shownAs(cure string) bool {
	cures := strings.ReplaceAll(regexp.QuoteMeta(a.cures), "VALUE", ".+")
	return regexp.MustCompile("^" + cures + "$").MatchString(strings.Join(strings.Fields(cure), " "))
}

// meansCause reports whether the status page says in general words what the server has told the client: the page does
// not repeat what a server says, because it may name users.
func (f fault) meansCause(text, cure string) bool {
	return f.serverSays && slices.ContainsFunc(shared.table, func(a advised) bool {
		return a.reason == f.reason && strings.Contains(text, a.when) && a.shownAs(cure)
	})
}

// notInjected are the cases that no fault can have on every machine.
func notInjected() map[string]string {
	return map[string]string{
		"the name leads to pgorigin itself":                                       "that takes a hosts file that changes after the start; tlsorigin tests it",
		"the name leads to pgorigin itself, and /etc/hosts was not read":          "that takes a server of this machine at the same port; tlsorigin tests it",
		"this machine is busy":                                                    "that takes more handshakes at once than its processor can do in time",
		"this machine has no file descriptor, memory or port left":                "that takes other clients, which use them up",
		"no machine answers at the address, or a firewall rejects the connection": "that takes a second machine, or a firewall",
		"the client of a bridge comes over a network":                             "pgorigin does not start with such a listener",
	}
}

// unmet are the reasons and cases that no fault has.
func unmet(all *results) (lines []string) {
	for _, a := range shared.table {
		if a.met(all) || a.reason == "ok" { // which is no failure
			continue
		}
		line := "| `" + a.reason + "`"
		if a.isCase {
			line += ", if " + a.when
		}
		line += " | " + notInjected()[a.when] + " |"
		lines = append(lines, line)
	}
	return lines
}
