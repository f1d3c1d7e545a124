package inject

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Settings are values of words. A word without value is not there.
type Settings map[string]string

// Injector puts the sidecar into pods.
type Injector struct {
	defaults Settings // for words that a pod has no annotation for
	locked   []string // words that a pod may have no annotation for
	broken   error    // why the defaults cannot be used; nil if they can
}

// Set checks and sets a default by its word. An empty value means not set.
func (i *Injector) Set(name, value string) error {
	word := findWord(name)
	if word == nil {
		return fmt.Errorf("no such setting; known are %s", knownWords("", true))
	}
	if value == "" {
		delete(i.defaults, name)
		return nil
	}
	if err := word.check(value); err != nil {
		return err
	}
	if i.defaults == nil {
		i.defaults = Settings{}
	}
	i.defaults[name] = value
	return nil
}

// Check returns what is wrong with the defaults as a whole. name turns a word into the name that the user
// knows. noImage is what to say if there is no image. A missing upstream is not wrong: a pod may name its own.
func (i *Injector) Check(name func(word string) string, noImage string) []string {
	problems := i.defaults.conflicts(name)
	if i.defaults["image"] == "" {
		problems = append(problems, noImage)
	}
	return problems
}

// settings merges a pod's annotations with the defaults. It returns all problems in a fixed order.
func (i *Injector) settings(annotations map[string]string) (Settings, []string) {
	own, problems := i.ownSettings(annotations)
	merged := Settings{}
	for _, word := range Words() {
		value := i.defaults[word.Name]
		if slices.ContainsFunc(word.ReplacedBy, func(name string) bool { return own[name] != "" }) {
			value = ""
		}
		if own[word.Name] != "" {
			value = own[word.Name]
		}
		if value != "" {
			merged[word.Name] = value
		}
	}
	if merged["upstream"] == "" && merged["intercept"] == "" && annotations[annotationPrefix+"upstream"] == "" {
		problems = append(problems, "upstream is not set: add the annotation pgorigin/upstream "+
			"with host:port of pgbouncer or PostgreSQL, or set a default: --upstream of inject, sidecar.upstream of the chart")
	}
	annotation := func(word string) string { return "annotation " + annotationPrefix + word }
	problems = append(problems, merged.conflicts(annotation)...)
	merged.complete()
	return merged, problems
}

// defaultPort is that of PostgreSQL, which applications need not write.
const defaultPort = "5432"

// intercepted returns the name that leads to pgorigin, and the port there.
func (s Settings) intercepted() (name, port string) {
	name, port, _ = strings.Cut(s["intercept"], ":")
	return name, cmp.Or(port, defaultPort)
}

// complete gives values to words that nobody sets, and to those that another word decides. It adds the parts of words.
func (s Settings) complete() {
	s["origin-ports"] = strings.Join(keys(s["origins"]), ",")
	if name, port := s.intercepted(); name != "" {
		s["intercept-name"], s["intercept-port"], s["intercept-address"] = name, port, name+":"+port
	}
	for _, word := range Words() {
		switch intercepts := s["intercept"] != ""; {
		case intercepts && word.Imposed != "":
			s[word.Name] = s.fillText(word.Imposed)
		case s[word.Name] != "":
		case intercepts && word.Implied != "":
			s[word.Name] = s.fillText(word.Implied)
		case word.Fixed != "" && s.hasNeeds(word):
			s[word.Name] = word.Fixed
		}
	}
}

// ownSettings are those of a pod's annotations, also those with a wrong value, and the problems with them.
func (i *Injector) ownSettings(annotations map[string]string) (Settings, []string) {
	own := Settings{}
	if most := readContract().MostAnnotations; len(annotations) > most {
		return own, []string{fmt.Sprintf("it has %d annotations: pgorigin reads at most %d", len(annotations), most)}
	}
	var problems, unknown []string
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		wordName, ours := strings.CutPrefix(name, annotationPrefix)
		if !ours || name == recordName {
			continue
		}
		value := annotations[name]
		word := findWord(wordName)
		switch {
		case word == nil || word.DefaultOnly:
			unknown = append(unknown, name)
		case slices.Contains(i.locked, wordName):
			problems = append(problems, fmt.Sprintf(
				"annotation %s: the platform has locked this setting: remove the annotation", name))
		default:
			if err := word.check(value); err != nil {
				problems = append(problems, fmt.Sprintf("annotation %s: %v", name, err))
			}
			own[wordName] = value
		}
	}
	if len(unknown) > 0 {
		text := "annotation " + short(unknown[0], maxName)
		if len(unknown) > 1 {
			text = fmt.Sprintf("%s and %d more", text, len(unknown)-1)
		}
		problems = append(problems, text+": no such annotation; known are "+knownWords(annotationPrefix, false))
	}
	return own, problems
}

// conflicts returns the settings that exclude each other. name turns a word into the name that the user
// knows.
func (s Settings) conflicts(name func(word string) string) []string {
	var problems []string
	for _, word := range Words() {
		switch {
		case s[word.Name] == "":
		case word.Excludes != "" && s[word.Excludes] != "" && s[word.Name] != word.Fixed:
			problems = append(problems, fmt.Sprintf("%s and %s: %s; remove one of them",
				name(word.Excludes), name(word.Name), word.Because))
		case !s.hasNeeds(word) && len(word.Needs) == 1:
			problems = append(problems, fmt.Sprintf(
				"%s is set, but not %s: set both, or remove it", name(word.Name), name(word.Needs[0])))
		case !s.hasNeeds(word):
			problems = append(problems, fmt.Sprintf(
				"%s is set, but neither %s nor %s: name the Secret or ConfigMap, or remove it",
				name(word.Name), name(word.Needs[0]), name(word.Needs[1])))
		}
	}
	from, port := "listen-port", cmp.Or(s["listen-port"], findWord("listen-port").Fixed)
	if s["intercept"] != "" {
		from = "intercept"
		_, port = s.intercepted()
	}
	if slices.Contains(keys(s["origins"]), port) {
		problems = append(problems, fmt.Sprintf("%s and %s: both have port %s; choose another one for one of them",
			name(from), name("origins"), port))
	}
	return problems
}

// hasNeeds reports whether one of the words is set that this word needs.
func (s Settings) hasNeeds(word Word) bool {
	isSet := func(name string) bool { return s[name] != "" }
	return len(word.Needs) == 0 || slices.ContainsFunc(word.Needs, isSet)
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

// lockedFile has the words that a pod may have no annotation for, with commas between.
const lockedFile = "locked"

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
		switch {
		case err != nil:
		case entry.Name() == lockedFile:
			i.locked = strings.Split(value, ",")
		default:
			err = i.Set(entry.Name(), value)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("default %s: %w", entry.Name(), err))
		}
	}
	name := func(word string) string { return "default " + word }
	for _, text := range i.Check(name, "default image is not set: write the image of pgorigin") {
		problems = append(problems, errors.New(text))
	}
	return errors.Join(problems...)
}

func readDefault(folder fs.FS, name string) (string, error) {
	file, err := folder.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		// A key that the ConfigMap has no more: a kubelet removes its link after it has swapped the files.
		return "", nil
	}
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
