package kube

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pgorigin/pgorigin/test/servers"
)

// Variant is one document of cmd/pgorigin/internal/inject/testdata/container.yaml: inputs, and what injection makes of them.
type Variant struct {
	About       string            `yaml:"-"`
	Defaults    map[string]string `yaml:"defaults"`    // words that hold for all pods
	Annotations map[string]string `yaml:"annotations"` // of the pod
	Container   any               `yaml:"container"`
	Volumes     any               `yaml:"volumes"`
	HostAliases any               `yaml:"hostAliases"`
	ClientEnv   any               `yaml:"clientEnv"`
}

// about is the comment with which a document begins.
var about = regexp.MustCompile(`(?m)^---\n# (.*)$`)

// Variants reads the golden file.
func Variants() ([]Variant, error) {
	top, err := servers.Repository()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(top, "cmd", "pgorigin", "internal", "inject", "testdata", "container.yaml"))
	if err != nil {
		return nil, fmt.Errorf("read variants: %w", err)
	}
	names := about.FindAllStringSubmatch(string(text), -1)
	variants := make([]Variant, len(names))
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	for i := range variants {
		if err := d.Decode(&variants[i]); err != nil {
			return nil, fmt.Errorf("decode variant: %w", err)
		}
		variants[i].About = names[i][1]
	}
	return variants, nil
}

// merge lays the annotations over the defaults, by the rules of inject: an upstream of the pod's own, say, leaves nothing of the
// default server name.
func (v Variant) merge(known []Word) map[string]string {
	words := maps.Clone(v.Defaults)
	for _, w := range known {
		if slices.ContainsFunc(w.ReplacedBy, func(name string) bool { return v.Annotations["pgorigin/"+name] != "" }) {
			delete(words, w.Name)
		}
	}
	for key, value := range v.Annotations {
		words[strings.TrimPrefix(key, "pgorigin/")] = value
	}
	return words
}

// SidecarValues is a document of values for the library chart under a name, with defaults and annotations in one.
func (v Variant) SidecarValues(under string) (string, error) {
	known, err := Words()
	if err != nil {
		return "", err
	}
	return values(under, v.merge(known))
}

// DefaultValues is a document of values for the chart pgorigin, with the defaults.
func (v Variant) DefaultValues() (string, error) { return values("sidecar", v.Defaults) }

func values(under string, words map[string]string) (string, error) {
	known, err := Words()
	if err != nil {
		return "", err
	}
	// What the chart's own values.yaml may set besides: a variant is to have its own words only.
	sidecar := map[string]any{"caSecret": "", "upstream": ""}
	for word, value := range words {
		if word == "image" {
			at := strings.LastIndex(value, ":")
			set(sidecar, value[:at], "image", "repository")
			set(sidecar, value[at+1:], "image", "tag")
			continue
		}
		i := slices.IndexFunc(known, func(w Word) bool { return w.Name == word })
		if i < 0 || known[i].Value == "" {
			return "", fmt.Errorf("the charts have no value for %q", word)
		}
		var typed any = value
		switch word {
		case "listen-port", "client-env": // a number, a boolean; a wrong value stays a string
			if regexp.MustCompile("^([1-9][0-9]*|true|false)$").MatchString(value) {
				_ = json.Unmarshal([]byte(value), &typed) // it is one
			}
		}
		set(sidecar, typed, strings.Split(known[i].Value, ".")...)
	}
	text, err := yaml.Marshal(map[string]any{under: sidecar})
	return string(text), err
}

// set sets a member of nested objects.
func set(object map[string]any, value any, path ...string) {
	for _, name := range path[:len(path)-1] {
		inner, ok := object[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			object[name] = inner
		}
		object = inner
	}
	object[path[len(path)-1]] = value
}

// Diff compares two decoded objects; what it returns is empty if they are the same, and shows both if not.
func Diff(got, want any) string {
	gotJSON, gotErr := json.MarshalIndent(got, "", "  ")
	wantJSON, wantErr := json.MarshalIndent(want, "", "  ")
	if gotErr == nil && wantErr == nil && reflect.DeepEqual(gotJSON, wantJSON) {
		return ""
	}
	return fmt.Sprintf("got  %s\nwant %s\n%v %v", gotJSON, wantJSON, gotErr, wantErr)
}
