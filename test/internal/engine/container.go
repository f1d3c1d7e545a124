package engine

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Container is what Start started. Remove ends it.
type Container struct {
	// Name is podman's name for it.
	Name string

	engine *Engine
}

// Start runs a container in the background; args are those of "podman run", from its flags to the image and its command.
// Limits are below what this machine allows, since raising them may not be allowed.
func (e *Engine) Start(ctx context.Context, args ...string) (*Container, error) {
	run := append([]string{"run", "--detach", "--pull=never", "--ulimit=nofile=20000:20000", "--ulimit=nproc=4096:4096"}, args...)
	id, err := output(e.Podman(ctx, run...))
	if err != nil {
		return nil, fmt.Errorf("start a container: %w", err)
	}
	return &Container{Name: id, engine: e}, nil
}

// Healthy runs the health check of the container's image once. An error says why it is not healthy.
func (c *Container) Healthy(ctx context.Context) error {
	_, err := output(c.engine.Podman(ctx, "healthcheck", "run", c.Name))
	return err
}

// Signal sends a signal such as "TERM" to the container's first process.
func (c *Container) Signal(ctx context.Context, signal string) error {
	_, err := output(c.engine.Podman(ctx, "kill", "--signal="+signal, c.Name))
	return err
}

// Wait returns the exit code when the container has ended.
func (c *Container) Wait(ctx context.Context) (int, error) {
	text, err := output(c.engine.Podman(ctx, "wait", c.Name))
	if err != nil {
		return 0, err
	}
	code, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("read exit code: %w", err)
	}
	return code, nil
}

// PID is the first process's id on this machine.
func (c *Container) PID(ctx context.Context) (string, error) {
	return c.engine.Inspect(ctx, c.Name, "{{.State.Pid}}")
}

// Logs is what it has printed, both streams.
func (c *Container) Logs(ctx context.Context) string {
	text, err := c.engine.Podman(ctx, "logs", c.Name).CombinedOutput()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}

// Remove ends the container, if it runs, and removes it.
func (c *Container) Remove() error {
	_, err := output(c.engine.Podman(context.Background(), "rm", "--force", "--time=5", "--volumes", c.Name))
	return err
}
