//go:build charts

package charts

import (
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
)

// The library's container is, as an object, that of cmd/pgorigin/internal/inject from the same inputs.
func TestContainerIsThatOfInject(t *testing.T) {
	variants, err := kube.Variants()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variants {
		t.Run(v.About, func(t *testing.T) {
			eachHelm(t, func(t *testing.T, helm kube.Helm) {
				values, err := v.SidecarValues("pgorigin")
				if err != nil {
					t.Fatal(err)
				}
				pod := kube.Object(render(t, helm, "examples/shop", "1.36.0", values)[0].At("spec", "template", "spec").(map[string]any))
				for what, pair := range map[string][2]any{
					"container":          {pod.At("initContainers", 0), v.Container},
					"volumes":            {pod.At("volumes"), v.Volumes},
					"host aliases":       {pod.At("hostAliases"), v.HostAliases},
					"client environment": {pod.At("initContainers", 1, "env"), v.ClientEnv},
				} {
					if diff := kube.Diff(pair[0], pair[1]); diff != "" {
						t.Errorf("%s of the chart and of inject differ:\n%s", what, diff)
					}
				}
			})
		})
	}
}
