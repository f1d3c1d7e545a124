package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/golden"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/inject"
)

const shopManifest = "# the shop\napiVersion: v1\nkind: Pod\nmetadata:\n  name: shop\nspec:\n  containers:\n  - name: web\n    image: shop:1\n"

// manifestFile writes a file for inject and returns its name.
func manifestFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "shop.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestInjectAndBack(t *testing.T) {
	file := manifestFile(t, shopManifest)
	got := runWith(t, nil, "inject", "-f", file, "--upstream", "db.prod:6432", "--image=registry.example/pgorigin:v1")
	if got.code != cli.ExitOK || got.stderr != "Pod shop: injected\n" {
		t.Fatalf("exit %d, %s", got.code, got.stderr)
	}
	for _, want := range []string{"# the shop\n", "  - name: pgorigin\n", "value: db.prod:6432\n", "image: registry.example/pgorigin:v1\n", "- name: PGHOST\n"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in\n%s", want, got.stdout)
		}
	}
	back := runWith(t, nil, "uninject", "-f", manifestFile(t, got.stdout))
	if back.code != cli.ExitOK || back.stdout != shopManifest || back.stderr != "Pod shop: uninjected\n" {
		t.Errorf("exit %d, %s\n%s", back.code, back.stderr, back.stdout)
	}
}

// TestInjectCheck: a repository with injected manifests stays as inject makes it.
func TestInjectCheck(t *testing.T) {
	args := []string{"inject", "--upstream", "db.prod:6432", "--image=registry.example/pgorigin:v1"}
	pastIt := strings.Replace(shopManifest, "image: shop:1\n", "image: shop:1\n    env: [{name: A, value: \"postgres://u:secret@db.prod/\\u202E\"}]\n", 1)
	for manifest, want := range map[string]string{
		shopManifest: "",
		pastIt:       "pgorigin: inject: Pod shop: container \"web\" bypasses pgorigin: A has the host db.prod: write 127.0.0.1:6432 there\n",
	} {
		made := runWith(t, nil, append(args, "-f", manifestFile(t, manifest))...)
		if made.code != cli.ExitOK || strings.Contains(made.stderr, "secret") {
			t.Fatalf("exit %d, %s", made.code, made.stderr)
		}
		code := cli.ExitOK
		if want != "" {
			code = cli.ExitFailed
		}
		got := runWith(t, nil, append(args, "--check", "-f", manifestFile(t, made.stdout))...)
		if got.code != code || got.stdout != "" || got.stderr != want {
			t.Errorf("exit %d, stdout %q, got %s\nwant %s", got.code, got.stdout, got.stderr, want)
		}
	}
	got := runWith(t, nil, append(args, "--check", "-f", manifestFile(t, shopManifest))...)
	if got.code != cli.ExitFailed || got.stdout != "" || got.stderr != "pgorigin: inject: Pod shop: not injected: run pgorigin inject\n" {
		t.Errorf("exit %d, %s%s", got.code, got.stdout, got.stderr)
	}
}

// TestInjectJoinsFiles: two files become one stream, even if the first has no last line break.
func TestInjectJoinsFiles(t *testing.T) {
	first, second := manifestFile(t, strings.TrimSuffix(shopManifest, "\n")), manifestFile(t, shopManifest)
	got := runWith(t, nil, "uninject", "-f", first, "-f", second)
	if got.code != cli.ExitOK || got.stdout != shopManifest+"---\n"+shopManifest {
		t.Errorf("exit %d:\n%s", got.code, got.stdout)
	}
}

func TestInjectRefuses(t *testing.T) {
	good := manifestFile(t, shopManifest)
	bad := manifestFile(t, strings.Replace(shopManifest, "name: shop", "name: shop\n  annotations: {pgorigin/upstream: 'a b', pgorigin/x: ''}", 1))
	for name, c := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"object": {
			[]string{"-f", good, "-f", bad, "--image", "i", "--upstream", "db"},
			cli.ExitFailed,
			[]string{`pgorigin: inject: Pod shop: annotation pgorigin/upstream: expected host[:port]`, "annotation pgorigin/x: no such annotation"},
		},
		"no upstream": {[]string{"-f", good, "--image", "i"}, cli.ExitFailed, []string{"Pod shop: upstream is not set: add the annotation"}},
		"no file":     {[]string{"-f", good + "x", "--image", "i"}, cli.ExitFailed, []string{"no such file"}},
		"no YAML":     {[]string{"-f", manifestFile(t, "a: [\n"), "--image", "i"}, cli.ExitFailed, []string{"shop.yaml: document 1"}},
		"bad flag": {
			[]string{"--ca-secret", "A"},
			cli.ExitUsage,
			[]string{`expected the name of a Secret`},
		},
		"two CAs":       {[]string{"--image", "i", "--ca-secret", "a", "--ca-configmap", "b"}, cli.ExitUsage, []string{"--ca-secret and --ca-configmap: there can be one CA only"}},
		"no image":      {nil, cli.ExitUsage, []string{"--image is not set: pgorigin (devel) has no published image; build one, and write for example --image registry.example.com/pgorigin:v0.1.0"}},
		"unknown flag":  {[]string{"--upsteam", "x"}, cli.ExitUsage, []string{"upsteam"}},
		"an empty name": {[]string{"-f", "", "--image", "i"}, cli.ExitUsage, []string{"expected the name of a file"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := runWith(t, nil, append([]string{"inject"}, c.args...)...)
			if got.code != c.code || got.stdout != "" {
				t.Errorf("exit %d, want %d; stdout %q", got.code, c.code, got.stdout)
			}
			for _, want := range c.want {
				if !strings.Contains(got.stderr, want) {
					t.Errorf("no %q in %s", want, got.stderr)
				}
			}
		})
	}
}

// FuzzInjectedUpstream: pgorigin itself accepts every address that the injection contract accepts.
func FuzzInjectedUpstream(f *testing.F) {
	for _, seed := range []string{
		"a", "db.prod.svc:6432", "a,b:1,[::1]:65535", "1.2.3.4", "[fe80::1:2]", "[1:2:3:4:5:6:7:8],x.", "999.1.1.1", "1", "a,,b", "a:99999",
		"u:p@h", "[::]:1", "[1::2::3]", "a:0", "a-.b", "_x._y:09", "[::ffff:1.2.3.4]", strings.Repeat("a.", 130), strings.Repeat("a", 64),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if err := new(inject.Injector).Set("upstream", value); err != nil || value == "" {
			return
		}
		if _, _, problems := config.Load([]string{"PGORIGIN_LISTEN_ADDR=unix:/run/pgorigin", "PGORIGIN_UPSTREAM_ADDR=" + value}); len(problems) > 0 {
			t.Errorf("%q: %v", value, problems)
		}
	})
}

// FuzzInjectedOrigins: pgorigin starts with every list of origins that the injection contract accepts.
func FuzzInjectedOrigins(f *testing.F) {
	var most []string
	for i := range 32 {
		most = append(most, fmt.Sprintf("%d=a", 7000+i))
	}
	for _, seed := range []string{
		"6433=a", "6433=a.b:1,[::1] 1=1.2.3.4:65535", "6433=a 6433=b", "6432=a", "9632=a", "0=a", "65535=a", "65536=a", "06433=a", "a=a", "6433=",
		"1=[::]", "6433=localhost:6433", "6433=a  6434=b", " 6433=a", "6433=a=b", strings.Join(most, " "), strings.Join(most, " ") + " 1=a",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		problems := problemsOfInjected(t, map[string]string{"upstream": "db", "origins": value})
		// An upstream that is our own listener depends on two settings, which the contract does not compare.
		problems = slices.DeleteFunc(problems, func(p config.Problem) bool { return strings.Contains(p.Text, "our own") })
		if len(problems) > 0 {
			t.Errorf("%q: %v", value, problems)
		}
	})
}

// FuzzInjectedName: pgorigin starts with every name that the injection contract lets lead to it.
func FuzzInjectedName(f *testing.F) {
	for _, seed := range []string{
		"db", "db.prod:5433", "localhost", "a.localhost:1", "localhosts", "1", "1.a", "1.2.3.4", "a:9632", "A", "a_b", "a.", "a-.b", "a:65535",
		strings.Repeat("a", 64), strings.Repeat("a.", 123) + "b", strings.Repeat("a.", 123) + "b:65535",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if problems := problemsOfInjected(t, map[string]string{"intercept": value}); len(problems) > 0 {
			t.Errorf("%q: %v", value, problems)
		}
	})
}

// problemsOfInjected returns what pgorigin says about the environment of its container, or nothing if inject refuses the words.
func problemsOfInjected(t *testing.T, words map[string]string) []config.Problem {
	t.Helper()
	injector := new(inject.Injector)
	for word, text := range words {
		if injector.Set(word, text) != nil || text == "" {
			return nil
		}
	}
	if err := injector.Set("image", "i"); err != nil {
		t.Fatal(err)
	}
	out, _, err := injector.Inject([]byte(shopManifest))
	if err != nil { // such as a port twice
		return nil
	}
	var pod struct {
		Spec struct {
			InitContainers []struct {
				Env []struct{ Name, Value string }
			} `yaml:"initContainers"`
		}
	}
	if err := yaml.Unmarshal(out, &pod); err != nil {
		t.Fatal(err)
	}
	var env []string
	for _, v := range pod.Spec.InitContainers[0].Env {
		env = append(env, v.Name+"="+v.Value)
	}
	_, _, problems := config.Load(env)
	return problems
}

func TestHelpOfInjection(t *testing.T) {
	for _, name := range []string{"inject", "uninject", "webhook"} {
		golden.Compare(t, "testdata/help_"+name+".golden", runWith(t, nil, "help", name).stdout)
	}
}

// TestConfigMapDecidesNothingElse: what the ConfigMap of env-configmap sets changes neither where pgorigin listens nor how it
// verifies. Kubernetes lets the variables of the container win.
func TestConfigMapDecidesNothingElse(t *testing.T) {
	got := runWith(t, nil, "inject", "-f", manifestFile(t, shopManifest), "--upstream", "db.prod:6432",
		"--origins", "6433=reports.prod", "--env-configmap=more", "--image=x")
	var pod struct {
		Spec struct {
			InitContainers []struct {
				Env []struct{ Name, Value string }
			} `yaml:"initContainers"`
		}
	}
	if err := yaml.Unmarshal([]byte(got.stdout), &pod); err != nil || got.code != cli.ExitOK {
		t.Fatalf("%v, %+v", err, got)
	}
	for variables, want := range map[string]string{
		"LISTEN_ADDR=0.0.0.0:6432 LISTEN_ALLOW_NON_LOOPBACK=true 6433_LISTEN_ADDR=0.0.0.0:6433 6433_LISTEN_ALLOW_NON_LOOPBACK=true": "",
		"TLS_VERIFY=verify-ca 6433_TLS_VERIFY=verify-ca HEALTH_ADDR=:1 TLS_CA_PEM=x":                                                "TLS_CA_PEM",
		"ORIGINS=open OPEN_UPSTREAM_ADDR=db OPEN_LISTEN_ADDR=0.0.0.0:1 OPEN_LISTEN_ALLOW_NON_LOOPBACK=true":                         "there is no origin open",
		"ORIGINS=open OPEN_UPSTREAM_ADDR=db OPEN_LISTEN_ADDR=0.0.0.0:1 OPEN_LISTEN_ALLOW_NON_LOOPBACK=true UNKNOWN_ENV=ignore":      "",
		"UPSTREAM_ADDR=evil 6433_UPSTREAM_ADDR=evil TLS_VERIFY=verify-ca 6433_TLS_VERIFY=verify-ca ADMIN_ADDR=0.0.0.0:1":            "expected a loopback address",
	} {
		set := map[string]string{}
		for _, variable := range strings.Fields(variables) {
			name, value, _ := strings.Cut(variable, "=")
			set["PGORIGIN_"+name] = value
		}
		for _, v := range pod.Spec.InitContainers[0].Env {
			set[v.Name] = v.Value
		}
		var env []string
		for name, value := range set {
			env = append(env, name+"="+value)
		}
		shown := runWith(t, env, "config")
		if want != "" {
			if shown.code != cli.ExitConfig || !strings.Contains(shown.stderr, want) {
				t.Errorf("%s: exit %d, %s, want %s", variables, shown.code, shown.stderr, want)
			}
			continue
		}
		for _, never := range []string{"0.0.0.0", "verify-ca", "evil", "OPEN"} {
			if strings.Contains(shown.stdout, never) || shown.code != cli.ExitOK {
				t.Errorf("%s: exit %d with %s:\n%s%s", variables, shown.code, never, shown.stdout, shown.stderr)
			}
		}
	}
}
