package main

import (
	"fmt"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"io"
	"slices"
	"strings"
)

// problem is one thing that is wrong with the configuration.
type problem struct {
	variable string
	value    string // as seen; empty if there is none to show
	unset    bool   // the variable is missing
	text     string // expectation; cure
}

// String returns one line: variable, what was seen, what was expected, what to do.
func (p problem) String() string {
	switch {
	case p.unset:
		return fmt.Sprintf("%s: not set: %s", p.variable, p.text)
	case p.value == "":
		return fmt.Sprintf("%s: %s", p.variable, p.text)
	default:
		return fmt.Sprintf("%s: saw %s: %s", p.variable, shown(p.value), p.text)
	}
}

// report writes all problems, one line each.
func report(w io.Writer, problems []problem) {
	noun := "problems"
	if len(problems) == 1 {
		noun = "problem"
	}
	fmt.Fprintf(w, "pgorigin: the configuration has %d %s:\n", len(problems), noun)
	for _, p := range problems {
		fmt.Fprintf(w, "%s\n", p)
	}
}

func sortProblems(problems []problem) {
	slices.SortStableFunc(problems, func(a, b problem) int { return strings.Compare(a.variable, b.variable) })
}

// mentions reports whether one of the problems is about variable.
func mentions(problems []problem, variable string) bool {
	return slices.ContainsFunc(problems, func(p problem) bool { return p.variable == variable })
}

// shown quotes a value for a complaint, unless it looks like it has a secret in it: keys and connection strings get
// pasted into the wrong variable.
func shown(value string) string {
	lower := strings.ToLower(value)
	if strings.Contains(lower, "private key") || strings.Contains(lower, "password") || strings.Contains(value, "\n") {
		return "a value that is not repeated here"
	}
	if at := strings.LastIndex(value, "@"); at >= 0 {
		return safetext.Quote("..." + value[at:])
	}
	return safetext.Quote(value)
}
