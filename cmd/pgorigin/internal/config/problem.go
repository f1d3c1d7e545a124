package config

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

// Problem is one thing that is wrong with the configuration.
type Problem struct {
	Variable string
	Value    string // as seen; empty if there is none to show
	Unset    bool   // the variable is missing
	Text     string // expectation; cure
}

// String returns one line: variable, what was seen, what was expected, what to do.
func (p Problem) String() string {
	switch {
	case p.Unset:
		return fmt.Sprintf("%s: not set: %s", p.Variable, p.Text)
	case p.Value == "":
		return fmt.Sprintf("%s: %s", p.Variable, p.Text)
	default:
		return fmt.Sprintf("%s: saw %s: %s", p.Variable, Shown(p.Value), p.Text)
	}
}

// Report writes all problems, one line each.
func Report(w io.Writer, problems []Problem) {
	noun := "problems"
	if len(problems) == 1 {
		noun = "problem"
	}
	fmt.Fprintf(w, "pgorigin: the configuration has %d %s:\n", len(problems), noun)
	for _, p := range problems {
		fmt.Fprintf(w, "%s\n", p)
	}
}

func SortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int { return strings.Compare(a.Variable, b.Variable) })
}

// mentions reports whether one of the problems is about variable.
func mentions(problems []Problem, variable string) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return p.Variable == variable })
}

// Shown quotes a value for a complaint, unless it looks like it has a secret in it: keys and connection strings get
// pasted into the wrong variable.
func Shown(value string) string {
	lower := strings.ToLower(value)
	if strings.Contains(lower, "private key") || strings.Contains(lower, "password") || strings.Contains(value, "\n") {
		return "a value that is not repeated here"
	}
	if at := strings.LastIndex(value, "@"); at >= 0 {
		return safetext.Quote("..." + value[at:])
	}
	return safetext.Quote(value)
}
