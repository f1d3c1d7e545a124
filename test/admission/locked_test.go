//go:build admission

package admission

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
	"github.com/pgorigin/pgorigin/test/servers"
)

// TestLocked is the life of pods in a cluster whose platform has locked words, and in a namespace that requires the sidecar.
func TestLocked(t *testing.T) {
	modes, guard, _ := offered()
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			const sidecar = "sidecar: {image: {repository: registry.example/pgorigin, tag: v1}, upstream: 'pgbouncer.prod:6432', serverName: db.prod, caSecret: pgbouncer-ca}\n"
			r := install(t, shared.helms[len(shared.helms)-1], mode, sidecar)
			r.helmRun(t, sidecar+"injector: {locked: [upstream, ca-key], namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [legacy]}]}}",
				"upgrade", chartPath(t, "pgorigin"))
			r.mount(t)
			awaitRefused(t, r.pods, fmt.Sprintf(askingPod, ", annotations: {pgorigin/upstream: a}", ""), "locked")
			defer r.helmRun(t, sidecar, "upgrade", chartPath(t, "pgorigin")) // what awaits the end uses a locked word
			required := newNamespace(t, `pgorigin/inject: required`)
			run(t, "locked words", func(t *testing.T) { lockedWords(t, r) })
			run(t, "opted out", func(t *testing.T) {
				namespace, ctx := newNamespace(t, "team: legacy"), soon(t)
				err := servers.Poll(ctx, func() error {
					pod, err := admit(ctx, namespace, object(t, fmt.Sprintf(askingPod, "", "")))
					if got := names(pod.At("spec", "initContainers")); got != "" {
						return fmt.Errorf("init containers %q", got)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
			if !guard {
				without("a guard: a container of the author's called pgorigin passes, and no namespace requires the sidecar")
				return
			}
			run(t, "foreign container", func(t *testing.T) { foreign(t, r.pods, required) })
			run(t, "required", func(t *testing.T) { requiredPods(t, required) })
		})
	}
}

func lockedWords(t *testing.T, r *release) {
	for _, word := range []string{"upstream: 'evil:1'", "origins: '6433=evil:1'", "ca-key: b", "ca-secret: own", "ca-configmap: own", "env-configmap: own"} {
		name, _, _ := strings.Cut(word, ":")
		refused(t, r.pods, fmt.Sprintf(askingPod, ", annotations: {pgorigin/"+word+"}", ""),
			"Pod "+r.pods+"/web: annotation pgorigin/"+name+": the platform has locked this setting: remove the annotation")
	}
	pod := mustAdmit(t, r.pods, object(t, fmt.Sprintf(askingPod, ", annotations: {pgorigin/log-level: debug}", "")))
	sidecar := kube.Object(pod.At("spec", "initContainers", 0).(map[string]any))
	env := map[string]any{}
	for _, item := range sidecar.At("env").([]any) {
		v := item.(map[string]any)
		env[fmt.Sprint(v["name"])] = v["value"]
	}
	for name, want := range map[string]any{
		"PGORIGIN_UPSTREAM_ADDR": "pgbouncer.prod:6432", "PGORIGIN_TLS_SERVER_NAME": "db.prod", "PGORIGIN_LOG_LEVEL": "debug",
		"PGORIGIN_TLS_VERIFY": "verify-full", "PGORIGIN_LISTEN_ADDR": "127.0.0.1:6432", "PGORIGIN_ORIGINS": nil,
	} {
		got, set := env[name]
		if !set || got != want && (want != nil || got != "") {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// foreign is a container of the author's that has the right name.
func foreign(t *testing.T, asked, required string) {
	own := func(image string) string {
		return fmt.Sprintf(askingPod, "", "  initContainers: [{name: pgorigin, image: '"+image+"', restartPolicy: Always, env: [{name: PGORIGIN_UPSTREAM_ADDR, value: own}]}]")
	}
	const other = "/web: container pgorigin has an image that is not from registry.example/pgorigin: use an image of that repository, or remove the container"
	for _, image := range []string{"evil", "registry.example/pgorigin-evil:v1", "registry.example/pgorigin:5000/evil", "registry.example/pgoriginx@sha256:" + strings.Repeat("0", 64)} {
		refused(t, asked, own(image), "Pod "+asked+other)
	}
	mustAdmit(t, asked, object(t, own("registry.example/pgorigin:v0"))) // of the library chart, say
	refused(t, required, own("registry.example/pgorigin:v1"), "Pod "+required+"/web: container pgorigin is not what the injector makes for namespace "+required+": command, env, probes, volumeMounts, securityContext, volumes: remove the container")
	refused(t, required, strings.Replace(own("x"), "name: pgorigin, ", "name: pgorigin, command: [sleep], ", 1), "Pod "+required+"/web: container pgorigin ")
}

func requiredPods(t *testing.T, namespace string) {
	plain := strings.Replace(fmt.Sprintf(askingPod, "", ""), `, labels: {app: web, pgorigin/inject: "true"}`, "", 1)
	path := "/api/v1/namespaces/" + namespace + "/pods"
	refused(t, namespace, strings.Replace(fmt.Sprintf(askingPod, "", ""), `"true"`, `"false"`, 1), `Pod `+namespace+`/web: label pgorigin/inject is not "true": each pod of namespace `+namespace+` must have pgorigin; remove the label`)
	awaitRefused(t, namespace, strings.Replace(plain, "name: web", "name: web, annotations: {pgorigin/upstream: 'evil:1'}", 1), "the platform has locked this setting")
	created := mustCreate(t, path, object(t, plain))
	if got := names(created.At("spec", "initContainers")); got != "pgorigin" {
		t.Fatalf("a pod without a label has the init containers %q", got)
	}
	mustAdmit(t, namespace, object(t, strings.Replace(fmt.Sprintf(askingPod, "", ""), "name: web,", "name: asked,", 1))) // once, not twice

	// What the injector makes may be in the manifest, and nothing else of it may differ.
	manifest := func(change func(spec, sidecar map[string]any)) kube.Object {
		pod := object(t, strings.Replace(plain, "name: web", "name: manifest", 1))
		spec := pod["spec"].(map[string]any)
		made := created.At("spec").(map[string]any)
		sidecar := maps.Clone(made["initContainers"].([]any)[0].(map[string]any))
		spec["initContainers"], spec["volumes"] = []any{sidecar}, made["volumes"]
		change(spec, sidecar)
		return pod
	}
	mustAdmit(t, namespace, manifest(func(map[string]any, map[string]any) {}))
	for name, change := range map[string]func(spec, sidecar map[string]any){
		"image":   func(_, c map[string]any) { c["image"] = "registry.example/pgorigin:v2" },
		"command": func(_, c map[string]any) { c["command"] = []any{"sleep"} },
		"env": func(_, c map[string]any) {
			c["env"] = append([]any{map[string]any{"name": "SSL_CERT_FILE", "value": "/x"}}, c["env"].([]any)...)
		},
		"envFrom": func(_, c map[string]any) {
			c["envFrom"] = []any{map[string]any{"secretRef": map[string]any{"name": "x"}}}
		},
		"ports": func(_, c map[string]any) {
			c["ports"] = []any{map[string]any{"containerPort": 1, "hostPort": 1}}
		},
		"probes": func(_, c map[string]any) { delete(c, "livenessProbe") },
		"volumeMounts": func(spec, c map[string]any) {
			spec["volumes"] = append([]any{map[string]any{"name": "x", "emptyDir": map[string]any{}}}, spec["volumes"].([]any)...)
			c["volumeMounts"] = append([]any{map[string]any{"name": "x", "mountPath": "/etc/ssl/certs"}}, c["volumeMounts"].([]any)...)
		},
		"volumeMounts by a detour": func(spec, c map[string]any) { // runtimes clean the path
			spec["volumes"] = append([]any{map[string]any{"name": "x", "configMap": map[string]any{"name": "own"}}}, spec["volumes"].([]any)...)
			c["volumeMounts"] = append(slices.Clone(c["volumeMounts"].([]any)), map[string]any{"name": "x", "mountPath": "/var/run/secrets/../../../etc/pgorigin/ca"})
		},
		"volumeMounts of a device": func(spec, c map[string]any) {
			spec["volumes"] = append([]any{map[string]any{"name": "x", "persistentVolumeClaim": map[string]any{"claimName": "x"}}}, spec["volumes"].([]any)...)
			c["volumeDevices"] = []any{map[string]any{"name": "x", "devicePath": "/etc/pgorigin/ca/ca.crt"}}
		},
		"securityContext": func(_, c map[string]any) { delete(c, "securityContext") },
		"securityContext without seccomp": func(_, c map[string]any) {
			c["securityContext"] = maps.Clone(c["securityContext"].(map[string]any))
			c["securityContext"].(map[string]any)["seccompProfile"] = map[string]any{"type": "Unconfined"}
		},
		"volumes": func(spec, _ map[string]any) {
			spec["volumes"] = []any{map[string]any{"name": "pgorigin-ca", "secret": map[string]any{"secretName": "own"}}}
		},
	} {
		want, _, _ := strings.Cut(name, " ")
		_, err := admit(testContext(t), namespace, manifest(change))
		if text := "makes for namespace " + namespace + ": " + want + ": remove"; err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v, want %q", name, err, text)
		}
	}
	updates(t, path+"/web")
}

// updates are of a pod that runs.
func updates(t *testing.T, path string) {
	t.Helper()
	put := func(path string, change func(pod kube.Object)) error {
		now, err := shared.cluster.Get(testContext(t), strings.TrimSuffix(path, "/ephemeralcontainers"))
		if err != nil {
			t.Fatal(err)
		}
		change(now)
		_, err = shared.cluster.Update(testContext(t), path, now)
		return err
	}
	image := func(image string) func(kube.Object) {
		return func(o kube.Object) { o.At("spec", "initContainers", 0).(map[string]any)["image"] = image }
	}
	if err := put(path, image("evil")); err == nil || !strings.Contains(err.Error(), "container pgorigin of a running pod may only get the image") {
		t.Errorf("another image: %v", err)
	}
	if err := put(path, func(o kube.Object) { o["metadata"].(map[string]any)["labels"] = map[string]any{"a": "b"} }); err != nil {
		t.Errorf("a label: %v", err)
	}
	debug := func(target string) func(kube.Object) {
		return func(o kube.Object) {
			o["spec"].(map[string]any)["ephemeralContainers"] = []any{map[string]any{"name": "debug", "image": "d", "targetContainerName": target, "terminationMessagePolicy": "File"}}
		}
	}
	if err := put(path+"/ephemeralcontainers", debug("pgorigin")); err == nil || !strings.Contains(err.Error(), "an ephemeral container may not join the processes of container pgorigin") {
		t.Errorf("a debugger of pgorigin: %v", err)
	}
	if err := put(path+"/ephemeralcontainers", debug("web")); err != nil {
		t.Errorf("a debugger of web: %v", err)
	}
}
