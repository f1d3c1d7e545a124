//go:build charts

package charts

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
)

// appKustomization uses two components; their path, the name of the second and the settings are to be filled in.
const appKustomization = `
resources: [app.yaml]
components: [%s, %[1]s/%s]
configMapGenerator:
- name: pgorigin
  literals: ["image=%s", "upstream=%s", "ca-secret=%s", "intercept=%s"]
  options: {annotations: {config.kubernetes.io/local-config: "true"}}
`

// appSpecs are pods of different shapes, each in a kind of its own.
var appSpecs = map[string]string{
	"Deployment":  "{containers: [{name: web, image: w}]}",
	"StatefulSet": "{initContainers: [{name: migrate, image: m}], containers: [{name: web, image: w}], volumes: [{name: data, emptyDir: {}}]}",
	"DaemonSet":   "{containers: [{name: web, image: w, env: [{name: PGHOST, value: elsewhere}]}]}",
	"Job":         "{restartPolicy: Never, containers: [{name: web, image: w}]}",
	"CronJob":     "{restartPolicy: Never, initContainers: [{name: migrate, image: m}], containers: [{name: web, image: w}]}",
}

// The Kustomize component makes the container, the volume and the client environment of inject, for every kind, and changes
// nothing else.
func TestKustomize(t *testing.T) {
	variants, err := kube.Variants()
	if err != nil {
		t.Fatal(err)
	}
	for component, about := range map[string]string{"client-env": "CA in a Secret", "intercept": "the name itself leads here"} {
		t.Run(component, func(t *testing.T) {
			want := variants[slices.IndexFunc(variants, func(v kube.Variant) bool { return v.About == about })]
			testComponent(t, component, want)
		})
	}
}

func testComponent(t *testing.T, component string, want kube.Variant) {
	t.Helper()
	var app strings.Builder
	for kind, spec := range appSpecs {
		version, inner := "apps/v1", "template: {metadata: {labels: {app: web}}, spec: "+spec+"}"
		switch kind {
		case "Job":
			version = "batch/v1"
		case "CronJob":
			version, inner = "batch/v1", "jobTemplate: {spec: {"+inner+"}}"
		}
		for name, labels := range map[string]string{"asks": "{pgorigin: sidecar}", "other": "{}"} {
			fmt.Fprintf(&app, "---\n{apiVersion: %s, kind: %s, metadata: {name: %s, labels: %s}, spec: {%s}}\n", version, kind, name, labels, inner)
		}
	}
	settings := maps.Clone(want.Defaults)
	if name := want.Annotations["pgorigin/intercept"]; name != "" {
		settings["intercept"] = name + ":5432"
		settings["upstream"] = name + ":5432"
	}
	objects := kustomize(t, app.String(), component, settings)
	if count := len(objects); count != 2*len(appSpecs) {
		t.Errorf("%d objects, want no more than the application's", count)
	}
	for _, o := range objects {
		t.Run(fmt.Sprint(o["kind"], " ", o.At("metadata", "name")), func(t *testing.T) { checkKustomized(t, o, want) })
	}
}

// checkKustomized compares one object with what the application has, and with what injection adds to it.
func checkKustomized(t *testing.T, o kube.Object, want kube.Variant) {
	specs, err := kube.Objects(appSpecs[fmt.Sprint(o["kind"])])
	if err != nil {
		t.Fatal(err)
	}
	before, template := specs[0], o.At("spec", "template")
	if template == nil {
		template = o.At("spec", "jobTemplate", "spec", "template")
	}
	pod := kube.Object(template.(map[string]any))
	if o.At("metadata", "name") == "other" {
		if diff := kube.Diff(pod["spec"], map[string]any(before)); diff != "" {
			t.Errorf("changed without the label:\n%s", diff)
		}
		return
	}
	inits, _ := before["initContainers"].([]any)
	volumes, _ := before["volumes"].([]any)
	// The order of variables means nothing, apart from those that others refer to.
	for _, container := range []any{pod.At("spec", "initContainers", 0), want.Container} {
		env, _ := kube.Object(container.(map[string]any)).At("env").([]any)
		slices.SortFunc(env, func(a, b any) int {
			return strings.Compare(fmt.Sprint(a.(map[string]any)["name"]), fmt.Sprint(b.(map[string]any)["name"]))
		})
	}
	clientEnv, names := want.ClientEnv, want.HostAliases
	if clientEnv == nil {
		clientEnv = before.At("containers", 0, "env")
	}
	for what, pair := range map[string][2]any{
		"init containers":    {pod.At("spec", "initContainers"), append([]any{want.Container}, inits...)},
		"host aliases":       {pod.At("spec", "hostAliases"), names},
		"volumes":            {pod.At("spec", "volumes"), append(slices.Clone(want.Volumes.([]any)), volumes...)},
		"client environment": {pod.At("spec", "containers", 0, "env"), clientEnv},
		"labels":             {pod.At("metadata", "labels"), map[string]any{"app": "web", "pgorigin/inject": "true", "pgorigin/status": "injected"}},
	} {
		if diff := kube.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("%s differ:\n%s", what, diff)
		}
	}
}

// kustomize builds an application with the settings, and with a second component.
func kustomize(t *testing.T, app, second string, settings map[string]string) []kube.Object {
	t.Helper()
	program, err := kube.Tool("kustomize")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	component, err := filepath.Rel(dir, chart(t, "kustomize"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"app.yaml":           app,
		"kustomization.yaml": fmt.Sprintf(appKustomization, component, second, settings["image"], settings["upstream"], settings["ca-secret"], settings["intercept"]),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), program, "build", dir)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kustomize build: %v", err)
	}
	objects, err := kube.Objects(string(out))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}
