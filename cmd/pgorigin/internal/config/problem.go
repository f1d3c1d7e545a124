package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

// Problem is one thing that is wrong with the configuration.
type Problem struct {
	Variable string
	Value    string // as seen; empty if there is none to show
	Unset    bool   // the variable is missing
	Text     string // expectation; cure
	File     bool   // the variable names a file
	Fault    fileFault
}

// fileFault says what is wrong with a file, if waiting may cure it: another program may be writing the file.
type fileFault int

// The faults.
const (
	NoFileFault  fileFault = iota // waiting does not help
	FileMissing                   // the file, or a folder on the way, does not exist
	FileUnusable                  // the file cannot be used; it may be half written
)

// faultOf returns the fault of a file that could not be used because of err. A file that stalls was waited
// for.
func faultOf(err error) fileFault {
	switch {
	case errors.Is(err, configfile.ErrStalled):
		return NoFileFault
	case errors.Is(err, fs.ErrNotExist):
		return FileMissing
	}
	return FileUnusable
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

// SortProblems sorts by variable. Problems of one variable stay in order.
func SortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int { return strings.Compare(a.Variable, b.Variable) })
}

// mentions reports whether one of the problems is about variable.
func mentions(problems []Problem, variable string) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return p.Variable == variable })
}

// appendNew appends p unless it is there already: several origins may inherit one wrong value.
func appendNew(problems []Problem, p Problem) []Problem {
	if slices.Contains(problems, p) {
		return problems
	}
	return append(problems, p)
}

// Shown quotes a value for a message, unless it may contain a secret: people paste keys and connection
// strings into the wrong variable.
func Shown(value string) string {
	lower := strings.ToLower(value)
	path := strings.HasPrefix(value, "/") && !strings.ContainsAny(value, "= ") // /run/secrets/password
	if strings.Contains(lower, "private key") || (strings.Contains(lower, "password") && !path) ||
		strings.Contains(value, "\n") {
		return "a value that is not repeated here"
	}
	if at := strings.LastIndex(value, "@"); at >= 0 {
		return safetext.Quote("..." + value[at:])
	}
	return safetext.Quote(value)
}

// finding is a problem before it belongs to an origin. Origins that inherit a wrong value have the same
// finding.
type finding struct {
	word   string // of the variable
	value  string // as seen; empty if there is none to show
	unset  bool   // the variable is missing
	text   string // template for Origin.Fill
	detail string // data for text
	fault  fileFault
}

// template is an error whose text is a template for Origin.Fill.
type template string

func (t template) Error() string { return string(t) }

// parseFinding is the finding for a value that does not parse.
func parseFinding(word, value string, err error) finding {
	var text template
	if errors.As(err, &text) {
		return finding{word: word, value: value, text: string(text)}
	}
	return finding{word: word, value: value, text: "{}", detail: err.Error()}
}

// about reports whether one of the findings is about word.
func about(found []finding, word string) bool {
	return slices.ContainsFunc(found, func(f finding) bool { return f.word == word })
}

// problems puts the names of this origin into what was found.
func (o *Origin) problems(found []finding) []Problem {
	var problems []Problem
	for _, f := range found {
		v, _ := Lookup(f.word)
		problems = append(problems, Problem{
			Variable: o.Variable(f.word), Value: f.value, Unset: f.unset, File: v.File != NoFile,
			Text: o.Fill(f.text, f.detail), Fault: f.fault,
		})
	}
	return problems
}

// Warning says what is odd about an origin. It does not stop the start.
type Warning struct {
	Origin string // its name; empty: the whole process
	Text   string
}

func (w Warning) String() string {
	if w.Origin == "" || w.Origin == DefaultOrigin {
		return w.Text
	}
	return "origin " + w.Origin + ": " + w.Text
}
