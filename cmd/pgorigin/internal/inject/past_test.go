package inject

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestHints(t *testing.T) {
	text, err := os.ReadFile("testdata/hints.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		About, Intercept, Want, Policy string
		Container                      map[string]any
	}
	if err := yaml.Unmarshal(text, &rows); err != nil || len(rows) < 30 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		t.Run(row.About, func(t *testing.T) {
			row.Container["name"] = "web"
			container, err := json.Marshal(row.Container)
			if err != nil {
				t.Fatal(err)
			}
			pod := strings.Replace(askedPods()["bare"], `{"name": "app", "image": "a"}`, string(container), 1)
			if row.Intercept != "" {
				pod = strings.Replace(pod, `"labels"`, `"annotations": {"pgorigin/intercept": "`+row.Intercept+`"}, "labels"`, 1)
			}
			_, decision := ask(t, testInjector(t), reviewOf(pod))
			want := []string(nil)
			if row.Want != "" {
				want = []string{"pgorigin: " + decision.Object + ": " + row.Want}
			}
			if !decision.Injected || !slices.Equal(decision.Warnings, want) {
				t.Errorf("injected: %v, refused: %q\ngot  %q\nwant %q", decision.Injected, decision.Problems, decision.Warnings, want)
			}
		})
	}
}

// A pod chooses neither how many hints there are nor how long they are.
func TestHintsAreBounded(t *testing.T) {
	value := strings.Repeat("h", 1<<11)
	variables := strings.Repeat(fmt.Sprintf(`{"name": "%s_PGHOST", "value": %q}, {"name": "A", "value": "postgres://%[2]s"},`, value, value), 20)
	pod := strings.Replace(askedPods()["bare"], `"image": "a"`, `"env": [`+variables+`{"name": "B\n\u001b", "value": "postgres://db"}]`, 1)
	answer, _ := ask(t, testInjector(t), reviewOf(pod))
	if n := len(answer.Warnings); n != maxProblems+1 {
		t.Errorf("%d warnings", n)
	}
	for _, text := range answer.Warnings {
		if len(text) > 400 || strings.ContainsAny(text, "\n\x1b") {
			t.Errorf("%d bytes: %q", len(text), text)
		}
	}
}

// A hint never has a password, however wrong the URL is.
func TestHintsHaveNoPassword(t *testing.T) {
	parts := []string{"", "@", "/", "?", "#", ":", "%", " ", "=", ",", "//", "x@y", "x/y@", "host=", "-h "}
	for _, form := range []string{"postgres://u:%s@db/x", "u%s@db", "postgresql://:%s@db,c:1/", "jdbc:postgresql://db/x?user=u&password=%s", "host=db dbname=x password=%s"} {
		for _, before := range parts {
			for _, after := range parts {
				value := fmt.Sprintf(form, "p"+before+"secret"+after+"w")
				p := pod{Spec: podSpec{Containers: []podContainer{{Name: "c", Env: []variable{{Name: "X", Value: value}, {Name: "PGHOST", Value: value}}}}}}
				for _, h := range p.hints(Settings{}) {
					if strings.Contains(h.Text, "secret") {
						t.Errorf("%s: %s", value, h.Text)
					}
				}
			}
		}
	}
}

// A pod that was injected with --intercept has no annotation: its hostAliases and its sidecar say the same.
func TestHintsOfInterceptedManifest(t *testing.T) {
	i := testInjector(t)
	if err := i.Set("intercept", "db.prod"); err != nil {
		t.Fatal(err)
	}
	after, _, err := i.Inject([]byte("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  containers:\n  - name: web\n    env:\n" +
		"    - {name: DATABASE_URL, value: postgres://db.prod/a}\n    - {name: PGSSLMODE, value: require}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"of inject": string(after), "of the library chart": strings.Replace(string(after), "pgorigin/injected", "example.com/x", 1),
	} {
		source, err := parse([]byte(text), position{})
		if err != nil {
			t.Fatal(err)
		}
		if hints := source.workloads()[0].pod.hints(Settings{}); len(hints) > 0 {
			t.Errorf("%s: %v", name, hints)
		}
	}
}

// Only a name that leads to pgorigin is local, whatever the pod leads elsewhere.
func TestHintsKnowWhereNamesLead(t *testing.T) {
	for ip, hints := range map[string]int{loopback: 0, "10.0.0.5": 1} {
		p := pod{Spec: podSpec{
			Containers:  []podContainer{{Name: "web", Env: []variable{{Name: "PGHOST", Value: "db.test"}}}},
			HostAliases: []hostAlias{{IP: ip, Hostnames: []string{"db.test"}}},
		}}
		if got := p.hints(Settings{}); len(got) != hints {
			t.Errorf("%s: %v", ip, got)
		}
	}
}

// A ConfigMap with settings may turn TLS on for clients, so nobody knows that require is wrong.
func TestHintsOfTLSAreSure(t *testing.T) {
	p := pod{Spec: podSpec{Containers: []podContainer{{Name: "web", Env: []variable{{Name: "PGSSLMODE", Value: "require"}}}}}}
	for settings, wrong := range map[string]bool{"": true, "more": false} {
		if got := p.hints(Settings{"env-configmap": settings}); len(got) != 1 || got[0].Wrong != wrong {
			t.Errorf("%q: %v", settings, got)
		}
	}
}
