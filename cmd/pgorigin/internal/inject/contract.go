package inject

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/template"

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
	injected    = "injected"                        // value of statusLabel
	envRecord   = annotationPrefix + "injected-env" // names of the containers with client environment
)

// Word is one setting of an injected container. The annotation pgorigin/NAME, the flag --NAME and the file
// NAME in the folder of defaults are the same setting. The contract of the charts describes the fields.
type Word struct {
	Name        string
	Meaning     string
	DefaultOnly bool `yaml:"defaultOnly"`
	Values      []string

	Pattern    string
	Most       int
	Expected   string
	Write      string
	Value      string
	Fixed      string
	ReplacedBy []string `yaml:"replacedBy"`
	Needs      []string
	Excludes   string

	pattern *regexp.Regexp
}

// contract is the injection contract of charts/pgorigin-sidecar.
type contract struct {
	Showable           string
	Words              []Word
	Container, Volumes yaml.Node
	ClientVariables    yaml.Node `yaml:"clientVariables"`

	showable *regexp.Regexp // values that a message may repeat
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
	parsed, err := template.New("").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parse the injection contract: %w", err)
	}
	var rendered bytes.Buffer
	if err := parsed.ExecuteTemplate(&rendered, "pgorigin.contract", nil); err != nil {
		return nil, fmt.Errorf("render the injection contract: %w", err)
	}
	c := new(contract)
	decoder := yaml.NewDecoder(&rendered)
	decoder.KnownFields(true)
	if err := decoder.Decode(c); err != nil {
		return nil, fmt.Errorf("decode the injection contract: %w", err)
	}
	if c.showable, err = regexp.Compile(c.Showable); err != nil {
		return nil, fmt.Errorf("pattern of what is shown: %w", err)
	}
	for i := range c.Words {
		word := &c.Words[i]
		if word.pattern, err = regexp.Compile(word.Pattern); err != nil {
			return nil, fmt.Errorf("pattern of %s: %w", word.Name, err)
		}
		if word.Most == 0 {
			word.Most = maxPart
		}
		if word.Write == "" {
			word.Write = word.Expected
		}
	}
	return c, nil
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

// maxPart is the longest part of a value between commas, in bytes. It is the limit of RFC 1035 for a name,
// and that of Kubernetes for the name of an object.
const maxPart = 253

// check returns what is wrong with a value.
func (w *Word) check(value string) error {
	long := func(part string) bool { return len(part) > maxPart }
	if len(value) <= w.Most && w.pattern.MatchString(value) &&
		!slices.ContainsFunc(strings.Split(value, ","), long) {
		return nil
	}
	return fmt.Errorf("%sexpected %s", saw(value), w.Expected)
}

// saw returns the part of a message that repeats a value. It is empty if the value may hold a password, or is long.
func saw(value string) string {
	if !readContract().showable.MatchString(value) {
		return ""
	}
	return `saw "` + value + `": `
}

// fill makes a part of the contract with the values of words. It returns nil for what is left out.
func (s Settings) fill(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		made := object{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if value := s.fill(n.Content[i+1]); value != nil && key != "when" {
				made = append(made, member{key, value})
			}
		}
		return made
	case yaml.SequenceNode:
		var made []any
		for _, item := range n.Content {
			if when := child(item, "when"); when == nil || s[when.Value] != "" {
				made = append(made, s.fill(item))
			}
		}
		if made == nil {
			return nil
		}
		return made
	}
	before, rest, found := strings.Cut(n.Value, "${")
	if name, after, closed := strings.Cut(rest, "}"); found && closed {
		if before+s[name]+after == "" {
			return nil
		}
		return before + s[name] + after
	}
	var value any
	if err := n.Decode(&value); err != nil {
		panic(err) // a scalar that was parsed
	}
	return value
}
