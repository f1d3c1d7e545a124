package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pgorigin/pgorigin/test/servers"
)

// Helm is one version of Helm.
type Helm struct {
	// Version is as in v4.3.1.
	Version string
	// Kubeconfig is the file that names the cluster; empty is none, for commands that work without.
	Kubeconfig string
	// Warned is called for each warning of the API server that Helm prints. It may be nil.
	Warned func(text string)

	path string
	home string // its caches and settings, instead of the user's
}

// Helms returns every version that test/admission/build made, in the order of their names; home is a folder for their
// caches. Fewer than two are an error: the charts promise Helm 3 and 4.
func Helms(home string) ([]Helm, error) {
	paths, err := tools("helm", "")
	if err != nil {
		return nil, err
	}
	if len(paths) < 2 {
		return nil, fmt.Errorf("found only %s: test/admission/build makes the other version", paths)
	}
	helms := make([]Helm, len(paths))
	for i, path := range paths {
		helms[i] = Helm{Version: version(path), path: path, home: home}
	}
	return helms, nil
}

// symlinkRemark is what both versions say about charts/pgorigin-sidecar, which charts have as a symbolic link.
var symlinkRemark = regexp.MustCompile(`(?m)^.*found symbolic link in path.*\n`)

// warning is one of the API server's, in a line of Helm's.
var warning = regexp.MustCompile(`(?m)"Warning: (.*)"$`)

// Run runs a command and returns what it printed; an error has that, too. stdin may be empty.
func (h Helm) Run(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, h.path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+h.home, "HELM_CONFIG_HOME="+h.home, "HELM_DATA_HOME="+h.home, "KUBECONFIG="+h.Kubeconfig)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	said := symlinkRemark.ReplaceAllString(stderr.String(), "")
	for _, found := range warning.FindAllStringSubmatch(said, -1) {
		if h.Warned != nil {
			h.Warned(found[1])
		}
	}
	if err != nil {
		return stdout.String(), fmt.Errorf("helm %s: %w: %s%s", args[0], err, said, stdout.String())
	}
	return stdout.String(), nil
}

// Template renders a chart for a version of Kubernetes, such as 1.36.0, with a document of values.
func (h Helm) Template(ctx context.Context, chart, kubernetes, values string) ([]Object, error) {
	return h.TemplateAs(ctx, "pgorigin", "pgorigin", chart, kubernetes, values)
}

// TemplateAs is Template of a release with a name, in a namespace.
func (h Helm) TemplateAs(ctx context.Context, release, namespace, chart, kubernetes, values string) ([]Object, error) {
	out, err := h.Run(ctx, values, "template", release, chart, "--namespace", namespace, "--kube-version", kubernetes, "--values", "-")
	if err != nil {
		return nil, err
	}
	return Objects(out)
}

// Chart returns the path of charts/NAME.
func Chart(name string) (string, error) {
	top, err := servers.Repository()
	if err != nil {
		return "", err
	}
	return filepath.Join(top, "charts", name), nil
}

// Object is any JSON or YAML object.
type Object map[string]any

// Objects decodes a stream of YAML documents, empty ones left out.
func Objects(stream string) ([]Object, error) {
	var objects []Object
	d := yaml.NewDecoder(strings.NewReader(stream))
	for {
		var o map[string]any // not Object: the decoder would make Objects of what is inside as well
		switch err := d.Decode(&o); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("decode YAML: %w", err)
		case o != nil:
			objects = append(objects, o)
		}
	}
}

// Find returns the first object of a kind whose name ends with the given letters, or nil.
func Find(objects []Object, kind, nameEnd string) Object {
	for _, o := range objects {
		name, _ := o.At("metadata", "name").(string)
		if o["kind"] == kind && strings.HasSuffix(name, nameEnd) {
			return o
		}
	}
	return nil
}

// At walks down by names of members (string) and indexes of lists (int); nil where there is nothing.
func (o Object) At(path ...any) any {
	var at any = map[string]any(o)
	for _, step := range path {
		switch step := step.(type) {
		case string:
			members, _ := at.(map[string]any)
			at = members[step]
		case int:
			list, _ := at.([]any)
			if step >= len(list) {
				return nil
			}
			at = list[step]
		}
	}
	return at
}
