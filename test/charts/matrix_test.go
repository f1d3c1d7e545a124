//go:build charts

package charts

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
)

// Every supported Kubernetes, on both Helms, in every mode: what is rendered, or the sentence with which it is refused.
func TestRenderMatrix(t *testing.T) {
	own := "{existingSecret: a, caBundle: '-----BEGIN CERTIFICATE-----'}"
	for minor := 29; minor <= 37; minor++ {
		kubernetes := fmt.Sprintf("1.%d.0", minor)
		guard := map[string]int{}
		if minor >= 30 {
			guard = map[string]int{"ValidatingAdmissionPolicy": 3, "ValidatingAdmissionPolicyBinding": 4}
		}
		with := func(base map[string]int, more map[string]int) map[string]int {
			all := maps.Clone(base)
			maps.Copy(all, more)
			return all
		}
		policy := map[string]int{"MutatingAdmissionPolicy": 1, "MutatingAdmissionPolicyBinding": 2, "Pod": 1}
		webhook := map[string]int{
			"ConfigMap": 1, "Deployment": 1, "MutatingWebhookConfiguration": 1, "Pod": 1, "PodDisruptionBudget": 1, "Service": 1,
		}
		for _, row := range []struct {
			mode, values string
			want         map[string]int
			refused      string // for versions below 1.36
		}{
			{"policy", "{}", with(policy, guard), "injector.mode=policy needs Kubernetes 1.36 or later, and this is v" + kubernetes + ": set injector.mode=webhook"},
			{"policy v1beta1", "injector: {policyApiVersion: v1beta1}", with(policy, guard), ""},
			{"webhook", "{injector: {mode: webhook}, webhook: {certificate: " + own + "}}", with(webhook, guard), ""},
			{"webhook by cert-manager", "injector: {mode: webhook}", with(with(webhook, guard), map[string]int{"Certificate": 2, "Issuer": 2}), ""},
			{"webhook by an issuer", "{injector: {mode: webhook}, webhook: {certificate: {issuerRef: {name: a}}}}", with(with(webhook, guard), map[string]int{"Certificate": 1}), ""},
			{"none", "injector: {mode: none}", map[string]int{}, ""},
		} {
			t.Run(kubernetes+"/"+row.mode, func(t *testing.T) {
				eachHelm(t, func(t *testing.T, helm kube.Helm) {
					objects, err := helm.Template(t.Context(), chart(t, "pgorigin"), kubernetes, row.values)
					if row.refused != "" && minor < 36 {
						if err == nil || !strings.Contains(err.Error(), row.refused) {
							t.Errorf("got %v, want a refusal with %q", err, row.refused)
						}
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					if got := kinds(objects); !maps.Equal(got, row.want) {
						t.Errorf("rendered %v, want %v", got, row.want)
					}
				})
			})
		}
		t.Run(kubernetes+"/library", func(t *testing.T) {
			eachHelm(t, func(t *testing.T, helm kube.Helm) {
				pod := render(t, helm, "examples/shop", kubernetes, "")[0]
				if name := pod.At("spec", "template", "spec", "initContainers", 0, "name"); name != "pgorigin" {
					t.Errorf("the first init container is %v", name)
				}
			})
		})
	}
}

func TestPolicyApiVersion(t *testing.T) {
	for values, want := range map[string]string{
		"{}":                                    "admissionregistration.k8s.io/v1",
		"injector: {policyApiVersion: v1beta1}": "admissionregistration.k8s.io/v1beta1",
	} {
		objects := render(t, shared.helms[0], "pgorigin", "1.36.0", values)
		if got := kube.Find(objects, "MutatingAdmissionPolicy", "")["apiVersion"]; got != want {
			t.Errorf("%s: %v, want %s", values, got, want)
		}
	}
}

// A pod that did not ask must not even be looked at, whatever is down, unless its namespace requires the sidecar.
func TestNobodyElseIsConcerned(t *testing.T) {
	asked := "map[pgorigin/inject:true]"
	required := "map[pgorigin/inject:required]"
	policy := render(t, shared.helms[0], "pgorigin", "1.36.0", "")
	webhook := render(t, shared.helms[0], "pgorigin", "1.36.0", "injector: {mode: webhook}")
	selects := func(what string, from kube.Object, path ...any) {
		t.Helper()
		pods := fmt.Sprint(from.At(append(path, "objectSelector", "matchLabels")...))
		namespaces := fmt.Sprint(from.At(append(path, "namespaceSelector", "matchLabels")...))
		if pods != asked && namespaces != required {
			t.Errorf("%s selects pods by %s and namespaces by %s", what, pods, namespaces)
		}
	}
	for _, kind := range []string{"MutatingAdmissionPolicyBinding", "ValidatingAdmissionPolicyBinding"} {
		for _, o := range policy {
			if o["kind"] == kind && o.At("metadata", "name") != "pgorigin-hints" {
				selects(fmt.Sprint(o.At("metadata", "name")), o, "spec", "matchResources")
			}
		}
	}
	for i := range 2 {
		selects("webhook", kube.Find(webhook, "MutatingWebhookConfiguration", ""), "webhooks", i)
	}
	hints := kube.Find(policy, "ValidatingAdmissionPolicy", "pgorigin-hints").At("spec", "failurePolicy")
	actions := kube.Find(policy, "ValidatingAdmissionPolicyBinding", "pgorigin-hints").At("spec", "validationActions")
	if hints != "Ignore" || fmt.Sprint(actions) != "[Warn]" {
		t.Errorf("the hints, which look at everybody, have failurePolicy %v and actions %v", hints, actions)
	}
	template := kube.Find(webhook, "Deployment", "").At("spec", "template", "metadata", "labels", "pgorigin/inject")
	if template != nil {
		t.Error("the webhook's own pods ask for injection, and could never start")
	}
}

// GitOps tools render again and again: what changes by itself would be deployed each time.
func TestRenderingIsRepeatable(t *testing.T) {
	for _, values := range []string{
		"{podMonitor: {enabled: true}, prometheusRule: {enabled: true}, dashboard: {enabled: true}}",
		"injector: {mode: webhook}",
		"{injector: {mode: webhook}, webhook: {certificate: {existingSecret: a, caBundle: '-----BEGIN CERTIFICATE-----'}}}",
	} {
		eachHelm(t, func(t *testing.T, helm kube.Helm) {
			first, second := render(t, helm, "pgorigin", "1.36.0", values), render(t, helm, "pgorigin", "1.36.0", values)
			if diff := kube.Diff(first, second); diff != "" {
				t.Errorf("with %s two renderings differ:\n%s", values, diff)
			}
		})
	}
}
