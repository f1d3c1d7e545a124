package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
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

// originPattern is what a name may look like: it becomes part of names of variables.
var originPattern = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)

// originNames is a list of names, each once.
func originNames() Type {
	return Type{Name: "list of names", parse: func(value string) (string, error) {
		var names []string
		for entry := range strings.SplitSeq(value, ",") {
			name := strings.TrimSpace(entry)
			if err := checkOriginName(name); err != nil {
				return "", fmt.Errorf("entry %s: expected a name such as reporting; %w", Shown(name), err)
			}
			if slices.Contains(names, name) {
				return "", fmt.Errorf("entry %s: expected each name once; remove one of them", Shown(name))
			}
			names = append(names, name)
		}
		if len(names) > maxOrigins {
			return "", fmt.Errorf("expected at most %d origins, there are %d; run another pgorigin for the others",
				maxOrigins, len(names))
		}
		return strings.Join(names, ","), nil
	}}
}

// checkOriginName returns what is wrong with a name.
func checkOriginName(name string) error {
	first, _, _ := strings.Cut(name, "_")
	switch {
	case name == "":
		return errors.New("there is an empty entry, remove a comma")
	case originPattern.MatchString(strings.ToLower(name)) && name != strings.ToLower(name):
		return errors.New("write it in lower case: " + strings.ToLower(name))
	case !originPattern.MatchString(name):
		return errors.New("lower-case letters and digits, with single underscores between them")
	case len(name) > maxOriginName:
		return fmt.Errorf("it has more than %d characters", maxOriginName)
	case slices.Contains(FirstWords(), strings.ToUpper(first)):
		return fmt.Errorf("%s is the first word of other names; choose another one", first)
	case strings.HasSuffix(name, "_listen"): // its TLS_CA_FILE would be LISTEN_TLS_CA_FILE of another
		return errors.New("listen is the last word of it, and the first of other names; choose another one")
	case weakeningName.MatchString(strings.ToUpper(name)):
		return errors.New("this one reads as if verification could be turned off; choose another one")
	}
	return nil
}

// Name returns the name of the origin in logs and metrics.
func (o *Origin) Name() string {
	if o.Unnamed() {
		return DefaultOrigin
	}
	return o.name
}

// Unnamed reports whether o is the origin without a name.
func (o *Origin) Unnamed() bool { return o.name == "" }

// NoteName returns the name of a note in answers about readiness.
func (o *Origin) NoteName(note string) string {
	if o.Unnamed() {
		return note
	}
	return o.name + "/" + note
}

// prefix begins the names of the variables that are for this origin alone.
func (o *Origin) prefix() string {
	if o.Unnamed() {
		return Prefix
	}
	return Prefix + strings.ToUpper(o.name) + "_"
}

// Variable returns the name of the variable that has the value of word, such as TLS_CA_FILE, for this origin.
// That is the variable of the unnamed origin if the value is inherited, or if word is for the whole process. If
// UPSTREAM_URL has the value, it is the name of the parameter, too.
func (o *Origin) Variable(word string) string {
	if part := o.fromURL[word]; part != "" {
		return part
	}
	if o.inherited[word] {
		return Prefix + word
	}
	return o.own(word)
}

// own returns the name of the variable that sets word for this origin alone. It is for advice such as "set
// it". A word that is for the whole process has one name only. UPSTREAM_ADDR cannot be set besides a URL.
func (o *Origin) own(word string) string {
	if _, ok := o.fromURL[word]; ok && word == "UPSTREAM_ADDR" {
		word = "UPSTREAM_URL"
	}
	return o.nameOf(word)
}

// nameOf returns the name of the variable that sets word for this origin alone.
func (o *Origin) nameOf(word string) string {
	name := Prefix + word
	if _, mine := o.inherited[word]; mine {
		name = o.prefix() + word
	}
	return cmp.Or(o.aliases[name], name)
}

// Fill puts names of variables into a constant template, in one pass. {TLS_CA_FILE} stands for Variable, and
// {own:TLS_CA_FILE} for own. {} stands for the next of data. Fill does not search data for names.
func (o *Origin) Fill(template string, data ...string) string {
	var text strings.Builder
	for {
		before, rest, open := strings.Cut(template, "{")
		text.WriteString(before)
		word, after, closed := strings.Cut(rest, "}")
		if !open || !closed {
			return text.String()
		}
		own, isOwn := strings.CutPrefix(word, "own:")
		switch {
		case word == "" && len(data) > 0:
			text.WriteString(data[0])
			data = data[1:]
		case isOwn:
			text.WriteString(o.own(own))
		default:
			text.WriteString(o.Variable(word))
		}
		template = after
	}
}

// read fills the settings of a named origin. What it finds is not in known, the findings of the unnamed
// origin, unless this origin has a value of its own.
func (o *Origin) read(values map[string]string, home string, known []finding) []finding {
	o.inherit(values)
	ofURL := o.takeURL(home)
	var found []finding
	o.values, found = read(originVariables(), o.given, o)
	found = append(found, ofURL...)
	if _, given := o.given["LISTEN_ADDR"]; !given {
		found = append(found, finding{
			word: "LISTEN_ADDR", unset: true,
			text: "expected an address of its own, for example 127.0.0.1:6433; addresses are not taken " +
				"from another origin",
		})
	}
	found = append(found, o.check(found)...)
	return slices.DeleteFunc(found,
		func(f finding) bool { return o.inherited[f.word] && slices.Contains(known, f) })
}

// inherit collects the values of this origin: its own, and from the unnamed origin those that it may take.
func (o *Origin) inherit(values map[string]string) {
	o.given, o.inherited = map[string]string{}, map[string]bool{}
	for _, v := range originVariables() {
		o.inherited[v.Word] = false
		if value, ok := values[o.prefix()+v.Word]; ok {
			o.given[v.Word] = value
			continue
		}
		_, barred := values[o.prefix()+v.Unless]
		if value, ok := values[v.Name()]; ok && !v.Alone && !barred {
			o.given[v.Word], o.inherited[v.Word] = value, true
		}
	}
}

// LoopbackOnly reports whether a listener that is bound to that address keeps the promise of LISTEN_ADDR. The
// meaning of a name such as localhost is in /etc/hosts.
func (o *Origin) LoopbackOnly(bound net.Addr) bool {
	return o.Listen.AllowNonLoopback || OnlyHere(bound)
}

// OnlyHere reports whether only this machine can reach a listener that is bound to addr.
func OnlyHere(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return addr.Network() == "unix" || (ok && tcp.IP.IsLoopback())
}
