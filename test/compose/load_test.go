package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// repository is the top of the tree, seen from here.
const repository = "../.."

const (
	demoFile      = repository + "/compose.demo.yaml"
	localFile     = repository + "/compose.yaml"
	interceptPage = repository + "/docs/how-to/intercept.md"
)

// What the files ask for.
var (
	localSettings     = []string{"PGORIGIN_UPSTREAM_ADDR=pgbouncer:6432", "APP_IMAGE=localhost/app"}
	interceptSettings = []string{"DATABASE_URL=postgres://db.prod.example.com/app", "APP_IMAGE=localhost/app"}
)

// mustLoad is load of a file that must be fine.
func mustLoad(t *testing.T, file string, env ...string) *types.Project {
	t.Helper()
	project, err := load(t.Context(), file, env...)
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestFilesAreValid(t *testing.T) {
	files := map[string][]string{demoFile: nil, localFile: localSettings, interceptPage: interceptSettings}
	for file, env := range files {
		t.Run(file, func(t *testing.T) {
			project := mustLoad(t, file, env...)
			for name, service := range project.Services {
				for dependency, how := range service.DependsOn {
					check := project.Services[dependency].HealthCheck
					if how.Condition == types.ServiceConditionHealthy && (check == nil || len(check.Test) == 0) {
						t.Errorf("%s waits for %s to be healthy, which has no health check", name, dependency)
					}
				}
				if other, ok := strings.CutPrefix(service.NetworkMode, types.NetworkModeServicePrefix); ok {
					if service.DependsOn[other].Condition != types.ServiceConditionHealthy {
						t.Errorf("%s uses the network of %s and does not wait until that is healthy", name, other)
					}
				}
			}
			pgorigin := project.Services["pgorigin"]
			checkHardened(t, pgorigin)
			checkCopied(t, pgorigin)
			if file != demoFile {
				checkOutlives(t, pgorigin)
			}
		})
	}
}

func checkHardened(t *testing.T, pgorigin types.ServiceConfig) {
	t.Helper()
	if !pgorigin.ReadOnly || !slices.Equal(pgorigin.CapDrop, []string{"ALL"}) || pgorigin.Privileged ||
		!slices.Equal(pgorigin.SecurityOpt, []string{"no-new-privileges:true"}) || pgorigin.User != "" {
		t.Error("pgorigin is not confined as docs/how-to/compose.md says")
	}
	dockerfile, err := os.ReadFile(repository + "/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	test, ready := cutLast(pgorigin.HealthCheck.Test, "--ready")
	if len(test) == 0 || test[0] != "CMD" || !strings.Contains(string(dockerfile), `CMD ["`+strings.Join(test[1:], `", "`)+`"]`) {
		t.Errorf("the health check %q is not the image's", test)
	}
	if !ready {
		t.Error("the health check does not ask whether pgorigin is ready")
	}
}

// cutLast returns words without the last one, and whether that was last.
func cutLast(words []string, last string) ([]string, bool) {
	if n := len(words) - 1; n >= 0 && words[n] == last {
		return words[:n], true
	}
	return words, false
}

// checkCopied fails when the file would do something else in the folder of another project.
func checkCopied(t *testing.T, pgorigin types.ServiceConfig) {
	t.Helper()
	if pgorigin.Build != nil {
		t.Errorf("the file builds %s, which is another project once the file is copied", pgorigin.Build.Context)
	}
	if pgorigin.Image != "pgorigin:dev" {
		t.Errorf("the image is %s, not the one that docs/how-to/compose.md makes", pgorigin.Image)
	}
}

// checkOutlives fails when pgorigin would stay away after a crash or become healthy late. Package test checks the grace period.
func checkOutlives(t *testing.T, pgorigin types.ServiceConfig) {
	t.Helper()
	check := pgorigin.HealthCheck
	if pgorigin.Restart != types.RestartPolicyUnlessStopped || pgorigin.StopGracePeriod == nil ||
		check.StartPeriod == nil || check.StartInterval == nil || *check.StartInterval >= *check.Interval {
		t.Error("restart, stop_grace_period, start_period or start_interval is missing")
	}
}

// The application's URL stays as it is. Only its host name leads elsewhere, for everything but pgorigin.
func TestInterceptedNameLeadsToPgorigin(t *testing.T) {
	project := mustLoad(t, interceptPage, interceptSettings...)
	app, pgorigin := project.Services["app"], project.Services["pgorigin"]
	name, port, _ := strings.Cut(*pgorigin.Environment["PGORIGIN_UPSTREAM_ADDR"], ":")
	if got := pgorigin.ExtraHosts[name]; !slices.Equal(got, []string{"127.0.0.1"}) {
		t.Errorf("%s leads to %v", name, got)
	}
	if len(app.ExtraHosts) > 0 || app.NetworkMode != "service:pgorigin" {
		t.Error("the application does not share pgorigin's network and hosts file")
	}
	for variable, want := range map[string]string{
		"PGORIGIN_LISTEN_ADDR": "127.0.0.1:" + port, "PGORIGIN_UPSTREAM_RESOLVER": "dns", "PGORIGIN_LISTEN_TLS": "self-signed",
		"PGORIGIN_AUTH_CHANNEL_BINDING": "bridge", // its URL has sslmode=require
	} {
		if got := pgorigin.Environment[variable]; got == nil || *got != want {
			t.Errorf("%s is not %s", variable, want)
		}
	}
	if len(app.Environment) != 1 || *app.Environment["DATABASE_URL"] != "postgres://db.prod.example.com/app" {
		t.Errorf("the application's environment is %v", app.Environment)
	}
}

func TestApplicationSharesTheLoopback(t *testing.T) {
	project := mustLoad(t, localFile, append(localSettings, "PGORIGIN_TLS_CA_PEM=pem")...)
	app, pgorigin := project.Services["app"], project.Services["pgorigin"]
	if app.NetworkMode != "service:pgorigin" || !app.DependsOn["pgorigin"].Restart {
		t.Error("the application does not share pgorigin's network, or outlives it")
	}
	if host := app.Environment["PGHOST"]; host == nil || *host != "127.0.0.1" {
		t.Error("the application is not told to use the loopback")
	}
	for _, port := range pgorigin.Ports {
		if port.HostIP != "127.0.0.1" || port.Target == 6432 {
			t.Errorf("port %d is published on %s", port.Target, port.HostIP)
		}
	}
	if pem := pgorigin.Environment["PGORIGIN_TLS_CA_PEM"]; pem == nil || *pem != "pem" {
		t.Error("the CA does not reach pgorigin")
	}
	if _, ok := pgorigin.Environment["PGORIGIN_TLS_SERVER_NAME"]; ok && pgorigin.Environment["PGORIGIN_TLS_SERVER_NAME"] != nil {
		t.Error("a variable that is not set reaches pgorigin")
	}
}

// A variable with no value is what Compose warns of.
func TestWarningIsAnError(t *testing.T) {
	file := t.TempDir() + "/compose.yaml"
	if err := os.WriteFile(file, []byte("services: {a: {image: \"a${NOBODY_SET_THIS}\"}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(t.Context(), file); err == nil || !strings.Contains(err.Error(), "NOBODY_SET_THIS") {
		t.Errorf("the error is %v", err)
	}
}

func TestMissingSettingIsNamed(t *testing.T) {
	for file, settings := range map[string][]string{localFile: localSettings, interceptPage: interceptSettings} {
		for i, setting := range settings {
			name, _, _ := strings.Cut(setting, "=")
			_, err := load(t.Context(), file, slices.Delete(slices.Clone(settings), i, i+1)...)
			if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "set it to") {
				t.Errorf("%s without %s: the error is %v", file, name, err)
			}
		}
	}
}

// The library's checks are on: what is misspelt is refused.
func TestMisspeltFileIsRefused(t *testing.T) {
	text, err := os.ReadFile(demoFile)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string][2]string{
		"nothing":    {"healthcheck:", "healthcheck:"},
		"key":        {"healthcheck:", "healthchek:"},
		"dependency": {"pgbouncer: {condition", "pgbounser: {condition"},
		"condition":  {"service_healthy", "service_wealthy"},
	} {
		broken := t.TempDir() + "/compose.yaml"
		if !bytes.Contains(text, []byte(change[0])) {
			t.Fatalf("%q is not in the file", change[0])
		}
		if err := os.WriteFile(broken, bytes.ReplaceAll(text, []byte(change[0]), []byte(change[1])), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := load(t.Context(), broken); (err == nil) != (what == "nothing") {
			t.Errorf("with a misspelt %s the error is %v", what, err)
		}
	}
}
