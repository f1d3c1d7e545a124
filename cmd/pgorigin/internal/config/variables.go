package config

import (
	"slices"
	"strings"
)

// Prefix begins the name of every variable.
const Prefix = "PGORIGIN_"

// Variable describes one environment variable. Its row has all that pgorigin knows about it.
type Variable struct {
	Word    string // the name without Prefix, such as TLS_CA_FILE
	Type    Type
	Default string // empty means that there is none, and Unset says what holds then
	Unset   string // what holds without a value; empty if there is a Default
	Help    string // sentences for people
	Example string // empty means that Default or Type is example enough

	Required bool
	Secret   bool    // the value is never shown
	Security bool    // a value of blanks is an error, and so is a misspelt name, whatever UNKNOWN_ENV says
	Alone    bool    // an origin never inherits it
	Unless   string  // an origin that sets this word does not inherit the variable
	File     FileUse // when pgorigin reads the file that the value names, or is

	Dialer string // the field of tlsorigin.Config that gets the value; empty means none
	Cure   string // what to do about a value that tlsorigin refuses

	Section   string // heading in help and on the reference page; set by the table
	PerOrigin bool   // each origin has the variable; set by the table
}

// FileUse says when pgorigin reads a file.
type FileUse string

// The uses of a file. The zero value means that the variable is about no file.
const (
	NoFile        FileUse = ""
	FileInValue   FileUse = "never: the value holds the text"
	FileWatched   FileUse = "at the start, and again when it changes"
	FileEachLogin FileUse = "for each login"
	FileEachPod   FileUse = "for each pod"
	FileWritten   FileUse = "never: pgorigin writes it"
)

// Name returns the name of the variable, for the unnamed origin if each origin has one.
func (v Variable) Name() string { return Prefix + v.Word }

// FirstWords is the closed list of words that a variable may begin with. No origin may have a name that
// begins with one, so a new variable with a new first word would break somebody's ORIGINS. The list has the
// words in use and words for later versions. It also has the label of the unnamed origin, and the words that
// Kubernetes makes of a Service named pgorigin.
func FirstWords() []string {
	return []string{
		"ADMIN", "AUTH", "DIAL", "EXIT", "HEALTH", "LISTEN", "LOG", "LOGIN", "MAX", "ORIGINS", "PROBE",
		"READINESS", "SHUTDOWN", "STARTUP", "TLS", "UNKNOWN", "UPSTREAM", "WARM", "WEBHOOK",

		"CANCEL", "CHECK", "CLIENT", "CONFIG", "DNS", "DRAIN", "EXEC", "IDLE", "ORIGIN", "PROXY",
		"RELOAD", "SESSION",
		"TCP", "TRACE", "WAIT",

		"DEFAULT", "PORT", "SERVICE",
	}
}

// Variables returns the variables of "pgorigin run", those of each origin first.
func Variables() []Variable {
	var all []Variable
	add := func(section string, perOrigin bool, rows []Variable) {
		for _, v := range rows {
			v.Section, v.PerOrigin = section, perOrigin
			all = append(all, v)
		}
	}
	add("Upstream", true, upstreamVariables())
	add("Listeners for clients", true, listenVariables())
	add("Verification of the upstream", true, verificationVariables())
	add("TLS", true, tlsVariables())
	add("Authentication", true, authVariables())
	add("Connections", true, connectionVariables())
	add("More origins", false, originsVariables())
	add("Timeouts", false, timeoutVariables())
	add("Shutdown", false, shutdownVariables())
	add("Health and administration", false, healthVariables())
	add("Log and environment", false, logVariables())
	return all
}

// Names returns the names of Variables.
func Names() []string {
	var names []string
	for _, v := range Variables() {
		names = append(names, v.Name())
	}
	return names
}

// originVariables returns the variables that each origin has.
func originVariables() []Variable {
	return slices.DeleteFunc(Variables(), func(v Variable) bool { return !v.PerOrigin })
}

// OriginWords returns the words of the variables that each origin has.
func OriginWords() []string {
	var words []string
	for _, v := range originVariables() {
		words = append(words, v.Word)
	}
	return words
}

// dialerVariable returns the variable whose value is in that field of tlsorigin.Config.
func dialerVariable(field string) (v Variable, ok bool) {
	return find(Variables(), func(v Variable) bool { return v.Dialer == field })
}

// Lookup returns the variable with that name, with or without Prefix, in any case. It knows those of the
// webhook, too.
func Lookup(name string) (v Variable, ok bool) {
	word := strings.TrimPrefix(strings.ToUpper(name), Prefix)
	return find(append(Variables(), webhookVariables()...), func(v Variable) bool { return v.Word == word })
}

func find(all []Variable, is func(Variable) bool) (v Variable, ok bool) {
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i], true
	}
	return Variable{}, false
}

// WithoutValue says what holds without a value.
func (v Variable) WithoutValue() string {
	if v.Default != "" {
		return v.Default
	}
	return v.Unset
}

// Scope says in words whether each origin has the variable, and when an origin inherits the value of the
// unnamed one.
func (v Variable) Scope() string {
	switch {
	case !v.PerOrigin:
		return "the whole process"
	case v.Alone:
		return "each origin, not inherited"
	case v.Unless != "":
		return "each origin, inherited unless it sets " + v.Word + " or " + v.Unless
	}
	return "each origin, inherited"
}

// Values says in words which values the variable may have.
func (v Variable) Values() string {
	if v.Type.Words == nil {
		return v.Type.Name
	}
	return strings.Join(v.Type.Words, ", ")
}
