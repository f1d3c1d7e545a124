//go:build charts

package charts

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
)

// What is wrong is refused with the name of the value.
func TestRefusedValues(t *testing.T) {
	webhook := "injector: {mode: webhook}\n"
	for _, row := range []struct{ about, chart, values, want string }{
		{"no upstream", "examples/shop", "pgorigin: {upstream: ''}", "set pgorigin.upstream: host[:6432] of the pgbouncer"},
		{"two CAs in an application", "examples/shop", "pgorigin: {caConfigMap: b}", "pgorigin.caSecret and pgorigin.caConfigMap: there can be one CA only"},
		{"misspelt value of the sidecar", "examples/shop", "pgorigin: {upstraem: a}", "'upstraem'"},
		{"upstream as a URL", "examples/shop", "pgorigin: {upstream: 'postgres://user:hunter2@db'}", "pgorigin.upstream: expected host[:port]"},
		{"upstream with a gap, for all pods", "pgorigin", "sidecar: {upstream: 'a,,b'}", "sidecar.upstream: expected host[:port]"},
		{"everything at once", "examples/shop", "pgorigin: {upstream: 'a:99999', caKey: ..}", "\npgorigin.caKey: expected a key"},
		{"name that no Secret can have", "examples/shop", "pgorigin: {caSecret: My_CA}", "pgorigin.caSecret: expected the name of a Secret"},
		{"TLS version that is too old", "examples/shop", "pgorigin: {minVersion: '1.1'}", "pgorigin.minVersion: expected 1.2 or 1.3"},
		{"unknown log level", "examples/shop", "pgorigin: {logLevel: verbose}", "pgorigin.logLevel: expected debug"},
		{"port of the probes", "examples/shop", "pgorigin: {listenPort: 9632}", "pgorigin.listenPort: expected a port"},
		{"origin without a port", "examples/shop", "pgorigin: {origins: 'a'}", "pgorigin.origins: expected PORT=host[:port]"},
		{"two origins at a port", "examples/shop", "pgorigin: {origins: '1=a 2=b 1=c'}", "pgorigin.origins: expected PORT=host[:port], or up to 32 of them with one space between; each port once"},
		{"origin at the port of probes", "pgorigin", "sidecar: {origins: '9632=a'}", "sidecar.origins: expected PORT=host[:port]"},
		{"origin at the first port", "examples/shop", "pgorigin: {origins: '6433=a 6432=b'}", "pgorigin.listenPort and pgorigin.origins: both have port 6432"},
		{"URL to intercept", "examples/shop", "pgorigin: {intercept: 'postgres://user:hunter2@db'}", "pgorigin.intercept: expected name[:port] of the database as the application has it"},
		{"localhost to intercept, for all pods", "pgorigin", "sidecar: {intercept: 'localhost:5432'}", "sidecar.intercept: expected name[:port] of the database as the application has it"},
		{"intercept and its port", "examples/shop", "pgorigin: {intercept: db, listenPort: 7000}", "pgorigin.intercept and pgorigin.listenPort: pgorigin listens on the port of intercept; remove one of them"},
		{"intercept and the port of an origin", "examples/shop", "pgorigin: {intercept: db, origins: '5432=a'}", "pgorigin.intercept and pgorigin.origins: both have port 5432"},
		{"volume for a CA that there is not", "examples/shop", "pgorigin: {listenCAVolume: ca}", "pgorigin.listenCAVolume is set, but not pgorigin.intercept: set both, or remove it"},
		{"quantity that is none", "examples/shop", "pgorigin: {resources: {limits: {memory: lots}}}", "pgorigin.resources.limits.memory: expected a quantity"},
		{"misspelt resource", "examples/shop", "pgorigin: {resources: {limits: {mem: 64Mi}}}", "'mem'"},
		{"digest that is none", "examples/shop", "pgorigin: {image: {digest: abc}}", "/image/digest"},
		{"misspelt block", "pgorigin", "inject: {mode: policy}", "'inject'"},
		{"misspelt value", "pgorigin", "injector: {mod: policy}", "'mod'"},
		{"misspelt value of the injected sidecar", "pgorigin", "sidecar: {caScret: a}", "'caScret'"},
		{"unknown mode", "pgorigin", "injector: {mode: proxy}", "/injector/mode"},
		{"unknown policy version", "pgorigin", "injector: {policyApiVersion: v2}", "/injector/policyApiVersion"},
		{"locked word that is none", "pgorigin", "injector: {locked: [upstraem]}", `injector.locked: "upstraem" is no annotation; known are intercept, upstream,`},
		{"locked default", "pgorigin", "injector: {locked: [image]}", `injector.locked: "image" is no annotation`},
		{"locked upstream that is not set", "pgorigin", "injector: {locked: [server-name]}", "injector.locked has upstream, and sidecar.upstream is empty: no pod could have an upstream; set sidecar.upstream"},
		{"selector that is none", "pgorigin", "injector: {namespaceSelector: {team: a}}", "'team'"},
		{"nothing excluded", "pgorigin", "injector: {excludedNamespaces: []}", "/injector/excludedNamespaces"},
		{"two CAs for all pods", "pgorigin", "sidecar: {caSecret: a, caConfigMap: b}", "sidecar.caSecret and sidecar.caConfigMap: there can be one CA only"},
		{"no CA for a Secret", "pgorigin", webhook + "webhook: {certificate: {existingSecret: a}}", "webhook.certificate.caBundle: expected -----BEGIN CERTIFICATE-----, that is, PEM of the CA"},
		{"CA that is none", "pgorigin", webhook + "webhook: {certificate: {caBundle: -----BEGIN PRIVATE KEY-----}}", "webhook.certificate.caBundle: expected -----BEGIN CERTIFICATE-----"},
		{"no replicas", "pgorigin", "webhook: {replicas: 0}", "/webhook/replicas"},
		{"misspelt threshold", "pgorigin", "prometheusRule: {thresholds: {expiryDays: 3}}", "'expiryDays'"},
	} {
		t.Run(row.about, func(t *testing.T) {
			eachHelm(t, func(t *testing.T, helm kube.Helm) {
				_, err := helm.Template(t.Context(), chart(t, row.chart), "1.36.0", row.values)
				if err == nil || !strings.Contains(err.Error(), row.want) {
					t.Errorf("got %v, want a refusal with %q", err, row.want)
				}
				if err != nil && (strings.Contains(err.Error(), "PRIVATE") || strings.Contains(err.Error(), "hunter2")) {
					t.Errorf("the refusal repeats what is secret: %v", err)
				}
			})
		})
	}
}

func TestRefusedKubernetes(t *testing.T) {
	eachHelm(t, func(t *testing.T, helm kube.Helm) {
		for _, name := range []string{"pgorigin", "examples/shop"} {
			_, err := helm.Template(t.Context(), chart(t, name), "1.28.0", "{}")
			if want := "requires kubeVersion: >=1.29.0-0"; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want a refusal with %q", name, err, want)
			}
		}
		_, err := helm.Template(t.Context(), chart(t, "pgorigin"), "1.29.0", "injector: {mode: webhook, guard: true}")
		if want := "injector.guard=true needs Kubernetes 1.30 or later, and this is v1.29.0"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a refusal with %q", err, want)
		}
	})
}

// YAML reads a quantity without a unit as a number, and Helm makes a float of it.
func TestQuantitiesAsNumbers(t *testing.T) {
	eachHelm(t, func(t *testing.T, helm kube.Helm) {
		for number, want := range map[string]string{
			"67108864": "67108864", "1e9": "1000000000", "1": "1", "0.5": "0.5", "0.001": "0.001", "1Pi": "1Pi",
		} {
			values := "pgorigin: {resources: {limits: {memory: " + number + "}}}"
			got := render(t, helm, "examples/shop", "1.36.0", values)[0].At("spec", "template", "spec", "initContainers", 0, "resources", "limits", "memory")
			if got != want {
				t.Errorf("%s became %v, want %s", number, got, want)
			}
		}
		objects := render(t, helm, "pgorigin", "1.36.0", "sidecar: {resources: {requests: {memory: 67108864, cpu: 0.5}}}")
		policy := fmt.Sprint(kube.Find(objects, "MutatingAdmissionPolicy", "").At("spec", "variables"))
		for _, want := range []string{`"cpu-request": "0.5"`, `"memory-request": "67108864"`} {
			if !strings.Contains(policy, want) {
				t.Errorf("the policy has not %s", want)
			}
		}
	})
}

// While the chart is upgraded, pods of the webhook's release before read its ConfigMap, too. They refuse every pod if it
// has a word that they do not know. So a word is there only if it is set.
func TestDefaultsHaveNoEmptyWords(t *testing.T) {
	eachHelm(t, func(t *testing.T, helm kube.Helm) {
		objects := render(t, helm, "pgorigin", "1.36.0", `
injector: {mode: webhook}
sidecar: {image: {repository: "registry.example/pgorigin", tag: v1}, clientEnv: false, minVersion: "1.3"}`)
		got, _ := kube.Find(objects, "ConfigMap", "-defaults")["data"].(map[string]any)
		want := map[string]any{
			"image": "registry.example/pgorigin:v1", "image-pull-policy": "IfNotPresent", "client-env": "false", "min-version": "1.3",
			"listen-port": "6432", "cpu-request": "10m", "memory-request": "16Mi", "memory-limit": "64Mi",
		}
		if diff := kube.Diff(got, want); diff != "" {
			t.Errorf("the defaults differ:\n%s", diff)
		}
	})
}

// TestNotes: the notes of the chart advise no annotation that the chart locks.
func TestNotes(t *testing.T) {
	eachHelm(t, func(t *testing.T, helm kube.Helm) {
		if strings.HasPrefix(helm.Version, "v3") {
			return // it prints notes only with a cluster
		}
		const values = "injector: {policyApiVersion: v1, locked: [%s]}\nsidecar: {upstream: 'db:1'}"
		for locked, want := range map[string][]string{
			"":                    {"annotations:", "pgorigin/upstream: db:1 ", "pgorigin/ca-secret: "},
			"upstream":            {"annotations:", "pgorigin/ca-secret: "},
			"ca-configmap":        {"annotations:", "pgorigin/upstream: db:1 "},
			"upstream, ca-secret": nil,
		} {
			notes, err := helm.Run(t.Context(), fmt.Sprintf(values, locked), "install", "pgorigin", chart(t, "pgorigin"),
				"--namespace", "pgorigin", "--dry-run=client", "--values", "-")
			_, notes, found := strings.Cut(notes, "\nNOTES:\n")
			if err != nil || !found {
				t.Fatalf("%v: no notes", err)
			}
			for _, text := range []string{"annotations:", "pgorigin/upstream: db:1 ", "pgorigin/ca-secret: "} {
				if strings.Contains(notes, text) != slices.Contains(want, text) {
					t.Errorf("locked [%s]: the notes must have %q only if it is in %q:\n%s", locked, text, want, notes)
				}
			}
		}
	})
}
