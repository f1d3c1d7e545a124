package inject

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// workload is an object of a YAML stream that is a pod or has a pod template.
type workload struct {
	name     string     // such as "Deployment shop/web"
	template *yaml.Node // mapping with metadata and spec: the object itself if it is a Pod
	pod      pod        // what template says
	outer    metadata   // that of the object around template; empty for a Pod
	wrong    string     // why the rest cannot be read; empty if it can
	skipped  string     // why pgorigin leaves it alone by its kind; empty if it does not
}

// workloads finds the workloads of a stream, also in a List.
func (s *source) workloads() []workload {
	var found []workload
	for _, document := range s.documents {
		for _, root := range document.Content {
			found = appendWorkloads(found, root, "", "")
		}
	}
	return found
}

// readWorkload reads an object of a kind.
func readWorkload(n *yaml.Node, name string, about kind) workload {
	w := workload{name: fmt.Sprintf("%s in line %d", name, n.Line), template: n, skipped: about.skipped}
	err := w.read(n, name, about.path)
	switch {
	case err == nil:
	case about.guessed:
		w.skipped = "left alone: its spec.template is no pod template: " + err.Error()
	default:
		w.wrong = err.Error()
	}
	return w
}

// read reads an object with a pod template at path.
func (w *workload) read(n *yaml.Node, kind string, path []string) error {
	var whole struct {
		Metadata metadata `yaml:"metadata"`
	}
	if err := checkKeys(n); err != nil {
		return err
	}
	if err := decode(n, &whole); err != nil {
		return err
	}
	w.name = describe(kind, whole.Metadata)
	for i, key := range path {
		if w.template = child(w.template, key); w.template == nil || w.template.Kind != yaml.MappingNode {
			return fmt.Errorf("%s is not an object that is written out: "+
				"pgorigin does not follow aliases and merge keys; write it out", strings.Join(path[:i+1], "."))
		}
	}
	if len(path) > 0 {
		w.outer = whole.Metadata
	}
	if w.skipped != "" {
		return nil
	}
	return decode(w.template, &w.pod)
}

// maxKeys bounds a mapping of an object, because decode compares each key with all others.
const maxKeys = 2000

func checkKeys(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode && entries(n) > maxKeys {
		return fmt.Errorf("line %d: expected at most %d keys, saw %d", n.Line, maxKeys, entries(n))
	}
	for _, inner := range n.Content {
		if err := checkKeys(inner); err != nil {
			return err
		}
	}
	return nil
}

// decode is n.Decode with one problem only, and without the names of our types in the error.
func decode(n *yaml.Node, into any) error {
	err := n.Decode(into)
	var wrong *yaml.TypeError
	if !errors.As(err, &wrong) {
		return err
	}
	text, _, _ := strings.Cut(wrong.Errors[0], " into ")
	return errors.New(strings.Replace(text, "cannot unmarshal", "this does not belong here:", 1))
}

// misplaced returns the labels and annotations for pgorigin on the object around the template. Nothing reads
// them there.
func (w workload) misplaced() []string {
	var problems []string
	marks := map[string]map[string]string{"annotation": w.outer.Annotations, "label": w.outer.Labels}
	for what, keys := range marks {
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if strings.HasPrefix(key, annotationPrefix) {
				problems = append(problems,
					fmt.Sprintf("%s %s is on the object itself, where nothing reads it: "+
						"move it to the metadata of the pod template", what, short(key, maxName)))
			}
		}
	}
	slices.Sort(problems)
	return problems
}

// describe names an object for people.
func describe(kind string, m metadata) string {
	name := m.Name
	if name == "" && m.GenerateName != "" {
		name = m.GenerateName + "*"
	}
	if m.Namespace != "" {
		name = m.Namespace + "/" + name
	}
	return strings.TrimSpace(short(kind, maxName) + " " + short(name, maxName))
}

// child returns the value of a key of a mapping, or nil. It follows neither aliases nor merge keys.
func child(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// text returns the value of a key that is a scalar, or "".
func text(mapping *yaml.Node, key string) string {
	if n := child(mapping, key); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}
