//go:build admission

package admission

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
	"github.com/pgorigin/pgorigin/test/servers"
)

// awaitSame returns when the pod that asks comes out with the same containers and volumes as want. It asks again for a
// while: a change of the defaults takes effect some tenths of a second later.
func (r *release) awaitSame(t *testing.T, asking, want kube.Object) {
	t.Helper()
	ctx := soon(t)
	var container any
	err := servers.Poll(ctx, func() error {
		got, err := admit(ctx, r.pods, asking)
		if err != nil {
			return err
		}
		container = got.At("spec", "initContainers", 0)
		var different []error
		for _, part := range []string{"initContainers", "containers", "volumes", "hostAliases"} {
			if diff := kube.Diff(got.At("spec", part), want.At("spec", part)); diff != "" {
				different = append(different, fmt.Errorf("%s differ:\n%s", part, diff))
			}
		}
		return errors.Join(different...)
	})
	if err != nil {
		t.Error(err)
	}
	show(t, r.mode, container)
}

var showContainers = flag.Bool("show", false, "print the containers that each way makes")

// show prints a container, to look at the ways side by side.
func show(t *testing.T, way string, container any) {
	t.Helper()
	if !*showContainers {
		return
	}
	text, err := json.MarshalIndent(container, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("by %s:\n%s", way, text)
}

// `pgorigin inject` writes text, and the library chart is rendered: what the API server makes of both is the golden pod.
func TestTextIsTheSame(t *testing.T) {
	variants, err := kube.Variants()
	if err != nil {
		t.Fatal(err)
	}
	namespace := newNamespace(t, "pod-security.kubernetes.io/enforce: baseline")
	for _, v := range variants {
		run(t, v.About, func(t *testing.T) {
			want := mustAdmit(t, namespace, golden(t, v))
			for way, pod := range map[string]kube.Object{"inject": injected(t, v), "library": rendered(t, v)} {
				got := mustAdmit(t, namespace, pod)
				show(t, way, got.At("spec", "initContainers", 0))
				if way == "inject" {
					checkUninjected(t, got)
				}
				for _, path := range [][]any{{"spec", "initContainers", 0}, {"spec", "volumes"}, {"spec", "hostAliases"}, {"spec", "containers", 0, "env"}} {
					if diff := kube.Diff(got.At(path...), want.At(path...)); diff != "" {
						t.Errorf("%s: %v differs:\n%s", way, path, diff)
					}
				}
			}
		})
	}
}

// injected is what `pgorigin inject` makes of a pod, with a variant's defaults as flags.
func injected(t *testing.T, v kube.Variant) kube.Object {
	t.Helper()
	metadata := ""
	if len(v.Annotations) > 0 {
		var pairs []string
		for key, value := range v.Annotations {
			pairs = append(pairs, fmt.Sprintf("%s: %q", key, value))
		}
		metadata = ", annotations: {" + strings.Join(pairs, ", ") + "}"
	}
	args := []string{"inject"}
	for word, value := range v.Defaults {
		args = append(args, "--"+word, value)
	}
	return edited(t, fmt.Sprintf(askingPod, metadata, ""), args...)
}

// edited is what pgorigin makes of a manifest.
func edited(t *testing.T, manifest string, args ...string) kube.Object {
	t.Helper()
	cmd := exec.CommandContext(testContext(t), shared.binary, args...)
	cmd.Stdin = strings.NewReader(manifest)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("pgorigin %s: %v\n%s", args[0], err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return object(t, string(out))
}

// checkUninjected checks that uninject recognises everything in a pod that has the API server's defaults.
func checkUninjected(t *testing.T, injected kube.Object) {
	t.Helper()
	text, err := json.Marshal(injected)
	if err != nil {
		t.Fatal(err)
	}
	back := edited(t, string(text), "uninject")
	for _, path := range [][]any{
		{"spec", "initContainers"}, {"spec", "volumes"}, {"spec", "hostAliases"}, {"spec", "containers", 0, "env"}, {"metadata", "annotations", "pgorigin/injected"},
	} {
		if left := back.At(path...); left != nil {
			t.Errorf("uninject left %v: %v", path, left)
		}
	}
}

// rendered is the pod of an application chart that uses the library as a variant says.
func rendered(t *testing.T, v kube.Variant) kube.Object {
	t.Helper()
	values, err := v.SidecarValues("pgorigin")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := shared.helms[0].Template(testContext(t), webChart(t), shared.cluster.Version, values)
	if err != nil {
		t.Fatal(err)
	}
	return objects[0]
}

// webChart is the folder of an application chart that uses the library. It differs from charts/examples/shop in that its pod
// is that of the golden file.
func webChart(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "web")
	for _, folder := range []string{"templates", "charts"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(chartPath(t, "pgorigin-sidecar"), filepath.Join(dir, "charts", "pgorigin-sidecar")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"Chart.yaml": "{apiVersion: v2, name: web, version: 1.0.0, dependencies: [{name: pgorigin-sidecar, version: '*', alias: pgorigin}]}",
		"templates/pod.yaml": `
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels:
    {{- include "pgorigin.podLabels" . | nindent 4 }}
spec:
  automountServiceAccountToken: false
  initContainers:
    {{- include "pgorigin.sidecar" . | nindent 4 }}
  containers:
    - name: web
      image: registry.example/web:1
      env:
        {{- include "pgorigin.clientEnv" . | nindent 8 }}
  volumes:
    {{- include "pgorigin.volumes" . | nindent 4 }}
  hostAliases:
    {{- include "pgorigin.hostAliases" . | nindent 4 }}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
