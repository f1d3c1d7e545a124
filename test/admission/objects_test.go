//go:build admission

package admission

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
	"github.com/pgorigin/pgorigin/test/servers"
)

// What the other tests do not install, monitoring and cert-manager among it, is checked member by member against the API
// server's own schema, or that of the CRDs.
func TestEveryObjectIsValid(t *testing.T) {
	installCRD(t, "monitoring.coreos.com_podmonitors.yaml")
	installCRD(t, "monitoring.coreos.com_prometheusrules.yaml")
	installCertManagerCRDs(t)
	// A name that YAML takes for a number unless it is quoted.
	const namespace = "456"
	makeNamespace(t, namespace, "pod-security.kubernetes.io/enforce: restricted")
	modes, _, _ := offered()
	for _, file := range append(modes, "monitoring") {
		values, err := os.ReadFile(chartPath(t, "pgorigin") + "/ci/" + file + "-values.yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, helm := range shared.helms {
			run(t, file+"/helm "+helm.Version, func(t *testing.T) {
				objects, err := helm.TemplateAs(testContext(t), "123", namespace, chartPath(t, "pgorigin"), shared.cluster.Version, string(values))
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range objects {
					path := collection(t, o) + "?dryRun=All"
					if _, err := shared.cluster.Create(testContext(t), path, o); err != nil {
						t.Errorf("%v %v: %v", o["kind"], o.At("metadata", "name"), err)
					}
					if o["kind"] == "Deployment" { // whose pods have to meet Pod Security, too
						mustAdmit(t, namespace, podOf(o))
					}
				}
			})
		}
	}
}

// Policies come in version 1 from Kubernetes 1.36 on, and API servers from 1.34 can be told to serve v1beta1. Where there are
// none, Helm installs nothing.
func TestPolicyVersions(t *testing.T) {
	modes, _, v1beta1 := offered()
	for _, helm := range shared.helms {
		for _, row := range []struct {
			version, values string
			served          bool
			refusal         string
		}{
			{
				"v1", "{}", slices.Contains(modes, "policy"),
				"injector.mode=policy needs Kubernetes 1.36 or later, and this is " + shared.cluster.Version + ": set injector.mode=webhook",
			},
			{
				"v1beta1", "injector: {policyApiVersion: v1beta1}", v1beta1,
				`no matches for kind "MutatingAdmissionPolicy" in version "admissionregistration.k8s.io/v1beta1"`,
			},
		} {
			run(t, row.version+"/helm "+helm.Version, func(t *testing.T) {
				if row.served {
					install(t, helm, "policy", row.values) // and see that it injects
					return
				}
				notInstalled(t, helm, row.values, row.refusal)
			})
		}
	}
}

// notInstalled is an attempt to install the chart in policy mode that must fail with a sentence and leave nothing.
func notInstalled(t *testing.T, helm kube.Helm, values, want string) {
	t.Helper()
	before := everything(t)
	args := []string{"install", "pgorigin", chartPath(t, "pgorigin"), "--namespace", newNamespace(t, ""), "--values", "-"}
	if _, err := helm.Run(testContext(t), values, args...); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("helm install: %v, want %q", err, want)
	}
	if left := added(t, before); len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, ", "))
	}
}

// The library chart's example, for real: the Deployment is stored, and its pods are admitted with and without an injector,
// which leaves them as they are.
func TestExampleChart(t *testing.T) {
	modes, _, _ := offered()
	for _, helm := range shared.helms {
		run(t, "helm "+helm.Version, func(t *testing.T) {
			r := install(t, helm, modes[0], "{}")
			if _, err := helm.Run(testContext(t), "", "install", "shop", chartPath(t, "examples/shop"), "--namespace", r.namespace); err != nil {
				t.Fatal(err)
			}
			admitted := mustAdmit(t, r.pods, podOf(r.get(t, "deployments", "shop")))
			if got := names(admitted.At("spec", "initContainers")); got != "pgorigin migrate" {
				t.Errorf("init containers %q", got)
			}
			if admitted.At("metadata", "annotations") != nil {
				t.Errorf("the injector has touched a pod that has its sidecar: %v", admitted["metadata"])
			}
			if _, err := helm.Run(testContext(t), "", "uninstall", "shop", "--namespace", r.namespace); err != nil {
				t.Error(err)
			}
		})
	}
}

// podOf is what a controller would make of a Deployment.
func podOf(deployment kube.Object) kube.Object {
	template := deployment.At("spec", "template").(map[string]any)
	template["metadata"].(map[string]any)["generateName"] = "pod-"
	return kube.Object{"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]}
}

// installCertManagerCRDs does so once.
func installCertManagerCRDs(t *testing.T) {
	t.Helper()
	if _, err := shared.cluster.Get(testContext(t), "/apis/cert-manager.io/v1"); err == nil {
		return
	}
	installCRD(t, "cert-manager.io_certificates.yaml")
	installCRD(t, "cert-manager.io_issuers.yaml")
}

// installCRD creates a custom resource definition and waits until objects of it can be created.
func installCRD(t *testing.T, file string) {
	t.Helper()
	path, err := kube.Tool(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	crd := object(t, string(text))
	mustCreate(t, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
	resources := fmt.Sprintf("/apis/%v/%v/%v", crd.At("spec", "group"), crd.At("spec", "versions", 0, "name"), crd.At("spec", "names", "plural"))
	err = servers.Poll(testContext(t), func() error {
		_, err := shared.cluster.Get(testContext(t), resources)
		return err
	})
	if err != nil {
		t.Fatalf("wait for %s: %v", file, err)
	}
}

// collection is where objects like this one are created: the plural of its kind in lower case.
func collection(t *testing.T, o kube.Object) string {
	t.Helper()
	version := fmt.Sprint(o["apiVersion"])
	root := "/apis/" + version
	if version == "v1" {
		root = "/api/v1"
	}
	plural := strings.ToLower(fmt.Sprint(o["kind"]))
	if strings.HasSuffix(plural, "y") {
		plural = strings.TrimSuffix(plural, "y") + "ie"
	}
	if namespace := o.At("metadata", "namespace"); namespace != nil {
		root = fmt.Sprint(root, "/namespaces/", namespace)
	}
	return root + "/" + plural + "s"
}
