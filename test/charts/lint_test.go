//go:build charts

package charts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
)

// Every chart, with its own values and with each file of ci/.
func TestLint(t *testing.T) {
	for _, name := range []string{"pgorigin-sidecar", "pgorigin", "examples/shop"} {
		files, err := filepath.Glob(filepath.Join(chart(t, name), "ci", "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range append([]string{"values.yaml"}, files...) {
			t.Run(name+"/"+filepath.Base(file), func(t *testing.T) {
				eachHelm(t, func(t *testing.T, helm kube.Helm) {
					args := []string{"lint", "--strict", "--quiet", "--kube-version", "1.36.0", chart(t, name)}
					if filepath.IsAbs(file) {
						args = append(args, "--values", file)
					}
					out, err := helm.Run(t.Context(), "", args...)
					if err != nil {
						t.Error(err)
					}
					if strings.Contains(out, "[WARNING]") || strings.Contains(out, "[ERROR]") {
						t.Error(out)
					}
				})
			})
		}
	}
}

// helm package has to take the library in where the repository has a symbolic link.
func TestPackageHoldsTheLibrary(t *testing.T) {
	eachHelm(t, func(t *testing.T, helm kube.Helm) {
		dir := t.TempDir()
		if _, err := helm.Run(t.Context(), "", "package", chart(t, "pgorigin"), "--destination", dir, "--version", "9.8.7"); err != nil {
			t.Fatal(err)
		}
		objects, err := helm.Template(t.Context(), filepath.Join(dir, "pgorigin-9.8.7.tgz"), "1.36.0", "sidecar: {upstream: pg.example}")
		if err != nil {
			t.Fatal(err)
		}
		if kube.Find(objects, "MutatingAdmissionPolicy", "pgorigin") == nil {
			t.Errorf("the packaged chart renders %v", kinds(objects))
		}
	})
}

// The charts are released together, with the program: one version everywhere.
func TestVersionsAgree(t *testing.T) {
	version := func(name, key string) string {
		text, err := os.ReadFile(filepath.Join(chart(t, name), "Chart.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		objects, err := kube.Objects(string(text))
		if err != nil {
			t.Fatal(err)
		}
		value, _ := objects[0].At(key).(string)
		if key == "dependency" {
			value, _ = objects[0].At("dependencies", 0, "version").(string)
		}
		return value
	}
	want := version("pgorigin-sidecar", "version")
	for _, got := range []string{version("pgorigin", "version"), version("pgorigin", "dependency"), version("examples/shop", "dependency")} {
		if got != want {
			t.Errorf("version %q, want %q as in charts/pgorigin-sidecar", got, want)
		}
	}
	app := version("pgorigin-sidecar", "appVersion")
	if got := version("pgorigin", "appVersion"); got != app {
		t.Errorf("appVersion of charts/pgorigin is %q, of charts/pgorigin-sidecar %q", got, app)
	}
	deployment := render(t, shared.helms[0], "examples/shop", "1.36.0", "")[0]
	image := deployment.At("spec", "template", "spec", "initContainers", 0, "image")
	if want := "ghcr.io/pgorigin/pgorigin:v" + app; image != want {
		t.Errorf("image %v, want %s", image, want)
	}
}
