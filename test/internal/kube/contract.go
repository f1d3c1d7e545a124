package kube

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pgorigin/pgorigin/charts"
)

// Word is one setting in the injection contract, which describes the fields.
type Word struct {
	Name, Pattern, Except, Value, Excludes string
	Most                                   int
	DefaultOnly                            bool `yaml:"defaultOnly"`
	Needs                                  []string
	ReplacedBy                             []string `yaml:"replacedBy"`
}

// Words reads the words of the injection contract.
func Words() ([]Word, error) {
	var contract struct{ Words []Word }
	if err := yaml.Unmarshal([]byte(charts.Contract), &contract); err != nil {
		return nil, fmt.Errorf("decode the injection contract: %w", err)
	}
	return contract.Words, nil
}

// Valid reports whether a value is right.
func (w Word) Valid(value string) bool {
	most := w.Most
	if most == 0 {
		most = 253
	}
	long := func(part string) bool { return len(part) > 253 }
	return len(value) <= most && regexp.MustCompile(w.Pattern).MatchString(value) &&
		(w.Except == "" || !regexp.MustCompile(w.Except).MatchString(value)) &&
		!slices.ContainsFunc(strings.Split(value, ","), long)
}
