package inject

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// defaultListenPort is the default port of PGORIGIN_LISTEN_ADDR. Only another port needs the variable.
const defaultListenPort = "6432"

// Options are the settings of an injected container, in the words of annotations. Empty means not set.
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
	// Defaults are for settings that a pod has no annotation for. Set checks and sets them.
	Defaults Options
	// CheckUpstream returns an error that says what was expected of the address of an upstream. Nil accepts
	// any address.
	CheckUpstream func(string) error

	broken error // why the defaults cannot be used; nil if they can
}

// Set sets a default by its word. An empty value means not set.
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

// Check returns what is wrong with the defaults as a whole. name turns a word into the name that the user
// knows. A missing upstream is not wrong: a pod may name its own.
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

// options merges a pod's annotations with the defaults. It returns all problems in a fixed order.
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
			known := knownWords(annotationPrefix, false)
			problems = append(problems,
				fmt.Sprintf("annotation %s: no such annotation; known are %s", name, known))
		case value == "":
			text := fmt.Sprintf("annotation %s is empty: write %s, or remove the annotation", name,
				word.wanted())
			problems = append(problems, text)
		default:
			if err := i.check(word, value); err != nil {
				problems = append(problems, fmt.Sprintf("annotation %s: %v", name, err))
			}
			*word.field(&own) = value
		}
	}
	o := i.Defaults.overriddenBy(own)
	if o.Upstream == "" && annotations[annotationPrefix+"upstream"] == "" {
		problems = append(problems, "upstream is not set: add the annotation pgorigin/upstream "+
			"with host:port of pgbouncer or PostgreSQL, or set it in the defaults")
	}
	annotation := func(word string) string { return "annotation " + annotationPrefix + word }
	problems = append(problems, o.conflicts(annotation)...)
	return o.withDefaults(), problems
}

// overriddenBy returns o with the settings of own. A new upstream drops the server name of o, and a new CA
// drops the CA and the key of o.
func (o Options) overriddenBy(own Options) Options {
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

// conflicts returns the settings that exclude each other. name turns a word into the name that the user
// knows.
func (o Options) conflicts(name func(word string) string) []string {
	switch {
	case o.CASecret != "" && o.CAConfigMap != "":
		return []string{fmt.Sprintf("%s and %s: there can be one CA only; remove one of them",
			name("ca-secret"), name("ca-configmap"))}
	case o.CAKey != "" && !o.hasCA():
		return []string{fmt.Sprintf(
			"%s is set, but neither %s nor %s: name the Secret or ConfigMap, or remove it",
			name("ca-key"), name("ca-secret"), name("ca-configmap"))}
	}
	return nil
}

func (o Options) hasCA() bool { return o.CASecret != "" || o.CAConfigMap != "" }

// withDefaults sets what has a fixed default.
func (o Options) withDefaults() Options {
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

// knownWords lists the vocabulary, for a message about an unknown word.
func knownWords(prefix string, defaults bool) string {
	var names []string
	for _, word := range Words() {
		if defaults || !word.DefaultOnly {
			names = append(names, prefix+word.Name)
		}
	}
	return strings.Join(names, ", ")
}

// maxDefault bounds a file in the folder of defaults.
const maxDefault = 4 << 10

// ReadDefaults sets the defaults from a folder with one file for each word, such as a mounted ConfigMap. An
// empty file means not set. The error joins all problems.
func (i *Injector) ReadDefaults(folder fs.FS) error {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return fmt.Errorf("read the folder of defaults: %w", err)
	}
	var problems []error
	for _, entry := range entries {
		// such as ..data, by which a kubelet swaps all files at once
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		value, err := readDefault(folder, entry.Name())
		if err == nil {
			err = i.Set(entry.Name(), value)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("default %s: %w", entry.Name(), err))
		}
	}
	for _, text := range i.Check(func(word string) string { return "default " + word }) {
		problems = append(problems, errors.New(text))
	}
	return errors.Join(problems...)
}

func readDefault(folder fs.FS, name string) (string, error) {
	file, err := folder.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxDefault+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > maxDefault:
		return "", fmt.Errorf("expected at most %d bytes", maxDefault)
	}
	return strings.TrimSpace(string(text)), nil
}
