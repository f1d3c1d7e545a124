//go:build admission

package admission

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// release is charts/pgorigin, installed.
type release struct {
	helm      kube.Helm
	mode      string // policy or webhook
	namespace string // of the release
	pods      string // a namespace for pods

	// In webhook mode: what the webhook has mounted, its pod's address, itself.
	folder, address string
	webhook         *servers.Process
}

// askingPod has nothing but the wish; format it with more metadata, and more of the spec.
const askingPod = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web, pgorigin/inject: "true"}%s}
spec:
  automountServiceAccountToken: false
  containers: [{name: web, image: "registry.example/web:1"}]
%s`

// install installs the chart and returns when it has an effect. The test's end uninstalls it.
func install(t *testing.T, helm kube.Helm, mode, values string) *release {
	t.Helper()
	r := &release{helm: helm, mode: mode, namespace: newNamespace(t, ""), pods: newNamespace(t, "")}
	if mode == "webhook" {
		pair := shared.lab.CA.Issue(tlstest.Leaf{DNSNames: []string{"pgorigin-webhook." + r.namespace + ".svc"}})
		r.writeSecret(t, "pgorigin-webhook-own", map[string][]byte{"tls.crt": pair.CertPEM(), "tls.key": pair.KeyPEM()})
	}
	r.helmRun(t, values, "install", chartPath(t, "pgorigin"))
	t.Cleanup(func() {
		if r.webhook != nil {
			defer r.webhook.Stop()
		}
		// The test has done so itself, if it was about that.
		_, _ = helm.Run(context.WithoutCancel(t.Context()), "", "uninstall", "pgorigin", "--namespace", r.namespace, "--ignore-not-found")
		r.awaitEffect(t, false)
	})
	r.startWebhook(t)
	r.awaitEffect(t, true)
	ran(t, r)
	return r
}

// helmRun runs install or upgrade with a document of values.
func (r *release) helmRun(t *testing.T, values, command, chart string) {
	t.Helper()
	args := []string{
		command, "pgorigin", chart, "--namespace", r.namespace, "--values", "-", "--set", "injector.mode=" + r.mode,
		"--set", "webhook.certificate.existingSecret=pgorigin-webhook-own", "--set-file", "webhook.certificate.caBundle=" + shared.lab.CAFile,
	}
	if _, err := r.helm.Run(testContext(t), values, args...); err != nil {
		t.Fatal(err)
	}
}

func chartPath(t *testing.T, name string) string {
	t.Helper()
	path, err := kube.Chart(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// awaitEffect returns when a pod that asks is injected, or left alone, as wanted: API servers take policies and webhooks up
// some tenths of a second after they are created.
func (r *release) awaitEffect(t *testing.T, wanted bool) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(t.Context()), 30e9, errors.New("it takes too long"))
	defer cancel()
	pod := object(t, fmt.Sprintf(askingPod, `, annotations: {pgorigin/upstream: "pg.example:5432"}`, ""))
	wrong := object(t, fmt.Sprintf(askingPod, `, annotations: {pgorigin/unknown: "x"}`, ""))
	// Only the guard refuses a pod that looks injected, and has no sidecar.
	taken := object(t, strings.Replace(fmt.Sprintf(askingPod, "", ""), "name: web, image", "name: pgorigin, image", 1))
	_, guard, _ := offered()
	err := servers.Poll(ctx, func() error {
		admitted, err := admit(ctx, r.pods, pod)
		if err != nil {
			return err
		}
		if injected := names(admitted.At("spec", "initContainers")) == "pgorigin"; injected != wanted {
			return fmt.Errorf("injected: %v", injected)
		}
		if _, err := admit(ctx, r.pods, wrong); wanted && err == nil { // the guard comes in its own time
			return errors.New("a pod with an unknown annotation is admitted")
		}
		if _, err := admit(ctx, r.pods, taken); wanted && guard && err == nil {
			return errors.New("the guard admits a pod without sidecar")
		}
		return nil
	})
	if err != nil {
		t.Fatalf("wait for the release's effect: %v", err)
	}
}

// path is that of an object in the release's namespace.
func (r *release) path(kind, name string) string {
	if kind == "deployments" {
		return "/apis/apps/v1/namespaces/" + r.namespace + "/deployments/" + name
	}
	return "/api/v1/namespaces/" + r.namespace + "/" + kind + "/" + name
}

func (r *release) get(t *testing.T, kind, name string) kube.Object {
	t.Helper()
	o, err := shared.cluster.Get(testContext(t), r.path(kind, name))
	if err != nil {
		t.Fatalf("read %s/%s: %v", kind, name, err)
	}
	return o
}

// startWebhook runs `pgorigin webhook` as the chart's Deployment says, in place of a kubelet, with the mounted Secret and
// ConfigMap in a folder of the test. The API server comes to the address of the Service, by Service name, CA bundle and
// certificate as in a cluster. The kubelet comes to the pod's address, for every probe.
func (r *release) startWebhook(t *testing.T) {
	t.Helper()
	if r.mode != "webhook" {
		return
	}
	if r.address == "" {
		r.folder, r.address = t.TempDir(), podAddress()
		clusterIP := fmt.Sprint(r.get(t, "services", "pgorigin-webhook").At("spec", "clusterIP"))
		forward(t, net.JoinHostPort(clusterIP, "443"), net.JoinHostPort(r.address, "8443"))
	}
	r.mount(t)
	pod := mustAdmit(t, r.namespace, podOf(r.get(t, "deployments", "pgorigin-webhook")))
	r.webhook = runContainer(t, pod.At("spec", "containers", 0).(map[string]any), r.folder, r.address)
	if _, err := r.webhook.Log.AwaitLine(testContext(t), `"ready"`); err != nil {
		t.Fatalf("wait for the webhook: %v; its log:\n%s", err, r.webhook.Log.Tail(10))
	}
	if err := probeAsKubelet(testContext(t), t, pod, r.address); err != nil {
		t.Error(err)
	}
}

// mount writes the Secrets and ConfigMaps that the Deployment mounts to where the webhook looks for them, and removes what
// is no longer in them.
func (r *release) mount(t *testing.T) {
	t.Helper()
	if r.mode != "webhook" {
		return
	}
	pod := kube.Object(r.get(t, "deployments", "pgorigin-webhook").At("spec", "template", "spec").(map[string]any))
	for i, mount := range pod.At("containers", 0, "volumeMounts").([]any) {
		dir := filepath.Join(r.folder, fmt.Sprint(mount.(map[string]any)["mountPath"]))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if pod.At("volumes", i, "name") != mount.(map[string]any)["name"] {
			t.Fatal("volumes and their mounts are not in the same order")
		}
		files := r.files(t, pod.At("volumes", i))
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		there, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range there {
			if _, ok := files[file.Name()]; ok {
				continue
			}
			if err := os.Remove(filepath.Join(dir, file.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// files returns what is in the Secret or ConfigMap of a volume.
func (r *release) files(t *testing.T, volume any) map[string][]byte {
	t.Helper()
	source := kube.Object(volume.(map[string]any))
	files := map[string][]byte{}
	if secret, ok := source.At("secret", "secretName").(string); ok {
		for name, text := range r.get(t, "secrets", secret)["data"].(map[string]any) {
			decoded, err := base64.StdEncoding.DecodeString(text.(string))
			if err != nil {
				t.Fatal(err)
			}
			files[name] = decoded
		}
		return files
	}
	configMap := fmt.Sprint(source.At("configMap", "name"))
	for name, text := range r.get(t, "configmaps", configMap)["data"].(map[string]any) {
		files[name] = []byte(text.(string))
	}
	return files
}
