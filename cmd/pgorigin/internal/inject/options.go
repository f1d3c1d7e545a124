package inject

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// defaultListenPort is that of PGORIGIN_LISTEN_ADDR, which is set only for another one.
const defaultListenPort = "6432"

// Options are what an injected container depends on, in the words of annotations. Empty means not set.
type Options struct {
	Image, ImagePullPolicy    string
	Upstream, ServerName      string
	CASecret, CAConfigMap     string
	CAKey                     string
	ClientSecret              string
	MinVersion                string
	LogLevel                  string
	ListenPort                string
	EnvConfigMap              string
	ClientEnv                 string
	CPURequest, MemoryRequest string
	CPULimit, MemoryLimit     string
}

// Injector puts the sidecar into pods.
type Injector struct {
	// Defaults are for what a pod's annotations do not say. Set fills them in, checked.
	Defaults Options
	// CheckUpstream says what is wrong with the address of an upstream, and what was expected. Nil accepts any.
	CheckUpstream func(string) error

	broken error // why nothing can be injected: the defaults could not be read
}

// Set sets one of the defaults by its word. An empty value means not set.
func (i *Injector) Set(name, value string) error {
	word, ok := findWord(name)
	if !ok {
		return fmt.Errorf("no such setting; known are %s", knownWords("", true))
	}
	if value != "" {
		if err := i.check(word, value); err != nil {
			return err
		}
	}
	*word.field(&i.Defaults) = value
	return nil
}

// Check returns what is wrong with the defaults taken together, for words that are called as by name. That there is
// no upstream is not wrong: pods may have their own.
func (i *Injector) Check(name func(word string) string) []string {
	problems := i.Defaults.conflicts(name)
	if i.Defaults.Image == "" {
		problems = append(problems, name("image")+" is not set: write the image of pgorigin")
	}
	return problems
}

func (i *Injector) check(word Word, value string) error {
	check := word.check
	if check == nil {
		check = i.CheckUpstream
	}
	if check == nil {
		return nil
	}
	if err := check(value); err != nil {
		return fmt.Errorf("saw %q: %w", value, err)
	}
	return nil
}

// options lays a pod's annotations over the defaults and returns everything that is wrong with them, in a fixed order.
func (i *Injector) options(annotations map[string]string) (Options, []string) {
	var own Options
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		wordName, ours := strings.CutPrefix(name, annotationPrefix)
		if !ours || name == envRecord {
			continue
		}
		value := annotations[name]
		word, ok := findWord(wordName)
		switch {
		case !ok || word.DefaultOnly:
			problems = append(problems, fmt.Sprintf("annotation %s: no such annotation; known are %s", name, knownWords(annotationPrefix, false)))
		case value == "":
			problems = append(problems, fmt.Sprintf("annotation %s is empty: write %s, or remove the annotation", name, word.wanted()))
		default:
			if err := i.check(word, value); err != nil {
				problems = append(problems, fmt.Sprintf("annotation %s: %v", name, err))
			}
			*word.field(&own) = value
		}
	}
	o := i.Defaults.overlaid(own)
	if o.Upstream == "" && annotations[annotationPrefix+"upstream"] == "" {
		problems = append(problems, "upstream is not set: add the annotation pgorigin/upstream with host:port of pgbouncer or PostgreSQL, "+
			"or set it in the defaults")
	}
	problems = append(problems, o.conflicts(func(word string) string { return "annotation " + annotationPrefix + word })...)
	return o.filled(), problems
}

// overlaid takes what own does not say from o, except what belongs to something that own replaces: a server name is that of
// an upstream, and a key is one in a certain Secret or ConfigMap.
func (o Options) overlaid(own Options) Options {
	if own.Upstream != "" {
		o.ServerName = ""
	}
	if own.hasCA() {
		o.CASecret, o.CAConfigMap, o.CAKey = "", "", ""
	}
	for _, word := range Words() {
		if value := *word.field(&own); value != "" {
			*word.field(&o) = value
		}
	}
	return o
}

// conflicts returns what cannot be together, for words that are called as by name.
func (o Options) conflicts(name func(word string) string) []string {
	switch {
	case o.CASecret != "" && o.CAConfigMap != "":
		return []string{fmt.Sprintf("%s and %s: there can be one CA only; remove one of them", name("ca-secret"), name("ca-configmap"))}
	case o.CAKey != "" && !o.hasCA():
		return []string{fmt.Sprintf("%s is set, but neither %s nor %s: name the Secret or ConfigMap, or remove it",
			name("ca-key"), name("ca-secret"), name("ca-configmap"))}
	}
	return nil
}

func (o Options) hasCA() bool { return o.CASecret != "" || o.CAConfigMap != "" }

// filled fills in what has a default of its own.
func (o Options) filled() Options {
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	fill(&o.ImagePullPolicy, "IfNotPresent")
	fill(&o.ListenPort, defaultListenPort)
	fill(&o.ClientEnv, "true")
	fill(&o.CPURequest, "10m")
	fill(&o.MemoryRequest, "16Mi")
	fill(&o.MemoryLimit, "64Mi")
	if o.hasCA() {
		fill(&o.CAKey, "ca.crt")
	}
	return o
}

// knownWords lists the vocabulary for somebody who mistyped a word.
func knownWords(prefix string, defaults bool) string {
	var names []string
	for _, word := range Words() {
		if defaults || !word.DefaultOnly {
			names = append(names, prefix+word.Name)
		}
	}
	return strings.Join(names, ", ")
}
