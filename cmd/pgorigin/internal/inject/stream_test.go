package inject

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// testInjector has the defaults of all stream tests.
func testInjector(t testing.TB) *Injector {
	t.Helper()
	i := new(Injector)
	for name, value := range map[string]string{
		"image": "registry.example/pgorigin:v1.0.0", "upstream": "pgbouncer.prod.svc:6432", "ca-secret": "pgbouncer-ca",
	} {
		if err := i.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return i
}

func TestStreams(t *testing.T) {
	files, err := filepath.Glob("testdata/streams/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("found %d streams, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			after, notes, err := testInjector(t).Inject(before)
			if err != nil {
				t.Fatal(err)
			}
			var report strings.Builder
			for _, n := range notes {
				fmt.Fprintf(&report, "# %s: %s\n", n.Object, n.Text)
			}
			compareGolden(t, strings.TrimSuffix(file, ".yaml")+".golden", report.String()+string(after))
			checkRoundTrip(t, before, after)
		})
	}
}

// The variables of the last init container stay in it, also if the volumes come next.
func TestVariablesStayInTheirContainer(t *testing.T) {
	const text = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n" +
		"  initContainers:\n  - name: migrate\n    image: m\n  containers:\n  - name: web\n"
	after, _, err := testInjector(t).Inject([]byte(text))
	if err != nil || !strings.Contains(string(after), "    image: m\n    env:\n    - name: PGHOST\n") {
		t.Errorf("%v\n%s", err, after)
	}
	checkRoundTrip(t, []byte(text), after)
}

// The init containers of a pod may need the database, by a name that leads to pgorigin alone.
func TestPgoriginComesBeforeThePodsInitContainers(t *testing.T) {
	const text = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, annotations: {pgorigin/intercept: db.prod}}\nspec:\n" +
		"  initContainers:\n  - name: migrate\n    image: m\n  containers:\n  - name: web\n"
	after, _, err := testInjector(t).Inject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var injected pod
	if err := yaml.Unmarshal(after, &injected); err != nil {
		t.Fatal(err)
	}
	inits := injected.Spec.InitContainers
	if len(inits) != 2 || inits[0].Name != containerName || inits[1].Name != "migrate" {
		t.Errorf("%+v", inits)
	}
	answer, _ := ask(t, testInjector(t), reviewOf(interceptPod(`"initContainers": [{"name": "migrate"}], `)))
	if patch := string(answer.Patch); !strings.Contains(patch, `"path":"/spec/initContainers/0","value":{"args":["run"]`) {
		t.Error(patch)
	}
}

// checkRoundTrip checks an injected stream: a second inject changes nothing, and uninject restores the input.
func checkRoundTrip(t *testing.T, before, after []byte) {
	t.Helper()
	again, _, err := testInjector(t).Inject(after)
	if err != nil {
		t.Fatalf("inject again: %v", err)
	}
	if !bytes.Equal(again, after) {
		t.Errorf("inject again changed something:\n%s", again)
	}
	back, _, err := Uninject(after)
	if err != nil {
		t.Fatalf("uninject: %v", err)
	}
	if !bytes.Equal(back, before) {
		t.Errorf("uninject returned\n%s\ninstead of\n%s", back, before)
	}
}
