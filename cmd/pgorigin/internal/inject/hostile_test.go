package inject

import (
	"strings"
	"testing"
)

// hostileStream is a text that inject refuses, or does not change, and the reason.
type hostileStream struct {
	name, yaml string
	refused    string // part of the error; empty: passes
}

func hostile() []hostileStream {
	const head = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n"
	return []hostileStream{
		{"empty", "", ""},
		{"only comments", "# nothing\n---\n# here\n", ""},
		{"no object", "- kind: Pod\n---\n7\n---\n~\n", ""},
		{"another group's kind", "apiVersion: example.com/v1\nkind: Deployment\nspec: 7\n", ""},
		{"kind that is no text", "apiVersion: v1\nkind: [Pod]\n", ""},
		{"list in a list", "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod}]}]\n", "spec of the pod is not an object"},
		{"not UTF-8", "a: \xff\n", "not UTF-8"},
		{"UTF-16", "\xff\xfea\x00", "not UTF-8"},
		{"tab as indentation", "a:\n\tb: 1\n", "line 2"},
		{"broken second document", head + "spec: {containers: []}\n---\na: [\n", "document 2"},
		{"unknown anchor", "a: *nobody\n", "unknown anchor"},
		{"template missing", "apiVersion: apps/v1\nkind: Deployment\n", "spec is not an object that is written out"},
		{"spec missing", head, "spec of the pod is not an object"},
		{"spec null", head + "spec:\n", "spec of the pod is not an object"},
		{"containers of a wrong kind", head + "spec: {containers: 7}\n", "Pod x: line 4: this does not belong here: !!int `7`"},
		{"environment of a wrong kind", head + "spec: {containers: [{name: a, env: {}}]}\n", "Pod x: "},
		{"null in flow style", head + "spec: {containers: [{name: a, env: null}]}\n", "env is null in flow style"},
		{"template by alias", "apiVersion: apps/v1\nkind: Deployment\nx: &t {spec: {containers: []}}\nspec: {template: *t}\n", "not follow aliases"},
		{"spec by alias", "x: &s {containers: []}\n" + head + "spec: *s\n", "spec of the pod is not an object"},
		{"labels used elsewhere", "apiVersion: v1\nkind: Pod\nmetadata:\n  labels: &l {app: x}\n  annotations: *l\nspec: {containers: []}\n", "in more than one place"},
		{"container used twice", head + "spec:\n  containers:\n  - &c\n    name: a\n  - *c\n", "Pod x: "},
		{"merge key", "x: &m {env: [{name: PGHOST}]}\n" + head + "spec:\n  containers:\n  - <<: *m\n    name: a\n  - <<: {}\n    name: b\n", "merge key"},
		{"anchor in front of a list", head + "spec:\n  containers: []\n  volumes: &v [{name: a}]\n", "Pod x: "},
		{"aliases without end", "a: &a [x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n" +
			"d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\n" +
			"g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f]\n" + head + "spec: {containers: [{name: a, env: *g}]}\n", "does not belong"},
		{"deep nesting", head + "spec: {x: " + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "}\n", "exceeded max depth"},
		{"key twice", head + "spec: {containers: [], containers: []}\n", "already defined"},
	}
}

func TestHostileStreams(t *testing.T) {
	for _, h := range hostile() {
		t.Run(h.name, func(t *testing.T) {
			after, notes, err := testInjector(t).Inject([]byte(h.yaml))
			switch {
			case h.refused == "" && (err != nil || string(after) != h.yaml || len(notes) > 0):
				t.Errorf("got %q, %v, %v; want it untouched", after, notes, err)
			case h.refused != "" && (err == nil || !strings.Contains(err.Error(), h.refused)):
				t.Errorf("got %q, %v; want an error with %q", after, err, h.refused)
			}
		})
	}
}
