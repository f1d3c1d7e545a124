//go:build admission

package admission

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
)

// Everything that a user sees of injection, by policy and by webhook, installed with each Helm.
func TestInjection(t *testing.T) {
	modes, _, _ := offered()
	for _, helm := range shared.helms {
		for _, mode := range modes {
			t.Run("helm "+helm.Version+"/"+mode, func(t *testing.T) {
				before := everything(t)
				r := install(t, helm, mode,
					"sidecar: {image: {repository: registry.example/pgorigin, tag: v1}, upstream: 'pgbouncer.prod:6432', caSecret: pgbouncer-ca}")
				run(t, "pods", func(t *testing.T) { pods(t, r) })
				run(t, "guaranteed", func(t *testing.T) { guaranteedStay(t, r) })
				run(t, "refusals", func(t *testing.T) { refusals(t, r) })
				run(t, "one container", func(t *testing.T) { oneContainer(t, r) })
				run(t, "nobody answers", func(t *testing.T) { nobodyAnswers(t, r) })
				run(t, "upgrade", func(t *testing.T) { upgrade(t, r) })
				run(t, "helm test pods", func(t *testing.T) { testPods(t, r) })
				run(t, "uninstall", func(t *testing.T) { uninstall(t, r, before) })
			})
		}
	}
}

// shape is a pod before injection and what it has behind it, lists of names.
type shape struct{ about, namespace, pod, initContainers, volumes, env string }

// shapes are pods of every shape; restricted is a namespace with that level of Pod Security.
func shapes(normal, restricted string) []shape {
	const (
		wait    = "  initContainers: [{name: wait, image: w}, {name: migrate, image: m}]\n  volumes: [{name: data, emptyDir: {}}]"
		ownHost = "  initContainers: [{name: migrate, image: m, env: [{name: PGHOST, value: elsewhere}]}]"
		own     = "  initContainers: [{name: pgorigin, image: 'registry.example/pgorigin:own', restartPolicy: Always, env: [{name: PGORIGIN_UPSTREAM_ADDR, value: own}]}]"
		job     = ", ownerReferences: [{apiVersion: batch/v1, kind: Job, name: j, uid: u, controller: true}]"
		secure  = "securityContext: {runAsNonRoot: true, runAsUser: 1000, allowPrivilegeEscalation: false, " +
			"capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}"
	)
	pod := func(metadata, spec string) string { return fmt.Sprintf(askingPod, metadata, spec) }
	return []shape{
		{"nothing but a container", normal, pod("", ""), "pgorigin", "pgorigin-ca", "web"},
		{"init containers and volumes", normal, pod("", wait), "pgorigin wait migrate", "data pgorigin-ca", "wait,migrate,web"},
		{"annotations of others", normal, pod(", annotations: {example.com/a: b}", ""), "pgorigin", "pgorigin-ca", "web"},
		{"a container with a PGHOST of its own", normal, pod("", ownHost), "pgorigin migrate", "pgorigin-ca", "web"},
		{"no client environment wanted", normal, pod(`, annotations: {pgorigin/client-env: "false"}`, ""), "pgorigin", "pgorigin-ca", ""},
		{
			"the pod of a Job", normal, strings.Replace(pod(job, "  restartPolicy: Never"), "name: web,", "generateName: job-,", 1),
			"pgorigin", "pgorigin-ca", "web",
		},
		{
			"Pod Security restricted", restricted, strings.Replace(pod("", ""), `web:1"}`, `web:1", `+secure+"}", 1),
			"pgorigin", "pgorigin-ca", "web",
		},
		{
			"32 origins", normal, pod(`, annotations: {pgorigin/origins: "`+strings.Join(origins(32), " ")+`"}`, ""),
			"pgorigin", "pgorigin-ca", "web",
		},
		{
			"Pod Security restricted, and the name itself leads here", restricted,
			strings.Replace(pod(", annotations: {pgorigin/intercept: db.prod.example.com}", ""), `web:1"}`, `web:1", `+secure+"}", 1),
			"pgorigin", "pgorigin-ca", "",
		},
		{
			"a volume for the CA of pgorigin's port", restricted,
			strings.Replace(pod(", annotations: {pgorigin/intercept: db.prod.example.com, pgorigin/listen-ca-volume: listen-ca}",
				"  volumes: [{name: listen-ca, emptyDir: {}}]"), `web:1"}`, `web:1", `+secure+"}", 1),
			"pgorigin", "listen-ca pgorigin-ca", "",
		},
		{"injected already", normal, pod("", own), "pgorigin", "", ""},
		{"not asked", normal, strings.Replace(pod("", ""), `"true"`, `"false"`, 1), "", "", ""},
	}
}

// pods compares which containers they end up with, in which order, and who got the client environment.
func pods(t *testing.T, r *release) {
	for _, row := range shapes(r.pods, newNamespace(t, "pod-security.kubernetes.io/enforce: restricted")) {
		t.Run(row.about, func(t *testing.T) {
			pod := mustAdmit(t, row.namespace, object(t, row.pod))
			if got := names(pod.At("spec", "initContainers")); got != row.initContainers {
				t.Errorf("init containers %q, want %q", got, row.initContainers)
			}
			if got := names(pod.At("spec", "volumes")); got != row.volumes {
				t.Errorf("volumes %q, want %q", got, row.volumes)
			}
			for _, kind := range []string{"initContainers", "containers"} {
				list, _ := pod.At("spec", kind).([]any)
				for i := range list {
					name := fmt.Sprint(pod.At("spec", kind, i, "name"))
					want := strings.Contains(","+row.env+",", ","+name+",")
					if got := strings.HasPrefix(names(pod.At("spec", kind, i, "env")), "PGHOST PGPORT PGSSLMODE"); got != want {
						t.Errorf("%s has the client environment: %v, want %v", name, got, want)
					}
				}
			}
		})
	}
}

// oneContainer compares what this way of injection makes with the golden file that `pgorigin inject` and the library chart
// are held to, as the API server sees both.
func oneContainer(t *testing.T, r *release) {
	variants, err := kube.Variants()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variants {
		t.Run(v.About, func(t *testing.T) {
			values, err := v.DefaultValues()
			if err != nil {
				t.Fatal(err)
			}
			r.helmRun(t, values, "upgrade", chartPath(t, "pgorigin"))
			r.mount(t)
			asking := object(t, fmt.Sprintf(askingPod, "", ""))
			annotations := map[string]any{}
			for key, value := range v.Annotations {
				annotations[key] = value
			}
			asking["metadata"].(map[string]any)["annotations"] = annotations
			want := mustAdmit(t, r.pods, golden(t, v))
			r.awaitSame(t, asking, want)
		})
	}
}

// golden is the pod that should come out, written by hand of a variant, and without the wish.
func golden(t *testing.T, v kube.Variant) kube.Object {
	pod := object(t, strings.Replace(fmt.Sprintf(askingPod, "", ""), `, pgorigin/inject: "true"`, "", 1))
	spec := pod["spec"].(map[string]any)
	spec["initContainers"] = []any{v.Container}
	if v.Volumes != nil {
		spec["volumes"] = v.Volumes
	}
	if v.HostAliases != nil {
		spec["hostAliases"] = v.HostAliases
	}
	if v.ClientEnv != nil {
		spec["containers"].([]any)[0].(map[string]any)["env"] = v.ClientEnv
	}
	return pod
}
