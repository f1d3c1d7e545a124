package inject

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

// record is what inject wrote into a pod, in the annotation recordName. uninject removes only what is still
// as recorded. So the record does not depend on what this version would write.
type record struct {
	Container  string            `json:"container"`            // digest
	Volumes    map[string]string `json:"volumes,omitempty"`    // digests by name
	Env        map[string]string `json:"env,omitempty"`        // client variables of Containers
	Containers []string          `json:"containers,omitempty"` // sorted

	Alias    string `json:"alias,omitempty"`    // digest of an entry of hostAliases
	Hostname string `json:"hostname,omitempty"` // the name in it, or in an entry of the user's
}

func (p plan) record() record {
	r := record{Container: digest(p.container), Hostname: p.alias.name}
	if p.alias.entry != nil {
		r.Alias = digest(p.alias.entry)
	}
	for _, volume := range p.volumes.Content {
		if r.Volumes == nil {
			r.Volumes = map[string]string{}
		}
		r.Volumes[text(volume, "name")] = digest(volume)
	}
	if len(p.names) > 0 {
		r.Env = variables(p.env)
		r.Containers = slices.Compact(slices.Sorted(slices.Values(p.names)))
	}
	return r
}

// variables turns a list of variables into a map.
func variables(list *yaml.Node) map[string]string {
	values := map[string]string{}
	for _, item := range list.Content {
		values[text(item, "name")] = text(item, "value")
	}
	return values
}

func (r record) String() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // cannot happen: strings only
	}
	return string(text)
}

// errRecord is for a record that inject has not written. Nobody can tell then what is from inject.
var errRecord = errors.New("annotation " + recordName + " is not as this version of inject writes it: " +
	"restore it, or use the pgorigin that wrote it")

// readRecord refuses what inject would never write, so that uninject never removes anything else.
func readRecord(text string) (record, error) {
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil || r.String() != text {
		return record{}, errRecord
	}
	digests := append(slices.Collect(maps.Values(r.Volumes)), r.Container)
	if r.Alias != "" {
		digests = append(digests, r.Alias)
	}
	isWrong := func(digest string) bool { return !digestText.MatchString(digest) }
	isForeign := func(name string) bool { return !slices.Contains(volumeNames(), name) }
	isUnusual := func(name string) bool { return !containerText.MatchString(name) }
	switch {
	case slices.ContainsFunc(digests, isWrong),
		slices.ContainsFunc(slices.Collect(maps.Keys(r.Volumes)), isForeign),
		slices.ContainsFunc(r.Containers, isUnusual), !slices.IsSorted(r.Containers),
		len(slices.Compact(slices.Clone(r.Containers))) != len(r.Containers),
		(len(r.Env) == 0) != (len(r.Containers) == 0), len(r.Env) > 0 && !wasClientEnv(r.Env),
		r.Alias != "" && r.Hostname == "", r.Hostname != "" && findWord("intercept").check(r.Hostname+":"+defaultPort) != nil:
		return record{}, errRecord
	}
	return r, nil
}

var (
	digestText    = regexp.MustCompile(`^[0-9a-f]{16}$`)
	containerText = regexp.MustCompile(`^[^\x00-\x1f\x7f]{0,253}$`) // wider than Kubernetes: a template may fill it
)

// volumeNames are all names that inject has ever given to a volume.
func volumeNames() []string {
	var names []string
	for _, item := range readContract().Volumes.Content {
		names = append(names, text(item, "name"))
	}
	return names
}

// wasClientEnv reports whether inject writes these variables, for some port.
func wasClientEnv(env map[string]string) bool {
	port := env["PGPORT"]
	made := Settings{"listen-port": port}.fill(&readContract().ClientVariables)
	return findWord("listen-port").check(port) == nil && maps.Equal(env, variables(made))
}

// digest identifies what a value means to Kubernetes.
func digest(n *yaml.Node) string {
	text, err := json.Marshal(canonical(n)) // the keys of a map are sorted
	if err != nil {
		panic(err) // cannot happen: maps, lists and strings only
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// canonical turns a value into maps, lists and strings, or nil for what means nothing. Style, order of keys,
// and what an API server adds to every container and volume do not count. An anchor does count: something
// else may use the value.
func canonical(n *yaml.Node) any {
	switch {
	case n.Anchor != "" || n.Kind == yaml.AliasNode:
		return []any{"&", n.Anchor, n.Value}
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return nil
	case n.Kind == yaml.ScalarNode:
		return n.Value
	case len(n.Content) == 0:
		return nil
	case n.Kind != yaml.MappingNode:
		made := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			made = append(made, canonical(item))
		}
		return made
	}
	made := map[string]any{}
	for i := range entries(n) {
		one := entryAt(n, i)
		value := canonical(one.value)
		if value != nil && value != serverDefault(one.first.Value) {
			made[one.first.Value] = value
		}
	}
	return made
}

// serverDefault returns the value that an API server gives to a key that inject does not write, or nil.
func serverDefault(key string) any {
	switch key {
	case "defaultMode":
		return "420"
	case "protocol":
		return "TCP"
	case "scheme":
		return "HTTP"
	case "successThreshold":
		return "1"
	case "terminationMessagePath":
		return "/dev/termination-log"
	}
	return nil
}
