package inject

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write golden files")

// variant is a document of testdata/container.yaml: inputs, and what injection makes of them. The charts make the same.
type variant struct {
	About                 string
	Defaults, Annotations map[string]string
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
				"pgorigin/min-version": "1.3", "pgorigin/log-level": "debug", "pgorigin/listen-port": "6431",
				"pgorigin/origins":       "6433=reports.example:5432 6434=pg-c.example,[::1]:6432",
				"pgorigin/env-configmap": "own-settings", "pgorigin/client-env": "true", "pgorigin/cpu-request": "20m",
				"pgorigin/memory-request": "32Mi", "pgorigin/cpu-limit": "1", "pgorigin/memory-limit": "128Mi",
			},
		},
		{
			About: "the name itself leads here", Defaults: defaults("server-name", "db.internal", "ca-secret", "pgbouncer-ca", "client-env", "true"),
			Annotations: map[string]string{"pgorigin/intercept": "db.prod.example.com"},
		},
		{
			About: "the name leads here, and pgorigin goes elsewhere", Defaults: defaults("listen-port", "7000"),
			Annotations: map[string]string{
				"pgorigin/intercept": "db.prod.example.com:5433", "pgorigin/upstream": "pgbouncer.prod.svc:6432",
				"pgorigin/origins": "5434=reports.prod:5432", "pgorigin/channel-binding": "bridge", "pgorigin/listen-secret": "db-tls",
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
		settings, problems := injector.settings(v.Annotations)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		made := readContract()
		clientEnv := settings.fill(&made.ClientVariables)
		if settings["client-env"] == "false" {
			clientEnv = list()
		}
		document := object("defaults", sorted(v.Defaults), "annotations", sorted(v.Annotations),
			"container", settings.fill(&made.Container), "volumes", settings.fill(&made.Volumes),
			"hostAliases", settings.fill(&made.HostAliases), "clientEnv", clientEnv)
		out.WriteString("---\n# " + v.About + "\n" + strings.Join(blockLines(document), "\n") + "\n")
	}
	compareGolden(t, "testdata/container.yaml", out.String())
}

func sorted(words map[string]string) *yaml.Node {
	var members []any
	for _, key := range slices.Sorted(maps.Keys(words)) {
		members = append(members, key, words[key])
	}
	return object(members...)
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
