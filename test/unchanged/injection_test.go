//go:build unchanged

package unchanged

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// manifest is the pod of an application that is to be intercepted.
const manifest = `
apiVersion: v1
kind: Pod
metadata:
  name: shop
  annotations:
    pgorigin/intercept: ` + realName + `
    pgorigin/ca-secret: db-ca
    %s
spec:
  containers:
  - name: app
    image: shop
    volumeMounts: [{name: listen-ca, mountPath: /etc/postgres-ca}]
  volumes: [{name: listen-ca, emptyDir: {}}]
`

// injected is what the kubelet reads of a pod.
type injected struct {
	Spec struct {
		HostAliases []struct {
			IP        string
			Hostnames []string
		} `yaml:"hostAliases"`
		InitContainers []struct {
			Env []struct{ Name, Value string }
		} `yaml:"initContainers"`
	}
}

// Annotations that say which certificate clients see.
const (
	ownCA      = "pgorigin/listen-ca-volume: listen-ca"
	fromSecret = "pgorigin/listen-secret: listen"
)

// inject lets "pgorigin inject" change the manifest with more annotations, and does to the pod what the kubelet would.
// It returns the variables of pgorigin.
func (p *pod) inject(ctx context.Context, annotations ...string) (env []string, err error) {
	cmd := p.command(ctx, nil, shared.binary, "inject", "--image", "pgorigin")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(manifest, strings.Join(annotations, "\n    ")))
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("inject: %w", err)
	}
	var pod injected
	if err := yaml.Unmarshal(out, &pod); err != nil {
		return nil, fmt.Errorf("read the injected manifest: %w", err)
	}
	if len(pod.Spec.InitContainers) != 1 || len(pod.Spec.HostAliases) == 0 {
		return nil, fmt.Errorf("injected: %s", out)
	}
	hosts := localhost
	for _, alias := range pod.Spec.HostAliases {
		hosts += alias.IP + "\t" + strings.Join(alias.Hostnames, "\t") + "\n"
	}
	for _, variable := range pod.Spec.InitContainers[0].Env {
		switch path := variable.Value; {
		case variable.Name == "PGORIGIN_TLS_CA_FILE":
			variable.Value = shared.lab.CAFile
		case filepath.IsAbs(path): // a volume is the pod's folder
			variable.Value = filepath.Join(p.folder, filepath.Base(path))
		}
		env = append(env, variable.Name+"="+variable.Value)
	}
	return env, p.setHosts(hosts)
}

// caFile is the file of the CA that pgorigin makes.
func (p *pod) caFile() string { return filepath.Join(p.folder, "ca.crt") }

// addSecret puts a certificate that proves the real name into the pod.
func (p *pod) addSecret(pair *tlstest.Pair) error {
	for name, text := range map[string][]byte{"tls.crt": pair.CertPEM(), "tls.key": pair.KeyPEM()} {
		path := filepath.Join(p.folder, name)
		if err := errors.Join(os.WriteFile(path, text, 0o600), os.Chown(path, nobody, nobody)); err != nil {
			return fmt.Errorf("add a secret: %w", err)
		}
	}
	return nil
}
