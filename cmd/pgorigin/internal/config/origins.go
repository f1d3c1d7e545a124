package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	// DefaultOrigin is the label of the unnamed origin.
	DefaultOrigin = "default"

	maxOrigins    = 32
	maxOriginName = 63
)

var (
	originPattern = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)
	anyVariable   = regexp.MustCompile(`(\b(?:[Ss]et|raise|try) )?` + Prefix + `([A-Z0-9_]*[A-Z0-9])`)
)

// originNames are the further origins, in the order given.
type originNames []string

// Decode reads a comma list of names. A name becomes the beginning of variables, so it must not be that of others.
func (n *originNames) Decode(value string) error {
	var names originNames
	for entry := range strings.SplitSeq(value, ",") {
		name := strings.TrimSpace(entry)
		switch cause := wrongOriginName(name); {
		case cause != "":
			return fmt.Errorf("entry %s: expected a name such as reporting; %s", Shown(name), cause)
		case slices.Contains(names, name):
			return fmt.Errorf("entry %s: expected each name once; remove one of them", Shown(name))
		}
		names = append(names, name)
	}
	if len(names) > maxOrigins {
		return fmt.Errorf("expected at most %d origins, there are %d; run another pgorigin for the others", maxOrigins, len(names))
	}
	*n = names
	return nil
}

func (n originNames) String() string { return strings.Join(n, ",") }

// wrongOriginName says what is wrong with a name; empty: nothing.
func wrongOriginName(name string) string {
	first, _, _ := strings.Cut(name, "_")
	switch {
	case name == "":
		return "there is an empty entry, remove a comma"
	case originPattern.MatchString(strings.ToLower(name)) && name != strings.ToLower(name):
		return "write it in lower case: " + strings.ToLower(name)
	case !originPattern.MatchString(name):
		return "lower-case letters and digits, with single underscores between them"
	case len(name) > maxOriginName:
		return fmt.Sprintf("it has more than %d characters", maxOriginName)
	case slices.Contains(reservedWords(), strings.ToUpper(first)):
		return fmt.Sprintf("%s is the first word of other names; choose another one", first)
	case weakeningName.MatchString(strings.ToUpper(name)):
		return "this one reads as if verification could be turned off; choose another one"
	}
	return ""
}

// reservedWords are the first words of names that mean something else: variables, also those of the webhook, the unnamed
// origin, and what Kubernetes makes of a Service called pgorigin.
func reservedWords() []string {
	words := []string{"DEFAULT", "SERVICE", "PORT", "WEBHOOK"}
	for _, name := range Names() {
		first, _, _ := strings.Cut(strings.TrimPrefix(name, Prefix), "_")
		words = append(words, first)
	}
	return words
}

// AllOrigins returns all origins, the unnamed one first.
func (s *Config) AllOrigins() []*Origin {
	return append([]*Origin{&s.Origin}, s.named...)
}

// Labels returns the names of all origins.
func (s *Config) Labels() []string {
	var labels []string
	for _, o := range s.AllOrigins() {
		labels = append(labels, o.Name())
	}
	return labels
}

func (o *Origin) Unnamed() bool { return o.name == "" }

// prefix is in front of the variables of this origin.
func (o *Origin) prefix() string {
	if o.Unnamed() {
		return Prefix
	}
	return Prefix + strings.ToUpper(o.name) + "_"
}

// Variable returns the full name of the variable that has the value of word, such as TLS_CA_FILE, for this origin:
// the unnamed origin's if the value is inherited or word is for the whole process, else this origin's own.
func (o *Origin) Variable(word string) string {
	if o.inherited[word] {
		return Prefix + word
	}
	return o.Own(word)
}

// Own returns the full name of the variable that sets word for this origin alone. It is for advice such as "set it".
// A word that is for the whole process has one name only.
func (o *Origin) Own(word string) string {
	if !slices.Contains(OriginWords(), word) {
		return Prefix + word
	}
	return o.prefix() + word
}

// Rename puts the names of this origin's variables where text has those of the unnamed one. All texts are made with the
// latter, and renamed where they leave. What is inherited keeps the name under which it was set, unless text asks to set it:
// that is for this origin alone.
func (o *Origin) Rename(text string) string {
	if o.Unnamed() {
		return text
	}
	words := OriginWords()
	return anyVariable.ReplaceAllStringFunc(text, func(found string) string {
		parts := anyVariable.FindStringSubmatch(found)
		verb, word := parts[1], parts[2]
		switch {
		case !slices.Contains(words, word):
			return found
		case verb != "":
			return verb + o.prefix() + word
		}
		return o.Variable(word)
	})
}

func (o *Origin) Renamed(p Problem) Problem {
	p.Variable, p.Text = o.Rename(p.Variable), o.Rename(p.Text)
	return p
}

// NoteName is what a note in answers about readiness is called.
func (o *Origin) NoteName(note string) string {
	if o.Unnamed() {
		return note
	}
	return o.name + "/" + note
}

// read fills the settings of a named origin and returns found with the problems of this origin behind.
func (o *Origin) read(values map[string]string, found []Problem) []Problem {
	own := o.inherit(values)
	problems := readValues(own, o.prefix(), o)
	for i := range problems {
		problems[i].Variable = Prefix + strings.TrimPrefix(problems[i].Variable, o.prefix())
	}
	if _, set := own[o.prefix()+"LISTEN_ADDR"]; !set {
		problems = append(problems, Problem{
			Variable: Prefix + "LISTEN_ADDR", Unset: true,
			Text: "expected an address of its own, for example 127.0.0.1:6433; addresses are not taken from another origin",
		})
	}
	problems = append(problems, o.check(problems)...)
	return o.Join(found, problems)
}

// Join puts problems, under their full names, behind found. What the unnamed origin has complained about in the same words,
// because it has the same value, is not repeated.
func (o *Origin) Join(found, problems []Problem) []Problem {
	for _, p := range problems {
		repeated := o.inherited[strings.TrimPrefix(p.Variable, Prefix)] && slices.Contains(found, p)
		if p = o.Renamed(p); !repeated && !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	return found
}

// inherit returns the variables of this origin: what it was given, and from the unnamed origin what it was not.
func (o *Origin) inherit(values map[string]string) map[string]string {
	o.inherited = map[string]bool{}
	own := map[string]string{}
	for _, word := range OriginWords() {
		name := o.prefix() + word
		if value, ok := values[name]; ok {
			own[name] = value
			continue
		}
		if value, ok := values[Prefix+word]; ok && o.inherits(word, values) {
			own[name] = value
			o.inherited[word] = true
		}
	}
	return own
}

// inherits reports whether a variable that this origin was not given may come from the unnamed one. Variables that belong
// together do so all or none, addresses never, and a password goes no further than the bridge that it is for.
func (o *Origin) inherits(word string, values map[string]string) bool {
	given := func(words ...string) bool {
		return slices.ContainsFunc(words, func(word string) bool { _, ok := values[o.prefix()+word]; return ok })
	}
	switch word {
	case "UPSTREAM_ADDR", "LISTEN_ADDR":
		return false
	case "TLS_CA_FILE", "TLS_CA_PEM":
		return !given("TLS_CA_FILE", "TLS_CA_PEM")
	case "TLS_CERT_FILE", "TLS_KEY_FILE":
		return !given("TLS_CERT_FILE", "TLS_KEY_FILE")
	case "AUTH_PASSWORD_FILE":
		return !given("AUTH_CHANNEL_BINDING")
	}
	return true
}
