//go:build admission

package admission

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
)

// guaranteed is a pod of the QoS class Guaranteed before injection; format it with more metadata.
const guaranteed = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {pgorigin/inject: "true"}%s}
spec:
  automountServiceAccountToken: false
  containers: [{name: web, image: "registry.example/web:1", resources: {limits: {cpu: "2", memory: 1Gi}}}]
`

// guaranteedAnnotations are those of docs/how-to/kubernetes.md for such a pod.
const guaranteedAnnotations = `, annotations: {pgorigin/cpu-request: 100m, pgorigin/cpu-limit: 100m, pgorigin/memory-request: 64Mi}`

// guaranteedStay says which class pods have with the sidecar: for the container alone, and for a pod with resources of its own.
func guaranteedStay(t *testing.T, r *release) {
	for annotations, want := range map[string]string{"": "Burstable", guaranteedAnnotations: "Guaranteed"} {
		pod := mustAdmit(t, r.pods, object(t, fmt.Sprintf(guaranteed, annotations)))
		if names(pod.At("spec", "initContainers")) != "pgorigin" || pod.At("status", "qosClass") != want {
			t.Errorf("with %q: class %v, want %s", annotations, pod.At("status", "qosClass"), want)
		}
	}
	if shared.cluster.Minor >= 34 {
		pod := mustAdmit(t, r.pods, object(t, fmt.Sprintf(askingPod, "", "  resources: {requests: {cpu: '2', memory: 1Gi}, limits: {cpu: '2', memory: 1Gi}}")))
		if names(pod.At("spec", "initContainers")) != "pgorigin" || pod.At("status", "qosClass") != "Guaranteed" {
			t.Errorf("with resources of the pod: class %v", pod.At("status", "qosClass"))
		}
	}
}

// The class is the same if the sidecar is in the manifest.
func TestGuaranteedText(t *testing.T) {
	namespace := newNamespace(t, "")
	v := kube.Variant{
		Defaults: map[string]string{"image": "registry.example/pgorigin:v1", "upstream": "pg.example:5432"},
		Annotations: map[string]string{
			"pgorigin/cpu-request": "100m", "pgorigin/cpu-limit": "100m", "pgorigin/memory-request": "64Mi",
		},
	}
	for way, pod := range map[string]kube.Object{"inject": injected(t, v), "library": rendered(t, v)} {
		app := object(t, fmt.Sprintf(guaranteed, "")).At("spec", "containers", 0, "resources")
		pod.At("spec", "containers", 0).(map[string]any)["resources"] = app
		if class := mustAdmit(t, namespace, pod).At("status", "qosClass"); class != "Guaranteed" {
			t.Errorf("%s: class %v", way, class)
		}
	}
}

// A pull secret in the spec of a pod replaces those of its service account. So injection adds none.
func TestPullSecretsOfServiceAccounts(t *testing.T) {
	namespace := newNamespace(t, "")
	account, err := shared.cluster.Get(testContext(t), "/api/v1/namespaces/"+namespace+"/serviceaccounts/default")
	if err != nil {
		t.Fatal(err)
	}
	account["imagePullSecrets"] = []any{map[string]any{"name": "applications"}}
	if _, err := shared.cluster.Update(testContext(t), "/api/v1/namespaces/"+namespace+"/serviceaccounts/default", account); err != nil {
		t.Fatal(err)
	}
	plain := strings.Replace(fmt.Sprintf(guaranteed, ""), "pgorigin/inject", "app", 1)
	for more, want := range map[string]string{"": "applications", "  imagePullSecrets: [{name: pgorigin}]": "pgorigin"} {
		if got := names(mustAdmit(t, namespace, object(t, plain+more)).At("spec", "imagePullSecrets")); got != want {
			t.Errorf("with %q: pull secrets %q, want %q", more, got, want)
		}
	}
}
