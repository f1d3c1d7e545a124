//go:build admission

package admission

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
	"github.com/pgorigin/pgorigin/test/servers"
)

// upgrade goes to the next version of the chart, with another image.
func upgrade(t *testing.T, r *release) {
	dir := t.TempDir()
	next := []string{"--version", "0.99.0", "--app-version", "0.99.0", "--destination", dir}
	if _, err := r.helm.Run(testContext(t), "", append([]string{"package", chartPath(t, "pgorigin")}, next...)...); err != nil {
		t.Fatal(err)
	}
	values := "sidecar: {image: {repository: registry.example/pgorigin, tag: v2}, upstream: 'pg.example:5432'}"
	r.helmRun(t, values, "upgrade", filepath.Join(dir, "pgorigin-0.99.0.tgz"))
	r.mount(t)
	ctx, asking := soon(t), object(t, fmt.Sprintf(askingPod, "", ""))
	err := servers.Poll(ctx, func() error {
		pod, err := admit(ctx, r.pods, asking)
		if err != nil {
			return err
		}
		if image := pod.At("spec", "initContainers", 0, "image"); image != "registry.example/pgorigin:v2" {
			return fmt.Errorf("image %v", image)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// testPods are those of `helm test`. Nothing runs them here, but they must be admitted, and the one that asks be injected.
func testPods(t *testing.T, r *release) {
	hooks, err := r.helm.Run(testContext(t), "", "get", "hooks", "pgorigin", "--namespace", r.namespace)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := kube.Objects(hooks)
	if err != nil {
		t.Fatal(err)
	}
	for end, want := range map[string]string{"-test-injected": "pgorigin", "-test-upstream": ""} {
		pod := kube.Find(objects, "Pod", end)
		if pod == nil {
			t.Fatalf("no test pod with %s in:\n%s", end, hooks)
		}
		if got := names(mustAdmit(t, r.namespace, pod).At("spec", "initContainers")); got != want {
			t.Errorf("%s: init containers %q, want %q", end, got, want)
		}
	}
}

// uninstall leaves nothing that was not there before.
func uninstall(t *testing.T, r *release, before map[string]bool) {
	if _, err := r.helm.Run(testContext(t), "", "uninstall", "pgorigin", "--namespace", r.namespace); err != nil {
		t.Fatal(err)
	}
	if left := added(t, before); len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, ", "))
	}
	r.awaitEffect(t, false)
}

// added are the paths of what was not there before.
func added(t *testing.T, before map[string]bool) []string {
	t.Helper()
	after := everything(t)
	maps.DeleteFunc(after, func(path string, _ bool) bool { return before[path] || ours(path) })
	return slices.Sorted(maps.Keys(after))
}

// ours says whether not the chart made an object, but this suite, or the API server itself a while after its start.
func ours(path string) bool {
	namespace, of, _ := strings.Cut(strings.TrimPrefix(path, "/api/v1/namespaces/"), "/")
	return path == "/api/v1/namespaces/default/services/kubernetes" || strings.HasPrefix(namespace, "shop-") && (of == "" || of == "serviceaccounts/default" || of == "secrets/pgorigin-webhook-own")
}

// everything lists all objects of all kinds by their paths, but for those that come and go by themselves.
func everything(t *testing.T) map[string]bool {
	t.Helper()
	groups, err := shared.cluster.Get(testContext(t), "/apis")
	if err != nil {
		t.Fatal(err)
	}
	roots := []string{"/api/v1"}
	for _, group := range groups["groups"].([]any) {
		roots = append(roots, fmt.Sprint("/apis/", kube.Object(group.(map[string]any)).At("preferredVersion", "groupVersion")))
	}
	found := map[string]bool{}
	for _, root := range roots {
		resources, err := shared.cluster.Get(testContext(t), root)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range resources["resources"].([]any) {
			resource := item.(map[string]any)
			name := fmt.Sprint(resource["name"])
			verbs, _ := resource["verbs"].([]any)
			if !slices.Contains(verbs, any("list")) || slices.Contains([]string{"events", "leases", "ipaddresses", "componentstatuses", "endpoints"}, name) {
				continue
			}
			list, err := shared.cluster.Get(testContext(t), root+"/"+name)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range list["items"].([]any) {
				metadata := kube.Object(o.(map[string]any)["metadata"].(map[string]any))
				path := fmt.Sprint(root, "/", name, "/", metadata["name"])
				if namespace, ok := metadata["namespace"]; ok {
					path = fmt.Sprint(root, "/namespaces/", namespace, "/", name, "/", metadata["name"])
				}
				found[path] = true
			}
		}
	}
	return found
}
