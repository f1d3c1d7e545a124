//go:build charts

// Package charts tests the charts without an API server: lint, rendering for every supported Kubernetes on both Helms, refused
// values, the container, alerts and dashboard. test/admission installs them for real.
package charts

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
	"github.com/pgorigin/pgorigin/test/servers"
)

var update = flag.Bool("update", false, "write the charts' README files")

// shared is what all tests use.
var shared struct {
	lab   *servers.Lab
	helms []kube.Helm
}

func TestMain(m *testing.M) {
	os.Exit(servers.RunSuite(m, func(_ context.Context, lab *servers.Lab) (err error) {
		shared.lab = lab
		shared.helms, err = kube.Helms(lab.Dir())
		return err
	}))
}

// eachHelm runs a test on both versions of Helm.
func eachHelm(t *testing.T, run func(t *testing.T, helm kube.Helm)) {
	for _, helm := range shared.helms {
		t.Run(helm.Version, func(t *testing.T) { run(t, helm) })
	}
}

// chart returns the folder of a chart.
func chart(t *testing.T, name string) string {
	t.Helper()
	path, err := kube.Chart(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// render renders a chart that must render.
func render(t *testing.T, helm kube.Helm, name, kubernetes, values string) []kube.Object {
	t.Helper()
	objects, err := helm.Template(t.Context(), chart(t, name), kubernetes, values)
	if err != nil {
		t.Fatalf("render for Kubernetes %s: %v", kubernetes, err)
	}
	return objects
}

// kinds counts objects by kind.
func kinds(objects []kube.Object) map[string]int {
	count := map[string]int{}
	for _, o := range objects {
		count[fmt.Sprint(o["kind"])]++
	}
	return count
}
