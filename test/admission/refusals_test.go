//go:build admission

package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
	"github.com/pgorigin/pgorigin/test/servers"
)

// refusals are pods that must not get in, each with the sentence that says what to change. The policy's guard and the
// webhook have the same words.
func refusals(t *testing.T, r *release) {
	refusedPods(t, r, true)
	// The defaults have an upstream and a CA up to here.
	t.Run("no upstream", func(t *testing.T) {
		object := "Pod " + r.pods + "/web: "
		r.helmRun(t, "sidecar: {image: {repository: registry.example/pgorigin, tag: v1}}", "upgrade", chartPath(t, "pgorigin"))
		r.mount(t)
		awaitRefused(t, r.pods, fmt.Sprintf(askingPod, "", ""), object+"upstream is not set: add the annotation pgorigin/upstream with host:port of pgbouncer")
		refused(t, r.pods, annotated("pgorigin/upstream: pg.example, pgorigin/ca-key: a"), object+"annotation pgorigin/ca-key is set, but neither annotation pgorigin/ca-secret nor annotation pgorigin/ca-configmap")
		r.awaitEffect(t, true) // a pod that says its own upstream needs no default
	})
}

const noSidecar = "the label pgorigin/inject on pod or namespace asks for a sidecar, and the injector added none: ask the platform team whether it runs"

func annotated(annotations string) string {
	return fmt.Sprintf(askingPod, ", annotations: {"+annotations+"}", "")
}

// refusedPods are refused with their sentences. Without an injector, the guard is alone, and no pod has a sidecar that could
// be in the way of anything.
func refusedPods(t *testing.T, r *release, injected bool) {
	container := func(more string) string {
		return strings.Replace(fmt.Sprintf(askingPod, "", ""), `web:1"}`, `web:1", `+more+"}", 1)
	}
	object := "Pod " + r.pods + "/web: "
	const windows = "it is for Windows by os or nodeSelector: pgorigin is a Linux container; set the label pgorigin/inject to \"false\""
	for _, row := range []struct{ about, pod, want string }{
		{"unknown annotation", annotated("pgorigin/upstrem: a"), object + "annotation pgorigin/upstrem: no such annotation"},
		{"too many annotations", annotated(manyAnnotations(1001)), object + "it has 1001 annotations: pgorigin reads at most 1000"},
		{"as many annotations as it reads", annotated(manyAnnotations(1000)), object + "annotation pgorigin/a0 and 999 more: no such annotation"},
		{"image by annotation", annotated("pgorigin/image: evil"), object + "annotation pgorigin/image: no such annotation"},
		{"empty Secret name", annotated("pgorigin/ca-secret: ''"), object + "annotation pgorigin/ca-secret: expected the name of a Secret"},
		{"no Secret's name", annotated("pgorigin/client-secret: 'My Secret'"), object + `annotation pgorigin/client-secret: expected the name of a Secret`},
		{"two CAs", annotated("pgorigin/ca-secret: a, pgorigin/ca-configmap: b"), object + "annotation pgorigin/ca-secret and annotation pgorigin/ca-configmap: there can be one CA only"},
		{"old TLS", annotated("pgorigin/min-version: '1.1'"), object + `annotation pgorigin/min-version: expected 1.2 or 1.3`},
		{"log level", annotated("pgorigin/log-level: loud"), object + `annotation pgorigin/log-level: expected debug, info, warn or error`},
		{"port of the probes", annotated("pgorigin/listen-port: '9632'"), object + `annotation pgorigin/listen-port: expected a port from 1 to 65535 other than 9632`},
		{"no port", annotated("pgorigin/listen-port: '65536'"), object + `annotation pgorigin/listen-port: expected a port`},
		{"no boolean", annotated("pgorigin/client-env: 'no'"), object + `annotation pgorigin/client-env: expected true or false`},
		{"no quantity", annotated("pgorigin/memory-limit: lots"), object + `annotation pgorigin/memory-limit: expected a quantity such as 10m, 1, 64Mi or 1Gi`},
		{"host network", fmt.Sprintf(askingPod, "", "  hostNetwork: true"), object + "spec.hostNetwork is true"},
		{"Windows", fmt.Sprintf(askingPod, "", "  os: {name: windows}"), object + windows},
		{"Windows by selector", fmt.Sprintf(askingPod, "", "  nodeSelector: {kubernetes.io/os: windows}"), object + windows},
		{"root", fmt.Sprintf(askingPod, "", "  securityContext: {runAsUser: 0}"), object + "spec.securityContext.runAsUser is 0: pgorigin does not run as root; set runAsUser on the containers that need root, and not on the pod"},
		{"port of pgorigin", container("ports: [{containerPort: 6432}]"), object + `container "web" has port 6432, which pgorigin listens on: choose a free one in annotation pgorigin/listen-port, pgorigin/intercept or pgorigin/origins`},
		{
			"port of an origin", strings.Replace(container("ports: [{containerPort: 1}, {containerPort: 6434}]"), "metadata: {", "metadata: {annotations: {pgorigin/origins: '6433=a 6434=b'}, ", 1),
			object + `container "web" has port 6434, which pgorigin listens on`,
		},
		{"no origin", annotated("pgorigin/origins: reports"), object + `annotation pgorigin/origins: expected PORT=host[:port]`},
		{"two origins at a port", annotated("pgorigin/origins: '1=a 2=b 1=c'"), object + `annotation pgorigin/origins: expected PORT=host[:port], or up to 32 of them with one space between; each port once, and none is 9632`},
		{"33 origins", annotated("pgorigin/origins: '" + strings.Join(origins(33), " ") + "'"), object + `annotation pgorigin/origins: expected PORT`},
		{"origin at the first port", annotated("pgorigin/origins: '6433=a 6432=b'"), object + "annotation pgorigin/listen-port and annotation pgorigin/origins: both have port 6432; choose another one for one of them"},
		{"name that is an address", annotated("pgorigin/intercept: 10.0.0.1"), object + "annotation pgorigin/intercept: expected name[:port] of the database as the application has it"},
		{"localhost", annotated("pgorigin/intercept: 'localhost:5432'"), object + "annotation pgorigin/intercept: expected name[:port]"},
		{"volume and Secret of the port", annotated("pgorigin/intercept: db, pgorigin/listen-ca-volume: a, pgorigin/listen-secret: b") + "  volumes: [{name: a, emptyDir: {}}]\n", object + "annotation pgorigin/listen-ca-volume and annotation pgorigin/listen-secret: a certificate of a Secret has a CA of its own"},
		{"name and its port", annotated("pgorigin/intercept: db, pgorigin/listen-port: '7000'"), object + "annotation pgorigin/intercept and annotation pgorigin/listen-port: pgorigin listens on the port of intercept; remove one of them"},
		{"Secret of the port without a name", annotated("pgorigin/listen-secret: a"), object + "annotation pgorigin/listen-secret is set, but not annotation pgorigin/intercept: set both, or remove it"},
		{
			"name that leads elsewhere", strings.Replace(annotated("pgorigin/intercept: db"), "spec:\n", "spec:\n  hostAliases: [{ip: 10.0.0.1, hostnames: [db]}]\n", 1),
			object + "spec.hostAliases leads the name of intercept to 10.0.0.1: remove the name there, or remove intercept",
		},
		{"port of its probes", container("ports: [{containerPort: 9632}]"), object + `container "web" has port 9632, which pgorigin answers probes on: use another port there`},
		{"container of its name", strings.Replace(container(""), `containers: [`, `containers: [{name: pgorigin, image: x}, `, 1), object + "the label pgorigin/inject on pod or namespace asks for a sidecar, and container pgorigin is no native sidecar: rename it"},
		{"volume of its name", fmt.Sprintf(askingPod, "", "  volumes: [{name: pgorigin-ca, emptyDir: {}}]"), "pgorigin-ca"},
	} {
		t.Run(row.about, func(t *testing.T) {
			if _, guard, _ := offered(); !guard && row.about == "container of its name" {
				return // TestLocked says what passes without a guard
			}
			needsSidecar := []string{"volume of its name", "origin at the first port", "name and its port", "Secret of the port without a name", "name that leads elsewhere"}
			if beside := strings.Contains(row.want, `container "web"`) || slices.Contains(needsSidecar, row.about); beside && !injected {
				row.want = noSidecar
			}
			refused(t, r.pods, row.pod, row.want)
		})
	}
}

// origins are so many of them, each at a port of its own.
func origins(count int) []string {
	var all []string
	for i := range count {
		all = append(all, fmt.Sprintf("%d=pgbouncer.databases.svc", 7000+i))
	}
	return all
}

// refused creates a pod that must be refused with a sentence.
func refused(t *testing.T, namespace, pod, want string) {
	t.Helper()
	if err := refusedAs(testContext(t), namespace, object(t, pod), want); err != nil {
		t.Error(err)
	}
}

// awaitRefused is refused for what takes a moment to have an effect.
func awaitRefused(t *testing.T, namespace, pod, want string) {
	t.Helper()
	ctx := soon(t)
	if err := servers.Poll(ctx, func() error { return refusedAs(ctx, namespace, object(t, pod), want) }); err != nil {
		t.Error(err)
	}
}

func refusedAs(ctx context.Context, namespace string, pod kube.Object, want string) error {
	_, err := admit(ctx, namespace, pod)
	if err == nil {
		return fmt.Errorf("admitted, want a refusal with %q", want)
	}
	if !strings.Contains(err.Error(), want) {
		return fmt.Errorf("refused with %w\nwant %q", err, want)
	}
	return nil
}

// nobodyAnswers takes away what injection depends on: who asked is refused, and nobody else notices.
func nobodyAnswers(t *testing.T, r *release) {
	asking := fmt.Sprintf(askingPod, `, annotations: {pgorigin/upstream: "pg.example:5432"}`, "")
	switch r.mode {
	case "policy":
		const binding = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings/pgorigin"
		if err := shared.cluster.Delete(testContext(t), binding); err != nil {
			t.Fatal(err)
		}
		awaitRefused(t, r.pods, asking, noSidecar)
		mustAdmit(t, r.pods, object(t, strings.Replace(asking, `"true"`, `"false"`, 1)))
		r.helmRun(t, "sidecar: {upstream: 'pg.example:5432'}", "upgrade", chartPath(t, "pgorigin")) // puts it back
	case "webhook":
		r.webhook.Stop()
		refused(t, r.pods, asking, `failed calling webhook "inject.pgorigin.webhook"`)
		mustAdmit(t, r.pods, object(t, strings.Replace(asking, `"true"`, `"false"`, 1)))
		r.startWebhook(t)
		r.awaitEffect(t, true)
		if _, guard, _ := offered(); !guard {
			without("a guard: nobody refuses pods while the webhook's registration is gone")
			return
		}
		const registration = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pgorigin-webhook"
		if err := shared.cluster.Delete(testContext(t), registration); err != nil {
			t.Fatal(err)
		}
		awaitRefused(t, r.pods, asking, noSidecar)
		refusedPods(t, r, false)
		r.helmRun(t, "sidecar: {upstream: 'pg.example:5432'}", "upgrade", chartPath(t, "pgorigin")) // puts it back
		r.mount(t)
	}
	r.awaitEffect(t, true)
}

// manyAnnotations are so many unknown ones, as members of a YAML mapping.
func manyAnnotations(count int) string {
	var all []string
	for i := range count {
		all = append(all, fmt.Sprintf("pgorigin/a%d: x", i))
	}
	return strings.Join(all, ", ")
}
