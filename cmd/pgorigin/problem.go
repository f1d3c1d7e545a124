package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// maxShown bounds how much of a value a complaint repeats, in runes.
const maxShown = 100

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
	printf(w, "pgorigin: the configuration has %d %s:\n", len(problems), noun)
	for _, p := range problems {
		printf(w, "%s\n", p)
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
		return quote("..." + value[at:])
	}
	return quote(value)
}

// quote returns text in quotes on one line, control characters escaped and the far end cut off.
func quote(text string) string {
	if runes := []rune(text); len(runes) > maxShown {
		text = string(runes[:maxShown]) + "..."
	}
	return strconv.Quote(text)
}
