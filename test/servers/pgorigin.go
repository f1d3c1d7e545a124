package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// modulePath is the first line of go.mod, by which the top of the repository is known.
const modulePath = "module github.com/pgorigin/pgorigin"

// Build compiles cmd/pgorigin into the Lab's folder and returns the binary's path. Flags go to "go build", for instance
// "-race".
func (l *Lab) Build(ctx context.Context, flags ...string) (string, error) {
	binary := filepath.Join(l.dir, "pgorigin")
	return binary, l.compile(ctx, nil, binary, "./cmd/pgorigin", flags)
}

// Compile compiles a package of this repository without cgo into the file binary, with flags for "go build".
func (l *Lab) Compile(ctx context.Context, binary, source string, flags ...string) error {
	return l.compile(ctx, append(os.Environ(), "CGO_ENABLED=0"), binary, source, flags)
}

func (l *Lab) compile(ctx context.Context, env []string, binary, source string, flags []string) error {
	top, err := Repository()
	if err != nil {
		return err
	}
	if err := touchSources(top); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"build"}, flags, []string{"-o", binary, source})...)
	cmd.Dir, cmd.Env = top, env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", source, err, out)
	}
	return nil
}

// Repository walks up from the working directory to the module's go.mod.
func Repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find repository: %w", err)
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), modulePath+"\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find repository: no go.mod of %s here or above", modulePath)
		}
		dir = parent
	}
}

// touchSources looks at every source file of the product: "go test" only knows that a cached result of the end-to-end
// suite is stale if the test itself opened what it depends on.
func touchSources(top string) error {
	return filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		_, err = os.Stat(path)
		return err
	})
}

// Origin is a running pgorigin.
type Origin struct {
	*Process
	// Addr is host:port of its plaintext listener.
	Addr string
	// Health is the base URL of its health endpoints.
	Health string
}

// Launch starts a pgorigin in front of upstream (host:port) and does not wait for anything. Entries of env override the
// Lab's own: listener and health on free ports, the Lab's CA, JSON logs.
func (l *Lab) Launch(binary, upstream string, env ...string) (*Origin, error) {
	port, err := l.Port()
	if err != nil {
		return nil, err
	}
	healthPort, err := l.Port()
	if err != nil {
		return nil, err
	}
	o := &Origin{Addr: "127.0.0.1:" + port, Health: "http://127.0.0.1:" + healthPort}
	o.Process, err = l.StartOrigin(binary, append([]string{
		"PGORIGIN_UPSTREAM_ADDR=" + upstream,
		"PGORIGIN_LISTEN_ADDR=" + o.Addr,
		"PGORIGIN_HEALTH_ADDR=127.0.0.1:" + healthPort,
		"PGORIGIN_TLS_CA_FILE=" + l.CAFile,
		"PGORIGIN_LOG_FORMAT=json",
	}, env...)...)
	return o, err
}

// Origin is Launch that returns when pgorigin is ready. ctx bounds the start only.
func (l *Lab) Origin(ctx context.Context, binary, upstream string, env ...string) (*Origin, error) {
	o, err := l.Launch(binary, upstream, env...)
	if err != nil {
		return nil, err
	}
	ready := func() error {
		select {
		case <-o.Ended():
			return nil
		default:
		}
		status, body, err := o.Get(ctx, "/readyz")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("/readyz answers %d %s", status, body)
		}
		return err
	}
	if err := PollEvery(ctx, time.Millisecond, ready); err != nil { // the benchmarks take the time
		return nil, fmt.Errorf("wait for pgorigin: %w; its log:\n%s", err, o.Log.Tail(20))
	}
	select {
	case <-o.Ended():
		return nil, fmt.Errorf("wait for pgorigin: it has ended; its log:\n%s", o.Log.Tail(20))
	default:
		return o, nil
	}
}

// StartOrigin starts a pgorigin with exactly this environment and does not wait for anything.
func (l *Lab) StartOrigin(binary string, env ...string) (*Process, error) {
	return l.StartCommand(binary, nil, env...)
}

// StartCommand is StartOrigin with arguments, such as "webhook".
func (l *Lab) StartCommand(binary string, args []string, env ...string) (*Process, error) {
	cmd := exec.CommandContext(context.Background(), binary, args...) // the Lab stops it
	cmd.Dir = l.dir
	// A binary with the race detector would sleep for a second before it exits.
	cmd.Env = append([]string{"GORACE=atexit_sleep_ms=10"}, env...)
	cmd.SysProcAttr = sysProcAttr(nil, syscall.SIGKILL)
	return l.start("pgorigin", cmd, syscall.SIGTERM, syscall.SIGTERM)
}

// Get asks a health endpoint.
func (o *Origin) Get(ctx context.Context, path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.Health+path, nil)
	if err != nil {
		return 0, "", fmt.Errorf("ask %s: %w", path, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", fmt.Errorf("ask %s: %w", path, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", fmt.Errorf("ask %s: %w", path, err)
	}
	return response.StatusCode, string(text), nil
}

// AwaitSession returns the fields of the first "session ended" log line that contains all of the given words.
func (o *Origin) AwaitSession(ctx context.Context, words ...string) (map[string]any, error) {
	line, err := o.Log.AwaitLine(ctx, slices.Concat([]string{`"session ended"`}, words)...)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		return nil, fmt.Errorf("read log line %q: %w", line, err)
	}
	return fields, nil
}
