// Package engine builds container images and runs them without a daemon and without a registry: buildah and podman over
// an image store of their own, base images made from Debian's packages and this machine's Go. It needs root and Debian;
// the packages that it needs are installed by test/install.
package engine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The image store outlives a run, since its base images take minutes to make.
const (
	cache  = "/var/cache/pgorigin-image"
	state  = "/run/pgorigin-image"
	driver = "overlay"
)

// Engine is the programs with their store. Make it with New; there is nothing to close but what Run started.
type Engine struct {
	// Debian and Go are the base images, for Dockerfiles that take theirs as an argument.
	Debian, Go string

	platform string // of this machine
	modules  string // the cache's folder
}

// New finds the programs and makes the base images, if they are missing. Whatever is not there is an error.
// top is the repository.
func New(ctx context.Context, top string) (*Engine, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("images are built and run as root here: run this with sudo")
	}
	for _, program := range []string{"buildah", "podman", "runc", "debootstrap", "ip"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%w (test/install buildah podman runc debootstrap iproute2 installs it)", err)
		}
	}
	// Everything that a build may want has to be in the cache: builds have no proxy to ask.
	download := exec.CommandContext(ctx, "go", "mod", "download")
	download.Dir = top
	if _, err := output(download); err != nil {
		return nil, err
	}
	facts, err := output(exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOARCH", "GOMODCACHE"))
	if err != nil {
		return nil, err
	}
	fact := strings.Split(facts, "\n")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, fmt.Errorf("make the image store: %w", err)
	}
	e := &Engine{Debian: "localhost/debian:bookworm", Go: "localhost/golang:" + fact[0], platform: "linux/" + fact[1], modules: fact[2]}
	_, err = output(exec.CommandContext(ctx, filepath.Join(top, "test/internal/engine/bases"), e.buildah()...))
	return e, err
}

func (e *Engine) store(program string) []string {
	return []string{program, "--root", filepath.Join(cache, "store"), "--runroot", state, "--storage-driver", driver}
}

func (e *Engine) buildah() []string { return e.store("buildah") }

// Image runs "make image" in folder dir, with further variables such as "IMAGE=name". platform is one as "linux/arm64", empty
// that of this machine. Flags go to buildah. What is compiled goes to a cache of its own, so that it owes nothing to what was
// compiled elsewhere.
func (e *Engine) Image(ctx context.Context, dir, platform string, flags []string, variables ...string) error {
	flags = append([]string{
		"--isolation=chroot", "--format=docker", "--pull-never", "--quiet", "--platform=" + cmp.Or(platform, e.platform),
		"--build-arg=BUILDPLATFORM=" + e.platform, // this buildah does not know it by itself
		"--volume=" + e.modules + "/cache/download:/modules:ro", "--build-arg=BUILD_IMAGE=" + e.Go,
	}, flags...)
	cmd := exec.CommandContext(ctx, "make", append([]string{
		"--no-print-directory", "image", "ENGINE=" + strings.Join(e.buildah(), " "), "ENGINE_FLAGS=" + strings.Join(flags, " "),
	}, variables...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+cache)
	_, err := output(cmd)
	return err
}

// Build builds the image name from the text of a Dockerfile that copies nothing, on Debian as its argument BASE_IMAGE. A
// text that was built before costs nothing.
func (e *Engine) Build(ctx context.Context, name, dockerfile string) error {
	buildah := append(e.buildah(), "build", "--isolation=chroot", "--format=docker", "--pull-never", "--quiet", "--layers",
		"--build-arg=BASE_IMAGE="+e.Debian, "--tag="+name, "--file=-")
	cmd := exec.CommandContext(ctx, buildah[0], buildah[1:]...)
	cmd.Dir, cmd.Stdin = os.TempDir(), strings.NewReader(dockerfile)
	_, err := output(cmd)
	return err
}

// Podman is a podman command, not yet started.
func (e *Engine) Podman(ctx context.Context, args ...string) *exec.Cmd {
	podman := append(append(e.store("podman"), "--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=file"), args...)
	return exec.CommandContext(ctx, podman[0], podman[1:]...)
}

// Inspect asks podman about an image or a container by a Go template.
func (e *Engine) Inspect(ctx context.Context, name, template string) (string, error) {
	return output(e.Podman(ctx, "inspect", "--format", template, name))
}

// output runs a command and returns what it printed, without the last line end.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout = &stdout
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("run %s: %w\n%s%s", strings.Join(cmd.Args, " "), err, stdout.String(), stderr.String())
	}
	return strings.TrimSpace(stdout.String()), nil
}
