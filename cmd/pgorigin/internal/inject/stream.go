package inject

import (
	"bytes"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Note is the result for one object.
type Note struct {
	Object string // such as "Deployment shop/web"
	Text   string // such as "injected"
}

// Refusal is everything that is wrong with the objects of a stream.
type Refusal struct {
	Problems []Note
}

// Error has one line for each problem.
func (r *Refusal) Error() string {
	var lines []byte
	for i, p := range r.Problems {
		if i > 0 {
			lines = append(lines, '\n')
		}
		lines = append(lines, p.Object+": "+p.Text...)
	}
	return string(lines)
}

// Inject puts the sidecar into all pods and pod templates of a stream of YAML or JSON documents. It replaces
// an earlier injection. Everything else stays as it is, byte for byte: comments, order, other kinds. Inject
// leaves a pod alone if its label pgorigin/inject has another value than "true", or if it has a container
// with our name from elsewhere. If any object is wrong, the error is a *Refusal and there is no stream, so
// that nobody applies half of it.
func (i *Injector) Inject(stream []byte) ([]byte, []Note, error) {
	clean, _, err := Uninject(stream)
	if err != nil {
		return nil, nil, err
	}
	before, err := parse(clean)
	if err != nil {
		return nil, nil, err
	}
	workloads, err := before.workloads()
	if err != nil {
		return nil, nil, err
	}
	changes := newEdits(before)
	var notes []Note
	refused := new(Refusal)
	for _, w := range workloads {
		note := func(text string) { notes = append(notes, Note{w.name, text}) }
		label, labelled := w.pod.Metadata.Labels[askLabel]
		switch {
		case labelled && label != "true":
			note(fmt.Sprintf("left alone: label %s is %q", askLabel, label))
			continue
		case w.pod.hasSidecar():
			note("left alone: it has a container called " + containerName + " of its own")
			continue
		}
		problems := w.misplaced()
		decided, more := i.plan(w.pod)
		for _, problem := range append(problems, more...) {
			refused.Problems = append(refused.Problems, Note{w.name, problem})
		}
		if len(refused.Problems) > 0 {
			continue
		}
		if err := changes.inject(w, decided); err != nil {
			refused.Problems = append(refused.Problems, Note{w.name, err.Error()})
		}
		note("injected")
	}
	if len(refused.Problems) > 0 {
		return nil, nil, refused
	}
	after, err := changes.apply()
	if err != nil {
		return nil, nil, fmt.Errorf("inject: %w", err)
	}
	if err := checkInjected(before, after); err != nil {
		return nil, nil, err
	}
	return after, notes, nil
}

// inject adds what the plan has to a pod.
func (e *edits) inject(w workload, decided plan) error {
	spec := child(w.template, "spec")
	if spec == nil || spec.Kind != yaml.MappingNode {
		return errors.New("spec of the pod is not an object that is written out")
	}
	parts := decided.parts()
	if err := e.add(w.template, parts.metadata, place{before: "spec"}); err != nil {
		return err
	}
	if err := e.add(spec, parts.spec, place{before: "containers"}); err != nil {
		return err
	}
	if err := e.addEnv(child(spec, "initContainers"), decided.inits, parts.env); err != nil {
		return err
	}
	return e.addEnv(child(spec, "containers"), decided.apps, parts.env)
}

// addEnv adds env to the containers with these indexes.
func (e *edits) addEnv(list *yaml.Node, indexes []int, env object) error {
	for _, index := range indexes {
		if list == nil || index >= len(list.Content) || list.Content[index].Kind != yaml.MappingNode {
			return errors.New("its containers are not a list that is written out")
		}
		if err := e.add(list.Content[index], env, place{after: "image"}); err != nil {
			return err
		}
	}
	return nil
}

// parts is what a plan adds, by place.
type parts struct{ metadata, spec, env object }

func (p plan) parts() parts {
	meta := object{{"labels", object{{statusLabel, injected}}}}
	spec := object{{"initContainers", []any{p.container}}}
	if len(p.volumes) > 0 {
		spec = append(spec, member{"volumes", p.volumes})
	}
	if p.record == "" {
		return parts{metadata: object{{"metadata", meta}}, spec: spec}
	}
	meta = append(meta, member{"annotations", object{{envRecord, p.record}}})
	return parts{metadata: object{{"metadata", meta}}, spec: spec, env: object{{"env", p.env}}}
}

// Uninject removes what Inject added, and nothing else. It turns the output of Inject into the input of
// Inject, byte for byte.
func Uninject(stream []byte) ([]byte, []Note, error) {
	before, err := parse(stream)
	if err != nil {
		return nil, nil, err
	}
	workloads, err := before.workloads()
	if err != nil {
		return nil, nil, err
	}
	changes := newEdits(before)
	gone := nodes{}
	var notes []Note
	for _, w := range workloads {
		if w.pod.Metadata.Labels[statusLabel] != injected {
			continue
		}
		ours := w.additions()
		if err := changes.remove(w.template, ours); err != nil {
			return nil, nil, &Refusal{[]Note{{w.name, err.Error()}}}
		}
		for n := range ours {
			gone[n] = true
		}
		notes = append(notes, Note{w.name, "uninjected"})
	}
	if len(notes) == 0 {
		return stream, nil, nil
	}
	text, err := changes.apply()
	if err != nil {
		return nil, nil, fmt.Errorf("uninject: %w", err)
	}
	after, err := parse(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errUneditable, err)
	}
	if !sameMeaning(before, gone, after, nil) {
		return nil, nil, errUneditable
	}
	return text, notes, nil
}

// errUneditable is for YAML in a style so unusual that an edit would change more than it should.
var errUneditable = errors.New("this YAML cannot be edited safely; rewrite it in a usual style, " +
	"for example with kubectl create --dry-run=client -o yaml")

// checkInjected parses the result. Without what is ours, it must be equal to the input.
func checkInjected(before *source, text []byte) error {
	after, err := parse(text)
	if err != nil {
		return fmt.Errorf("%w: %w", errUneditable, err)
	}
	workloads, err := after.workloads()
	if err != nil {
		return fmt.Errorf("%w: %w", errUneditable, err)
	}
	ours := nodes{}
	for _, w := range workloads {
		if w.pod.Metadata.Labels[statusLabel] != injected {
			continue
		}
		for n := range w.additions() {
			ours[n] = true
		}
	}
	clean, _, err := Uninject(text)
	if err != nil || !bytes.Equal(clean, before.text) || !sameMeaning(before, nil, after, ours) {
		return errUneditable
	}
	return nil
}
