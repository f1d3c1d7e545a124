// Package kube runs what the tests of charts and injection need of Kubernetes: Helm in two versions and a real API server
// with etcd on loopback. test/admission/build makes these programs; nothing here downloads anything.
package kube

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Tool returns the path of a program or file that test/admission/build made. name is its name there without the version;
// where there are several versions, the last in the order of their names wins.
func Tool(name string) (string, error) {
	found, err := tools(name, "")
	if err != nil {
		return "", err
	}
	return found[len(found)-1], nil
}

// KubernetesTool is Tool for what belongs to a version of Kubernetes: that of KUBERNETES in the environment, such as 1.29,
// or else the one that CI tests.
func KubernetesTool(name string) (string, error) {
	found, err := tools(name, cmp.Or(os.Getenv("KUBERNETES"), "1.36")+".")
	if err != nil {
		return "", err
	}
	return found[len(found)-1], nil
}

// tools returns all versions of a tool that begin so, in the order of their names.
func tools(name, beginning string) ([]string, error) {
	folder := os.Getenv("KUBE_TOOLS")
	if folder == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find tools: %w", err)
		}
		folder = filepath.Join(cache, "pgorigin-tools")
	}
	if path := filepath.Join(folder, name); exists(path) {
		return []string{path}, nil
	}
	pattern := name + "-v" + beginning + "*"
	found, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("find %s in %s: %w", pattern, folder, errors.Join(err, errors.New("not there; test/admission/build makes it")))
	}
	return found, nil
}

// version is what stands behind the last "-v" of a tool's path.
func version(path string) string {
	return path[strings.LastIndex(path, "-v")+1:]
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
