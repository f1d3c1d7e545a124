//go:build image

package image

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/internal/engine"
)

// stack runs the services of a project in a network namespace of its own, in which each has a loopback address of its own
// under its name. Image, command, environment, volumes, configs, hosts, confinement and health check are the file's.
type stack struct {
	t          *testing.T
	engine     *engine.Engine
	project    project
	name       string // of the namespace, and the beginning of all other names
	images     map[string]string
	addresses  map[string]string // of the services
	dns        string            // a DNS server for the next containers, empty for none
	containers map[string]*engine.Container
}

// newStack makes the namespace; images say what to run for an image of the file. All of it is gone when the test ends.
func newStack(t *testing.T, e *engine.Engine, project project, images map[string]string) *stack {
	t.Helper()
	s := &stack{
		t: t, engine: e, project: project, images: images,
		name:      fmt.Sprintf("pgorigin-compose-%d", os.Getpid()),
		addresses: map[string]string{}, containers: map[string]*engine.Container{},
	}
	for i, service := range slices.Sorted(maps.Keys(project.Services)) {
		s.addresses[service] = fmt.Sprintf("127.0.2.%d", i+1)
	}
	s.command("ip", "netns", "add", s.name)
	t.Cleanup(s.remove)
	s.command("ip", "netns", "exec", s.name, "ip", "link", "set", "lo", "up")
	return s
}

// up starts a service after those that it depends on, and waits for what they have to be.
func (s *stack) up(ctx context.Context, service string) *engine.Container {
	s.t.Helper()
	if c := s.containers[service]; c != nil {
		return c
	}
	config := s.project.Services[service]
	for name, how := range config.DependsOn {
		dependency := s.up(ctx, name)
		switch how.Condition {
		case "service_completed_successfully":
			if code, err := dependency.Wait(ctx); err != nil || code != 0 {
				s.t.Fatalf("%s ended with %d, %v:\n%s", name, code, err, dependency.Logs(ctx))
			}
		case "service_healthy":
			s.awaitHealthy(ctx, name)
		}
	}
	c, err := s.engine.Start(ctx, s.arguments(service, config)...)
	if err != nil {
		s.t.Fatalf("start %s: %v", service, err)
	}
	s.containers[service] = c
	return c
}

// awaitHealthy runs the service's health check as often as the file says: what a fresh container gets.
func (s *stack) awaitHealthy(ctx context.Context, service string) {
	s.t.Helper()
	check := s.project.Services[service].HealthCheck
	interval, times := s.duration(check.Interval), check.Retries
	if check.StartInterval != "" {
		interval = s.duration(check.StartInterval)
		times = int(s.duration(check.StartPeriod) / interval)
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var err error
	for range times {
		if err = s.containers[service].Healthy(ctx); err == nil {
			return
		}
		<-tick.C
	}
	s.t.Fatalf("%s is not healthy: %v\n%s", service, err, s.containers[service].Logs(ctx))
}

func (s *stack) duration(text string) time.Duration {
	s.t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatalf("read duration in the file: %v", err)
	}
	return d
}

// network says where a service is, and what its hosts file and its resolv.conf say. A service in the network of another one
// has that one's files: the engine refuses others.
func (s *stack) network(service service) []string {
	if owner, ok := strings.CutPrefix(service.NetworkMode, "service:"); ok {
		return []string{"--network=container:" + s.containers[owner].Name}
	}
	if service.NetworkMode == "none" {
		return []string{"--network=none"}
	}
	args := []string{"--network=ns:/run/netns/" + s.name}
	if s.dns != "" {
		args = append(args, "--dns="+s.dns)
	}
	names := map[string]bool{}
	for _, entry := range service.ExtraHosts {
		name, address, _ := strings.Cut(entry, "=")
		names[name] = true
		args = append(args, "--add-host="+name+":"+address)
	}
	for name, address := range s.addresses {
		if !names[name] {
			args = append(args, "--add-host="+name+":"+address)
		}
	}
	return args
}

// arguments turns a service into those of "podman run".
func (s *stack) arguments(name string, service service) []string {
	args := append([]string{"--name=" + s.name + "-" + name}, s.network(service)...)
	if service.StopPeriod != "" {
		args = append(args, fmt.Sprintf("--stop-timeout=%.0f", s.duration(service.StopPeriod).Seconds()))
	}
	if service.ReadOnly {
		args = append(args, "--read-only")
	}
	for _, capability := range service.CapDrop {
		args = append(args, "--cap-drop="+capability)
	}
	for _, option := range service.SecurityOpt {
		args = append(args, "--security-opt="+strings.TrimSuffix(option, ":true"))
	}
	for variable, value := range service.Environment {
		if value != nil {
			args = append(args, "--env="+variable+"="+*value)
		}
	}
	for _, volume := range service.Volumes {
		mode := "rw"
		if volume.ReadOnly {
			mode = "ro"
		}
		args = append(args, fmt.Sprintf("--volume=%s-%s:%s:%s", s.name, volume.Source, volume.Target, mode))
	}
	for _, config := range service.Configs {
		path := filepath.Join(s.t.TempDir(), config.Source)
		if err := os.WriteFile(path, []byte(s.project.Configs[config.Source].Content), 0o444); err != nil {
			s.t.Fatal(err)
		}
		args = append(args, "--volume="+path+":"+config.Target+":ro")
	}
	if check := service.HealthCheck; check != nil {
		if check.Test[0] != "CMD" {
			s.t.Fatalf("%s: health check %q", name, check.Test)
		}
		args = append(args, "--health-cmd="+`["`+strings.Join(check.Test[1:], `","`)+`"]`)
	}
	return append(append(args, s.images[service.Image]), service.Command...)
}

// replace removes services, those first that use the network of another one, and puts the services of a file in their place.
func (s *stack) replace(services map[string]service, gone ...string) {
	s.t.Helper()
	s.end(gone...)
	maps.Copy(s.project.Services, services)
}

// end removes the containers of services.
func (s *stack) end(services ...string) {
	s.t.Helper()
	borrows := func(service string) int {
		if strings.HasPrefix(s.project.Services[service].NetworkMode, "service:") {
			return 0
		}
		return 1
	}
	slices.SortFunc(services, func(a, b string) int { return borrows(a) - borrows(b) })
	for _, service := range services {
		c := s.containers[service]
		if c == nil {
			continue
		}
		if s.t.Failed() {
			s.t.Logf("%s:\n%s", service, c.Logs(context.Background()))
		}
		if err := c.Remove(); err != nil {
			s.t.Error(err)
		}
		delete(s.containers, service)
	}
}

// remove ends all containers and removes volumes and namespace.
func (s *stack) remove() {
	s.end(slices.Collect(maps.Keys(s.containers))...)
	for volume := range s.project.Volumes {
		if out, err := s.engine.Podman(context.Background(), "volume", "rm", "--force", s.name+"-"+volume).CombinedOutput(); err != nil {
			s.t.Errorf("remove volume: %v\n%s", err, out)
		}
	}
	if out, err := exec.Command("ip", "netns", "del", s.name).CombinedOutput(); err != nil {
		s.t.Errorf("remove namespace: %v\n%s", err, out)
	}
}

// serveDNS starts a DNS server that knows one name, for the containers that start from now on.
func (s *stack) serveDNS(name, address string) {
	s.t.Helper()
	s.dns = "127.0.2.53"
	server := exec.Command("ip", "netns", "exec", s.name, "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
		"--conf-file=/dev/null", "--pid-file=", "--user=root", "--bind-interfaces", "--listen-address="+s.dns,
		"--address=/"+name+"/"+address)
	if err := server.Start(); err != nil {
		s.t.Fatalf("start DNS server: %v", err)
	}
	s.t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // killed
	})
}

func (s *stack) command(name string, args ...string) {
	s.t.Helper()
	if out, err := exec.CommandContext(s.t.Context(), name, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}
