package inject

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// checked returns what CheckInjected says, problems first, with a mark.
func checked(t *testing.T, i *Injector, stream string) []string {
	t.Helper()
	text, notes, err := i.CheckInjected([]byte(stream))
	if len(text) > 0 {
		t.Errorf("it returns text: %s", text)
	}
	var said []string
	refused := new(Refusal)
	switch {
	case errors.As(err, &refused):
		for _, problem := range refused.Problems {
			said = append(said, "! "+problem.Object+": "+problem.Text)
		}
	case err != nil:
		t.Fatal(err)
	}
	for _, n := range notes {
		said = append(said, n.Object+": "+n.Text)
	}
	return said
}

// reordered is an object with the keys of each map in order, as after kubectl or yq.
func reordered(t *testing.T, object string) string {
	t.Helper()
	var decoded map[string]any
	if err := yaml.Unmarshal([]byte(object), &decoded); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(decoded)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCheckInjected(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {a: b}}\nspec:\n  containers:\n  - name: app\n    image: a:1\n"
	inject := func(text string) string {
		after, _, err := testInjector(t).Inject([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return string(after)
	}
	past := strings.Replace(pod, "image: a:1", "image: a:1\n    env: [{name: URL, value: 'postgres://u:secret@db/'}]", 1)
	soft := strings.Replace(pod, "image: a:1", "image: a:1\n    envFrom: [{secretRef: {name: s}}]", 1)
	labelled := func(value string) string { return strings.Replace(pod, "a: b", "pgorigin/inject: "+value, 1) }
	knative := "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: k}\nspec: {template: {spec: {containers: [{image: a}]}}}\n"
	for name, c := range map[string]struct {
		stream string
		want   []string
	}{
		"injected":                {inject(pod), nil},
		"injected, in other YAML": {strings.Replace(inject(pod), "{name: web, ", "{name: 'web', ", 1) + "# end\n", nil},
		"injected, reordered":     {reordered(t, inject(pod)), nil},
		"nothing to inject":       {"kind: ConfigMap\n", nil},
		"not injected":            {pod, []string{"! Pod web: not injected: run pgorigin inject"}},
		"two":                     {inject(pod) + "---\n" + pod, []string{"! Pod web: not injected: run pgorigin inject"}},
		"other flags": {
			strings.Replace(inject(strings.Replace(pod, "labels: {a: b}", "annotations: {pgorigin/log-level: debug}", 1)), "pgorigin/log-level: debug", "pgorigin/log-level: info", 1),
			[]string{"! Pod web: its sidecar differs from what these flags make: run pgorigin inject again"},
		},
		"exempt":      {labelled(`"false"`), []string{`Pod web: left alone: label pgorigin/inject is "false"`}},
		"wrong label": {labelled(`"True"`), []string{`! Pod web: label pgorigin/inject is "True": write "true" or "false"`}},
		"past":        {inject(past), []string{`! Pod web: container "app" bypasses pgorigin: URL has the host db: write 127.0.0.1:6432 there`}},
		"unclear":     {inject(soft), []string{`Pod web: container "app": pgorigin cannot see where Secret s leads: check that it is 127.0.0.1:6432`}},
		"changed": {
			strings.Replace(inject(pod), "/startupz", "/livez", 1),
			[]string{"! Pod web: left alone: container pgorigin changed after inject; delete what changed, then run this again"},
		},
		"from a chart": {strings.Replace(pod, "spec:\n", "spec:\n  initContainers: [{name: pgorigin, image: x}]\n", 1), []string{"Pod web: " + foreignSidecar}},
		"Knative": {knative, []string{
			`Service k: left alone: Knative refuses native sidecars in its objects; set the label pgorigin/inject: "true" in its template, and the injector adds pgorigin to the pods`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := checked(t, testInjector(t), c.stream); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}
