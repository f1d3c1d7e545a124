package tlsorigin

import (
	"fmt"
	"strings"
)

// Problem says in one word what is wrong with a field of Config.
type Problem string

// The problems.
const (
	ProblemUnusable   Problem = "unusable"        // Err says why the value or its file cannot be used
	ProblemTwice      Problem = "twice"           // Others[0] is set, too, and only one may be
	ProblemIncomplete Problem = "incomplete"      // the field is not set, although Others[0] is
	ProblemNeedsRoots Problem = "needs_own_roots" // the field needs one of Others
	ProblemExcluded   Problem = "excluded"        // Others[0] has OtherValue, which excludes what Err names
	// the field is not set; Err says what is wrong with the system's
	ProblemNoRoots Problem = "no_roots"
)

// ConfigError is one problem of a Config. NewDialer joins all that it finds.
type ConfigError struct {
	Field   string  // name of the field of Config
	Value   string  // value of the field; the path for a file; empty if the value must not be repeated
	Problem Problem // empty means ProblemUnusable

	Others     []string // names of the other fields of Config that Problem is about
	OtherValue string   // value of Others[0], for ProblemExcluded

	Err error // the cause, or nil; its text names no field of Config
}

func unusable(field, value string, err error) error {
	return &ConfigError{Field: field, Value: value, Problem: ProblemUnusable, Err: err}
}

// Error names the field, the value and the problem.
func (e *ConfigError) Error() string {
	text := e.Text(func(field string) string { return field })
	if e.Value == "" {
		return e.Field + ": " + text
	}
	return fmt.Sprintf("%s %q: %s", e.Field, e.Value, text)
}

// Text returns the problem in words, without Field and Value. The function name says what the reader calls a
// field of Config.
func (e *ConfigError) Text(name func(field string) string) string {
	others := make([]string, len(e.Others))
	for i, field := range e.Others {
		others[i] = name(field)
	}
	switch list := strings.Join(others, " or "); e.Problem {
	case ProblemTwice:
		return fmt.Sprintf("is set although %s is set, too; set only one", list)
	case ProblemIncomplete:
		return fmt.Sprintf("is not set although %s is; set both or none", list)
	case ProblemNeedsRoots:
		return fmt.Sprintf("skips the name, so it needs your own CA: set %s; "+
			"everybody can get a certificate of a public authority", list)
	case ProblemExcluded:
		return fmt.Sprintf("%v although %s is %s; leave it out", e.Err, list, e.OtherValue)
	case ProblemNoRoots:
		return fmt.Sprintf("is not set, and %v", e.Err)
	case ProblemUnusable:
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

// Warning is one thing about a Config that is doubtful but no reason to refuse it.
type Warning struct {
	Field string // name of the field of Config
	Value string // the path of the file that Text is about; empty if there is none
	Text  string // says what is doubtful; may be shown to anybody and names no field of Config
}

// String names the field, the value and what is doubtful.
func (w Warning) String() string {
	if w.Value == "" {
		return w.Field + ": " + w.Text
	}
	return fmt.Sprintf("%s %q: %s", w.Field, w.Value, w.Text)
}
