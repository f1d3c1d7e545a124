//go:build charts

package charts

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
)

// Kubernetes allows names that YAML takes for a number, a truth value or nothing, unless they are quoted. Services are not
// named like releases: before 1.36, their names begin with a letter.
func TestNamesAreTexts(t *testing.T) {
	webhook, err := os.ReadFile(chart(t, "pgorigin") + "/ci/webhook-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const more = "\nimagePullSecrets: [{name: '123'}]\npodMonitor: {enabled: true}\nprometheusRule: {enabled: true}\ndashboard: {enabled: true}\n"
	for name, values := range map[string]string{"pgorigin": string(webhook) + more, "examples/shop": ""} {
		for _, release := range []string{"123", "1e3", "true", "null", "0x10", "shop.v2", "12345678901234567890123456789012345678901234567890123"} {
			eachHelm(t, func(t *testing.T, helm kube.Helm) {
				objects, err := helm.TemplateAs(t.Context(), release, release, chart(t, name), "1.36.0", values)
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range objects {
					metadata := o["metadata"].(map[string]any)
					texts(t, fmt.Sprint(release, ": ", o["kind"], " metadata"), metadata)
					if name := fmt.Sprint(metadata["name"]); o["kind"] == "Service" && !serviceName.MatchString(name) {
						t.Errorf("%s: the Service has the name %s", release, name)
					}
					if namespace, ok := metadata["namespace"]; ok && namespace != release {
						t.Errorf("%s: %v is in the namespace %v", release, o["kind"], namespace)
					}
					for _, path := range [][]any{
						{"spec", "selector"},
						{"spec", "policyName"},
						{"spec", "template", "metadata"},
						{"spec", "template", "spec", "volumes"},
						{"spec", "imagePullSecrets"},
						{"webhooks", 0, "clientConfig", "service", "namespace"},
					} {
						if value := o.At(path...); value != nil {
							texts(t, fmt.Sprint(release, ": ", o["kind"], " ", path), value)
						}
					}
				}
			})
		}
	}
}

var serviceName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

// texts fails the test if a value is not a text, or holds one that is none.
func texts(t *testing.T, place string, value any) {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if key != "optional" && key != "any" {
				texts(t, place+"."+key, inner)
			}
		}
	case []any:
		for _, inner := range value {
			texts(t, place, inner)
		}
	case string:
	default:
		t.Errorf("%s is the %T %v", place, value, value)
	}
}
