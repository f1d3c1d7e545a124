//go:build unchanged

package unchanged

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// manifest is the pod of an application that is to be intercepted, with a mode of channel binding.
const manifest = `
apiVersion: v1
kind: Pod
metadata:
  name: shop
  annotations:
    pgorigin/intercept: ` + realName + `
    pgorigin/ca-secret: db-ca
    pgorigin/listen-ca-volume: listen-ca
    pgorigin/channel-binding: %s
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

// inject lets "pgorigin inject" change the manifest, and does to the pod what the kubelet would. It returns the
// variables of pgorigin, and the file of the CA that it makes.
func (p *pod) inject(ctx context.Context, mode string) (env []string, caFile string, err error) {
	cmd := p.command(ctx, nil, shared.binary, "inject", "--image", "pgorigin")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(manifest, mode))
	out, err := cmd.Output()
	if err != nil {
		return nil, "", fmt.Errorf("inject: %w", err)
	}
	var pod injected
	if err := yaml.Unmarshal(out, &pod); err != nil {
		return nil, "", fmt.Errorf("read the injected manifest: %w", err)
	}
	if len(pod.Spec.InitContainers) != 1 || len(pod.Spec.HostAliases) == 0 {
		return nil, "", fmt.Errorf("injected: %s", out)
	}
	hosts := localhost
	for _, alias := range pod.Spec.HostAliases {
		hosts += alias.IP + "\t" + strings.Join(alias.Hostnames, "\t") + "\n"
	}
	for _, variable := range pod.Spec.InitContainers[0].Env {
		// Volumes are folders here.
		switch variable.Name {
		case "PGORIGIN_TLS_CA_FILE":
			variable.Value = shared.lab.CAFile
		case "PGORIGIN_LISTEN_TLS_CA_FILE":
			caFile = filepath.Join(p.folder, filepath.Base(variable.Value))
			variable.Value = caFile
		}
		env = append(env, variable.Name+"="+variable.Value)
	}
	return env, caFile, p.setHosts(hosts)
}
