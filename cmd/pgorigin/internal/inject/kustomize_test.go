package inject

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestKustomizeComponent: what the Kustomize component adds is made from the contract; -update writes it. The component replaces
// the values of image, upstream and ca-secret.
func TestKustomizeComponent(t *testing.T) {
	var injector Injector
	for _, word := range []string{"image", "upstream", "ca-secret"} {
		if err := injector.Set(word, "replaced"); err != nil {
			t.Fatal(err)
		}
	}
	settings, problems := injector.settings(nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	made := readContract()
	template := object(
		"metadata", object("labels", object(askLabel, "true", statusLabel, injected)),
		"spec", object("initContainers", list(settings.fill(&made.Container)), "volumes", settings.fill(&made.Volumes)),
	)
	intercepted := interceptTemplate(t, settings)
	variables := object(
		"apiVersion", "v1",
		"kind", "PodTemplate",
		"metadata", object("name", "pgorigin-client-env", "annotations", object("config.kubernetes.io/local-config", "true")),
		"template", object("spec", object("containers", list(object("name", "any", "env", settings.fill(&made.ClientVariables))))),
	)
	for file, made := range map[string]*yaml.Node{
		"pods.yaml":                 workloadPatch("apps/v1", "Deployment", object("template", template)),
		"cronjobs.yaml":             workloadPatch("batch/v1", "CronJob", object("jobTemplate", object("spec", object("template", template)))),
		"client-env/variables.yaml": variables,
		"intercept/pods.yaml":       workloadPatch("apps/v1", "Deployment", object("template", intercepted)),
		"intercept/cronjobs.yaml":   workloadPatch("batch/v1", "CronJob", object("jobTemplate", object("spec", object("template", intercepted)))),
	} {
		compareGolden(t, "../../../../charts/kustomize/"+file,
			"# Made from the injection contract by go test ./cmd/pgorigin/internal/inject -run Kustomize -update.\n"+
				strings.Join(blockLines(made), "\n")+"\n")
	}
}

// interceptTemplate is what intercept adds to a template, or changes there.
func interceptTemplate(t *testing.T, settings Settings) *yaml.Node {
	t.Helper()
	var injector Injector
	for word, value := range settings {
		if findWord(word) != nil && findWord(word).Imposed == "" {
			if err := injector.Set(word, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := injector.Set("intercept", "replaced"); err != nil {
		t.Fatal(err)
	}
	with, problems := injector.settings(nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	made := readContract()
	before := variables(child(settings.fill(&made.Container), "env"))
	env := list()
	for _, item := range child(with.fill(&made.Container), "env").Content {
		if value, present := before[text(item, "name")]; !present || value != text(item, "value") {
			env.Content = append(env.Content, item)
		}
	}
	return object("spec", object("hostAliases", with.fill(&made.HostAliases),
		"initContainers", list(object("name", containerName, "env", env))))
}

// workloadPatch is a strategic merge patch. Kustomize takes kind and name from the target, but wants to see some.
func workloadPatch(version, kind string, spec *yaml.Node) *yaml.Node {
	return object("apiVersion", version, "kind", kind, "metadata", object("name", "any"), "spec", spec)
}
