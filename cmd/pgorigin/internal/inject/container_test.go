package inject

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write golden files")

// variant is one document of testdata/container.yaml. The charts must render the same container.
type variant struct {
	About       string            `json:"-"`
	Defaults    map[string]string `json:"defaults"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Container   container         `json:"container"`
	Volumes     []volume          `json:"volumes,omitempty"`
	ClientEnv   []envVar          `json:"clientEnv,omitempty"`
}

func variants() []variant {
	defaults := func(more ...string) map[string]string {
		d := map[string]string{"image": "registry.example/pgorigin:v1.0.0", "upstream": "pgbouncer.prod.svc:6432"}
		for i := 0; i < len(more); i += 2 {
			d[more[i]] = more[i+1]
		}
		return d
	}
	return []variant{
		{About: "minimal: system roots", Defaults: defaults()},
		{About: "CA in a Secret", Defaults: defaults("ca-secret", "pgbouncer-ca")},
		{About: "CA in a ConfigMap", Defaults: defaults("ca-configmap", "pgbouncer-ca", "ca-key", "bundle.pem")},
		{About: "client certificate", Defaults: defaults("ca-secret", "pgbouncer-ca", "client-secret", "app-client")},
		{
			About:    "a pod's own CA and upstream replace what belongs to the defaults'",
			Defaults: defaults("ca-secret", "pgbouncer-ca", "ca-key", "root.pem", "server-name", "db.internal"),
			Annotations: map[string]string{
				"pgorigin/upstream": "reports.prod.svc:5432", "pgorigin/ca-configmap": "reports-ca", "pgorigin/client-env": "false",
			},
		},
		{
			About: "every annotation", Defaults: defaults("image-pull-policy", "Always"),
			Annotations: map[string]string{
				"pgorigin/upstream": "pg-a.example:6432,pg-b.example", "pgorigin/server-name": "db.internal",
				"pgorigin/ca-secret": "own-ca", "pgorigin/ca-key": "tls-ca.pem", "pgorigin/client-secret": "own-client",
				"pgorigin/min-version": "1.3", "pgorigin/log-level": "debug", "pgorigin/listen-port": "6433",
				"pgorigin/env-configmap": "own-settings", "pgorigin/client-env": "true", "pgorigin/cpu-request": "20m",
				"pgorigin/memory-request": "32Mi", "pgorigin/cpu-limit": "1", "pgorigin/memory-limit": "128Mi",
			},
		},
	}
}

func TestContainer(t *testing.T) {
	var out strings.Builder
	for _, v := range variants() {
		var injector Injector
		for name, value := range v.Defaults {
			if err := injector.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
		o, problems := injector.options(v.Annotations)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		v.Container, v.Volumes, v.ClientEnv = sidecar(o), volumes(o), clientEnv(o)
		value, err := ordered(v)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n# " + v.About + "\n" + strings.Join(blockLines(value), "\n") + "\n")
	}
	compareGolden(t, "testdata/container.yaml", out.String())
}

// compareGolden compares with a file. With -update, it writes the file.
func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run go test with -update and look at the difference. Got:\n%s", file, got)
	}
}
