package inject

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/pgorigin/pgorigin/charts"
)

// Names that the contract has, too. A test compares them.
const (
	containerName    = "pgorigin"
	annotationPrefix = "pgorigin/" // a word follows
	healthPort       = "9632"
)

// Labels and annotations of pods. Selectors see labels only: the API server selects pods that ask, and
// monitoring selects pods that are injected.
const (
	askLabel    = annotationPrefix + "inject" // "true" asks for injection
	statusLabel = annotationPrefix + "status"
	injected    = "injected"                    // value of statusLabel
	recordName  = annotationPrefix + "injected" // what inject wrote into a manifest
)

// Word is one setting of an injected container. The annotation pgorigin/NAME, the flag --NAME and the file
// NAME in the folder of defaults are the same setting. The contract of the charts describes the fields.
type Word struct {
	Name        string
	Meaning     string
	DefaultOnly bool `yaml:"defaultOnly"`
	Values      []string

	Pattern    string
	Except     string
	Most       int
	Expected   string
	Value      string
	Fixed      string
	ReplacedBy []string `yaml:"replacedBy"`
	Needs      []string
	Excludes   string
	Because    string
	Imposed    string
	Implied    string

	pattern, except func() *regexp.Regexp // compile Pattern and Except at the first call
}

// contract is the injection contract of charts/pgorigin-sidecar. The command line has a flag for each word, so every
// start of the program reads it. Patterns are compiled at their first use, because that costs megabytes.
type contract struct {
	MostAnnotations    int `yaml:"mostAnnotations"`
	Showable           string
	Words              []Word
	Container, Volumes yaml.Node
	HostAliases        yaml.Node `yaml:"hostAliases"`
	ClientVariables    yaml.Node `yaml:"clientVariables"`
	Connections        yaml.Node

	showable    func() *regexp.Regexp // texts of a pod that a message may repeat
	connections func() connections
}

// Words returns the vocabulary in the order of help.
func Words() []Word { return readContract().Words }

//nolint:gochecknoglobals // the contract is part of the program, and it is read at the first use
var readContract = sync.OnceValue(func() *contract {
	read, err := parseContract(charts.Contract)
	if err != nil {
		panic(err) // a mistake in the program: every test of this package finds it
	}
	return read
})

func parseContract(text string) (*contract, error) {
	c := new(contract)
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(c); err != nil {
		return nil, fmt.Errorf("decode the injection contract: %w", err)
	}
	c.showable = compiled(c.Showable)
	c.connections = sync.OnceValue(func() (all connections) {
		if err := c.Connections.Decode(&all); err != nil {
			panic(err) // as above
		}
		return all
	})
	for i := range c.Words {
		word := &c.Words[i]
		word.pattern, word.except = compiled(word.Pattern), compiled(word.Except)
		if word.Most == 0 {
			word.Most = maxPart
		}
	}
	return c, nil
}

func compiled(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// findWord returns nil if there is no such word.
func findWord(name string) *Word {
	words := Words()
	i := slices.IndexFunc(words, func(w Word) bool { return w.Name == name })
	if i < 0 {
		return nil
	}
	return &words[i]
}

const (
	// maxPart is the longest part of a value between commas or spaces, in bytes. It is the limit of RFC 1035
	// for a name, and that of Kubernetes for the name of an object.
	maxPart = 253

	maxParts = 32 // between spaces, which is the most origins that pgorigin has
)

// check returns what is wrong with a value. It does not repeat the value, which may hold a password.
func (w *Word) check(value string) error {
	long := func(part string) bool { return len(part) > maxPart }
	if len(value) <= w.Most && w.pattern().MatchString(value) && apart(value) &&
		(w.Except == "" || !w.except().MatchString(value)) &&
		!slices.ContainsFunc(strings.Split(strings.ReplaceAll(value, " ", ","), ","), long) {
		return nil
	}
	return fmt.Errorf("expected %s", w.Expected)
}

// apart reports whether the keys of a value differ, and whether there are not too many.
func apart(value string) bool {
	all := keys(value)
	return len(all) <= maxParts && len(slices.Compact(slices.Sorted(slices.Values(all)))) == len(all)
}

// keys returns what is before the "=" in each part KEY=VALUE between spaces. It stops after one too many.
func keys(value string) []string {
	var all []string
	for part := range strings.FieldsSeq(value) {
		if len(all) > maxParts {
			break
		}
		key, _, _ := strings.Cut(part, "=")
		all = append(all, key)
	}
	return all
}

// fill makes a part of the contract with the values of words.
func (s Settings) fill(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.SequenceNode {
		made := list()
		for _, item := range n.Content {
			for _, filler := range s.fillers(item) {
				made.Content = append(made.Content, filler.fill(item))
			}
		}
		return made
	}
	if n.Kind == yaml.MappingNode {
		var members []any
		for i := range entries(n) {
			if one := entryAt(n, i); !slices.Contains([]string{"when", "unless", "each"}, one.first.Value) {
				members = append(members, one.first.Value, s.fill(one.value))
			}
		}
		return object(members...)
	}
	if text := s.fillText(n.Value); text != n.Value {
		return stringNode(text)
	}
	return n
}

func (s Settings) fillText(text string) string {
	before, rest, found := strings.Cut(text, "${")
	if name, after, closed := strings.Cut(rest, "}"); found && closed {
		return before + s[name] + after
	}
	return text
}

// fillers returns the settings that fill an item of a list, once for each time that it is there.
func (s Settings) fillers(item *yaml.Node) []Settings {
	when, unless, each := child(item, "when"), child(item, "unless"), child(item, "each")
	switch {
	case when != nil && s[when.Value] == "", unless != nil && s[unless.Value] != "":
		return nil
	case each == nil:
		return []Settings{s}
	}
	var all []Settings
	for part := range strings.FieldsSeq(s[each.Value]) {
		key, value, _ := strings.Cut(part, "=")
		all = append(all, Settings{"key": key, "value": value})
	}
	return all
}
