//go:build charts

package charts

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
)

// What platforms demand of each object and of each pod, beside the chart's own labels, annotations and spread.
func TestDemandsOfPlatforms(t *testing.T) {
	webhook, err := os.ReadFile(chart(t, "pgorigin") + "/ci/webhook-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const values = `
commonLabels: {team: databases, app.kubernetes.io/instance: mine}
commonAnnotations: {example.com/cost: "1", helm.sh/hook: mine}
imagePullSecrets: [{name: registry}]
podMonitor: {enabled: true, labels: {team: monitoring}}
`
	for _, o := range render(t, shared.helms[0], "pgorigin", "1.36.0", string(webhook)+values) {
		what := fmt.Sprint(o["kind"], " ", o.At("metadata", "name"))
		team := "databases"
		if o["kind"] == "PodMonitor" {
			team = "monitoring" // its own label wins
		}
		template, _ := o.At("spec", "template").(map[string]any)
		for _, marked := range []kube.Object{o, template} {
			if marked == nil {
				continue
			}
			if got := fmt.Sprint(marked.At("metadata", "labels", "team"), marked.At("metadata", "labels", "app.kubernetes.io/instance")); got != team+"pgorigin" {
				t.Errorf("%s has the labels %v", what, marked.At("metadata", "labels"))
			}
			if got := marked.At("metadata", "annotations", "example.com/cost"); got != "1" {
				t.Errorf("%s has the annotations %v", what, marked.At("metadata", "annotations"))
			}
		}
		pod := o
		switch {
		case template != nil:
			pod = template
		case o["kind"] != "Pod":
			continue
		case o.At("metadata", "annotations", "helm.sh/hook") != "test":
			t.Errorf("%s is no test", what)
		}
		// OpenShift's policy restricted-v2 gives users, and refuses others. It asks for the rest.
		context, _ := pod.At("spec", "containers", 0, "securityContext").(map[string]any)
		const want = "map[allowPrivilegeEscalation:false capabilities:map[drop:[ALL]] readOnlyRootFilesystem:true runAsNonRoot:true seccompProfile:map[type:RuntimeDefault]]"
		if pod.At("spec", "securityContext") != nil || fmt.Sprint(context) != want {
			t.Errorf("%s has the security context %v", what, context)
		}
		if got := fmt.Sprint(pod.At("spec", "imagePullSecrets")); got != "[map[name:registry]]" {
			t.Errorf("%s pulls with %s", what, got)
		}
	}
}

// The replicas spread over nodes and zones, unless the user spreads them otherwise.
func TestSpread(t *testing.T) {
	webhook, err := os.ReadFile(chart(t, "pgorigin") + "/ci/webhook-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	own := "map[app.kubernetes.io/component:webhook app.kubernetes.io/instance:pgorigin app.kubernetes.io/name:pgorigin]"
	for _, row := range []struct{ values, keys string }{
		{"{}", "kubernetes.io/hostname topology.kubernetes.io/zone "},
		{"{webhook: {topologySpreadConstraints: [{topologyKey: rack, maxSkew: 1, whenUnsatisfiable: DoNotSchedule}]}}", "rack "},
		{"{webhook: {topologySpreadConstraints: []}}", ""},
	} {
		file := filepath.Join(t.TempDir(), "values.yaml")
		if err := os.WriteFile(file, []byte(row.values), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := shared.helms[0].Run(t.Context(), string(webhook), "template", "pgorigin", chart(t, "pgorigin"),
			"--kube-version", "1.36.0", "--values", "-", "--values", file)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := kube.Objects(out)
		if err != nil {
			t.Fatal(err)
		}
		spec := kube.Object(kube.Find(objects, "Deployment", "-webhook").At("spec", "template", "spec").(map[string]any))
		constraints, _ := spec.At("topologySpreadConstraints").([]any)
		var keys string
		for i := range constraints {
			keys += fmt.Sprint(spec.At("topologySpreadConstraints", i, "topologyKey"), " ")
			if got := fmt.Sprint(spec.At("topologySpreadConstraints", i, "labelSelector", "matchLabels")); got != own {
				t.Errorf("%s spreads over %s, want %s", row.values, got, own)
			}
		}
		if keys != row.keys {
			t.Errorf("%s spreads over %q, want %q", row.values, keys, row.keys)
		}
	}
}
