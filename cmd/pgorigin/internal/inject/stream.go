package inject

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Note is the result for one object.
type Note struct {
	Object string // such as "Deployment shop/web"
	Text   string // such as "injected"
	Wrong  bool   // it has to be corrected
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
// leaves a pod alone if its label pgorigin/inject is "false". It also does so if the pod has a container with
// our name that is not as Inject wrote it. If any object is wrong, the error is a *Refusal and there is no
// stream, so that nobody applies half of it.
func (i *Injector) Inject(stream []byte) ([]byte, []Note, error) {
	return editBatches(stream, i.reinject)
}

// reinject removes an earlier injection and injects.
func (i *Injector) reinject(s *source, r *report) ([]byte, error) {
	clean, found, err := s.uninjected()
	if err != nil {
		return nil, err
	}
	text, err := i.inject(clean, found, r)
	if err != nil || len(r.problems) > 0 || bytes.Equal(text, clean.text) {
		return text, err
	}
	return text, checkInjected(text, clean.text, clean.meaning(nil), s.at)
}

// inject returns the text with a sidecar in each pod that shall have one. It does not change the source. found
// is what was in each pod from an earlier injection.
func (i *Injector) inject(s *source, found []injection, r *report) ([]byte, error) {
	if len(found) == 0 {
		return s.text, nil
	}
	changes := newEdits(s)
	for index, w := range s.workloads() {
		before := found[index]
		label, labelled := w.pod.Metadata.Labels[askLabel]
		r.note(w, before.kept...)
		switch {
		case before.wrong != "":
			r.refuse(w, before.wrong)
			continue
		case w.skipped != "":
			r.note(w, w.skipped)
			continue
		case label == "false":
			r.note(w, fmt.Sprintf("left alone: label %s is %q", askLabel, label))
			continue
		case labelled && label != "true":
			r.refuse(w, fmt.Sprintf(`label %s is %q: write "true" or "false"`, askLabel, shown(label, "...")))
			continue
		case before.left != "" && before.left != foreignSidecar:
			r.hint(w, Note{Text: before.left, Wrong: true})
			continue
		case w.pod.hasSidecar():
			r.note(w, foreignSidecar)
			settings, _ := i.settings(w.pod.Metadata.Annotations)
			r.hint(w, w.pod.hints(settings)...)
			continue
		}
		problems := w.misplaced()
		if _, marked := w.pod.Metadata.Labels[statusLabel]; marked {
			problems = append(problems, "label "+statusLabel+" is for pgorigin to set: remove it")
		}
		decided, more := i.plan(w.pod)
		if problems = append(problems, more...); len(problems) > 0 {
			r.refuse(w, problems...)
			continue
		}
		if err := changes.inject(w, decided); err != nil {
			r.refuse(w, err.Error())
			continue
		}
		r.note(w, injected)
		r.hint(w, decided.hints...)
	}
	if len(r.problems) > 0 {
		return nil, nil
	}
	text, err := changes.apply()
	if err != nil {
		return nil, fmt.Errorf("inject: %w", err)
	}
	return text, nil
}

// inject adds what the plan has to a pod.
func (e *edits) inject(w workload, decided plan) error {
	spec := child(w.template, "spec")
	if spec == nil || spec.Kind != yaml.MappingNode {
		return errors.New("spec of the pod is not an object that is written out")
	}
	parts := decided.parts()
	// The variables are first. What belongs to the last container stays above what is next to the list.
	if err := e.addEnv(child(spec, "initContainers"), decided.inits, parts.env); err != nil {
		return err
	}
	if err := e.addEnv(child(spec, "containers"), decided.apps, parts.env); err != nil {
		return err
	}
	if err := e.addAlias(spec, decided.alias); err != nil {
		return err
	}
	if err := e.add(spec, parts.spec, place{before: "containers"}); err != nil {
		return err
	}
	return e.add(w.template, parts.metadata, place{before: "spec"})
}

// addEnv adds env to the containers with these indexes.
func (e *edits) addEnv(list *yaml.Node, indexes []int, env *yaml.Node) error {
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
type parts struct{ metadata, spec, env *yaml.Node }

func (p plan) parts() parts {
	labels, annotations := object(statusLabel, injected), object(recordName, p.record().String())
	return parts{
		metadata: object("metadata", object("labels", labels, "annotations", annotations)),
		spec: object("initContainers", list(p.container), "volumes", p.volumes,
			"hostAliases", p.alias.entries()),
		env: object("env", p.env),
	}
}

// Uninject removes what Inject added, and nothing else. It turns the output of Inject into the input of
// Inject, byte for byte. It leaves alone what has changed since.
func Uninject(stream []byte) ([]byte, []Note, error) {
	return editBatches(stream, func(s *source, r *report) ([]byte, error) {
		clean, found, err := s.uninjected()
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			r.note(one.workload, one.kept...)
			switch {
			case one.wrong != "":
				r.refuse(one.workload, one.wrong)
			case one.left != "":
				r.note(one.workload, one.left)
			case len(one.ours) > 0:
				r.note(one.workload, "uninjected")
			}
		}
		return clean.text, nil
	})
}

// uninjected returns the source without what inject added, and what that was in each workload. It makes sure
// that nothing else changes. The source stays as it is if there is nothing to remove, or something is wrong.
func (s *source) uninjected() (*source, []injection, error) {
	text, ours, found, err := s.remove()
	wrong := func(one injection) bool { return one.wrong != "" }
	if err != nil || len(ours) == 0 || slices.ContainsFunc(found, wrong) {
		return s, found, err
	}
	clean, err := parse(text, s.at)
	if err != nil || !bytes.Equal(clean.meaning(nil), s.meaning(ours)) {
		return nil, nil, s.uneditable()
	}
	return clean, found, nil
}

// remove returns the text without what inject added, and what that was.
func (s *source) remove() (text []byte, ours nodes, found []injection, err error) {
	ours = nodes{}
	for _, w := range s.workloads() {
		found = append(found, w.injection())
		maps.Copy(ours, found[len(found)-1].ours)
	}
	if len(ours) == 0 {
		return s.text, nil, found, nil
	}
	changes := newEdits(s)
	for i := range found {
		one := &found[i]
		if len(one.ours) == 0 {
			continue
		}
		changes.findHolders(one.template, ours)
		if err := changes.remove(one.template, ours); err != nil {
			one.wrong = err.Error()
		}
	}
	if text, err = changes.apply(); err != nil {
		return nil, nil, nil, fmt.Errorf("uninject: %w", err)
	}
	return text, ours, found, nil
}

// checkInjected parses the result. Without what is ours, it must be equal to the input.
func checkInjected(text, before, meaning []byte, at position) error {
	if len(text) > maxDocument {
		return fmt.Errorf("document %d would have more than %d MiB with pgorigin: "+
			"split it, for example a List by namespace", at.documents+1, maxDocument>>20)
	}
	after, err := parse(text, at)
	if err != nil {
		return fmt.Errorf("%w: %w", errUneditable, err)
	}
	clean, ours, _, err := after.remove()
	if err != nil || !bytes.Equal(clean, before) || !bytes.Equal(after.meaning(ours), meaning) {
		return after.uneditable()
	}
	return nil
}

// errUneditable is for YAML in a style so unusual that an edit would change more than it should.
var errUneditable = errors.New("this YAML cannot be edited safely; rewrite it in a usual style, " +
	"for example with kubectl create --dry-run=client -o yaml")

// uneditable says which documents are so.
func (s *source) uneditable() error {
	first, last := s.at.documents+1, s.at.documents+len(s.documents)
	if first == last {
		return fmt.Errorf("document %d: %w", first, errUneditable)
	}
	return fmt.Errorf("one of the documents %d to %d: %w", first, last, errUneditable)
}
