//go:build image

package image

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// project is what test/compose prints of a compose file, as far as the files use it.
type project struct {
	Services map[string]service
	Configs  map[string]struct{ Content string }
	Volumes  map[string]any
}

type service struct {
	Image string
	Build struct {
		Inline string `json:"dockerfile_inline"`
	}
	Command     []string
	Environment map[string]*string
	DependsOn   map[string]struct{ Condition string } `json:"depends_on"`
	NetworkMode string                                `json:"network_mode"`
	ReadOnly    bool                                  `json:"read_only"`
	CapDrop     []string                              `json:"cap_drop"`
	SecurityOpt []string                              `json:"security_opt"`
	Configs     []struct{ Source, Target string }
	ExtraHosts  []string `json:"extra_hosts"`
	StopPeriod  string   `json:"stop_grace_period"`
	HealthCheck *healthCheck
	Volumes     []struct {
		Source, Target string
		ReadOnly       bool `json:"read_only"`
	}
}

type healthCheck struct {
	Test     []string
	Interval string
	Retries  int
	// Until it is healthy for the first time, at most StartPeriod, it is asked each StartInterval.
	StartPeriod   string `json:"start_period"`
	StartInterval string `json:"start_interval"`
}

// loadProject reads a compose file of the repository; env are the variables that it asks for.
func loadProject(ctx context.Context, t *testing.T, file string, env ...string) project {
	t.Helper()
	if !filepath.IsAbs(file) {
		file = filepath.Join("../..", file)
	}
	reader := exec.CommandContext(ctx, "go", append([]string{"-C", repository + "/test/compose", "run", ".", file}, env...)...)
	var problems bytes.Buffer
	reader.Stderr = &problems
	text, err := reader.Output()
	if err != nil {
		t.Fatalf("read %s: %v\n%s", file, err, problems.String())
	}
	var p project
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	demoFile      = "compose.demo.yaml"
	localFile     = "compose.yaml"
	interceptPage = "docs/how-to/intercept.md"
	serversImage  = "localhost/pgorigin-demo-servers:tested"
)

func TestDemoRuns(t *testing.T) {
	e, ctx := build(t), testContext(t)
	demo := loadProject(ctx, t, demoFile)
	servers := demo.Services["postgres"]
	if err := e.Build(ctx, serversImage, servers.Build.Inline); err != nil {
		t.Fatal(err)
	}
	s := newStack(t, e, demo, map[string]string{
		demo.Services["pgorigin"].Image: tested, servers.Image: serversImage, serversImage: serversImage,
	})
	psql := s.up(ctx, "psql")
	if code, err := psql.Wait(ctx); err != nil || code != 0 {
		t.Fatalf("psql ended with %d, %v", code, err)
	}
	log := psql.Logs(ctx)
	t.Log(log)
	for _, want := range []string{"SSL required", "hello through TLS"} {
		if !strings.Contains(log, want) {
			t.Errorf("psql does not say %q", want)
		}
	}
	s.checkRepeatable(ctx)
	t.Run(localFile, func(t *testing.T) { s.runLocal(ctx, t) })
	t.Run("exec", func(t *testing.T) { s.runExec(ctx, t) })
	s.serveDNS("pgbouncer", s.addresses["pgbouncer"])
	t.Run(interceptPage, func(t *testing.T) { s.runIntercepted(ctx, t, "PGORIGIN_UPSTREAM_ADDR: pgbouncer:6432") })
	t.Run("the URL for both", func(t *testing.T) { s.runIntercepted(ctx, t, "PGORIGIN_UPSTREAM_URL: ${DATABASE_URL}") })
}

// checkRepeatable runs the certificate generator again: it must leave alone what the servers have loaded.
func (s *stack) checkRepeatable(ctx context.Context) {
	s.t.Helper()
	fingerprint := []string{"exec", s.containers["pgbouncer"].Name, "sha256sum", "/certs/ca.crt", "/certs/server.crt"}
	before, err := s.engine.Podman(ctx, fingerprint...).Output()
	if err != nil {
		s.t.Fatal(err)
	}
	s.project.Services["certs-again"] = s.project.Services["certs"]
	if code, err := s.up(ctx, "certs-again").Wait(ctx); err != nil || code != 0 {
		s.t.Errorf("the generator's second run ended with %d, %v", code, err)
	}
	if after, err := s.engine.Podman(ctx, fingerprint...).Output(); err != nil || string(after) != string(before) {
		s.t.Errorf("the second run changed the certificates (%v):\n%s%s", err, before, after)
	}
}

// runLocal runs compose.yaml in front of the demo's pgbouncer, in the place of the demo's pgorigin, with a psql for an
// application, which has nothing but what the file gives it.
func (s *stack) runLocal(ctx context.Context, t *testing.T) {
	ca := s.demoCA(ctx)
	local := loadProject(ctx, t, localFile,
		"PGORIGIN_UPSTREAM_ADDR=pgbouncer:6432", "PGORIGIN_TLS_CA_PEM="+ca, "APP_IMAGE="+serversImage)
	app := local.Services["app"]
	app.Command = []string{"psql", "user=app password=demo dbname=postgres", "-Atc", "SELECT 'from the application'"}
	local.Services["app"] = app
	s.replace(local.Services, "psql", "pgorigin")
	s.checkApplication(ctx, t, "from the application")
}

// runIntercepted runs the file of the page about interception. The application has a URL with the name of the database in it,
// and asks for TLS. Its hosts file is pgorigin's, in which that name leads to pgorigin. DNS knows the real address.
// upstream is the line that says where the database is.
func (s *stack) runIntercepted(ctx context.Context, t *testing.T, upstream string) {
	const url = "postgres://app:demo@pgbouncer:6432/postgres?sslmode=require"
	page := interception(t, "pgbouncer:6432", upstream)
	file := loadProject(ctx, t, page, "PGORIGIN_TLS_CA_PEM="+s.demoCA(ctx), "APP_IMAGE="+serversImage, "DATABASE_URL="+url)
	app := file.Services["app"]
	app.Command = []string{"bash", "-euc", `getent ahosts pgbouncer | sort -u | head -1 | cut -d' ' -f1
		psql "$DATABASE_URL" -Atc "SELECT 'intercepted, ' || current_user"
		psql "$DATABASE_URL" -c '\conninfo' | grep -o 'SSL connection'`}
	file.Services["app"] = app
	s.replace(file.Services, "app", "pgorigin")
	s.checkApplication(ctx, t, "127.0.0.1\nintercepted, app\nSSL connection")
}

// interception writes the page about interception with another host and port, and with the line upstream. It returns its path.
func interception(t *testing.T, addr, upstream string) string {
	t.Helper()
	text := string(read(t, filepath.Join(repository, interceptPage)))
	host, port, _ := strings.Cut(addr, ":")
	text = strings.NewReplacer("PGORIGIN_UPSTREAM_ADDR: db.prod.example.com:5432\n", upstream+"\n",
		"db.prod.example.com", host, "127.0.0.1:5432", "127.0.0.1:"+port).Replace(text)
	if !strings.Contains(text, upstream) {
		t.Fatalf("the page has no place for %q", upstream)
	}
	path := filepath.Join(t.TempDir(), "intercept.md")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// demoCA is the CA of the demo's pgbouncer.
func (s *stack) demoCA(ctx context.Context) string {
	s.t.Helper()
	ca, err := s.engine.Podman(ctx, "exec", s.containers["pgbouncer"].Name, "cat", "/certs/ca.crt").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	return string(ca)
}

// checkApplication runs the service app after those that it depends on, and compares what it says.
func (s *stack) checkApplication(ctx context.Context, t *testing.T, want string) {
	t.Helper()
	c := s.up(ctx, "app")
	if code, err := c.Wait(ctx); err != nil || code != 0 {
		t.Fatalf("the application ended with %d, %v:\n%s\npgorigin:\n%s", code, err, c.Logs(ctx), s.containers["pgorigin"].Logs(ctx))
	}
	if log := c.Logs(ctx); log != want {
		t.Errorf("the application says %q, not %q", log, want)
	}
}
