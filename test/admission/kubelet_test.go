//go:build admission

package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// Every probe of the injected container, asked by the kubelet's own library of this version, from the pod as the API server
// returns it. That all ways of injection make these containers, other tests see.
func TestProbes(t *testing.T) {
	variants, err := kube.Variants()
	if err != nil {
		t.Fatal(err)
	}
	namespace := newNamespace(t, "")
	for _, v := range variants {
		run(t, v.About, func(t *testing.T) {
			pod := mustAdmit(t, namespace, golden(t, v))
			container := kube.Object(pod.At("spec", "initContainers", 0).(map[string]any))
			folder, address := t.TempDir(), podAddress()
			writeSecrets(t, container, folder)
			process := runContainer(t, container, folder, address, "PGORIGIN_LISTEN_ADDR="+address+":6432") // unless the container says another port
			t.Cleanup(process.Stop)
			ctx := soon(t)
			if err := servers.Poll(ctx, func() error { return probeAsKubelet(ctx, t, pod, address) }); err != nil {
				t.Fatalf("%v\nlog of pgorigin:\n%s", err, process.Log.Tail(10))
			}
		})
	}
}

// podAddress stands for a pod's own: the suite's processes are in one network, and several suites may run at a time.
func podAddress() string { return fmt.Sprintf("127.97.%d.%d", rand.IntN(256), 1+rand.IntN(254)) }

// runContainer runs the program as a kubelet runs a container: same arguments, same environment, but for what envFrom names.
// Mounts are below folder. What listens on all addresses or on 127.0.0.1 does so on the pod's. more is more environment. The
// caller stops it.
func runContainer(t *testing.T, container kube.Object, folder, address string, more ...string) *servers.Process {
	t.Helper()
	env := more
	for _, item := range container.At("env").([]any) {
		name := item.(map[string]any)["name"]
		value, _ := item.(map[string]any)["value"].(string)
		host, port, err := net.SplitHostPort(value)
		switch {
		case strings.HasPrefix(value, "/"):
			value = filepath.Join(folder, value)
		case err == nil && (host == "" || host == "127.0.0.1"):
			value = net.JoinHostPort(address, port)
		}
		env = append(env, fmt.Sprintf("%s=%s", name, value))
	}
	var args []string
	for _, arg := range container.At("args").([]any) {
		args = append(args, fmt.Sprint(arg))
	}
	process, err := shared.lab.StartCommand(shared.binary, args, env...)
	if err != nil {
		t.Fatal(err)
	}
	return process
}

// writeSecrets writes the files that a container's environment names, each where the container mounts something.
func writeSecrets(t *testing.T, container kube.Object, folder string) {
	t.Helper()
	pair := shared.lab.ServerCertificate(tlstest.P256)
	for _, item := range container.At("env").([]any) {
		path, _ := item.(map[string]any)["value"].(string)
		if !strings.HasPrefix(path, "/") {
			continue
		}
		mounts, _ := container["volumeMounts"].([]any)
		if !slices.ContainsFunc(mounts, func(m any) bool { return m.(map[string]any)["mountPath"] == filepath.Dir(path) }) {
			t.Errorf("nothing is mounted at the folder of %s", path)
		}
		text := shared.lab.CA.PEM()
		switch filepath.Base(path) {
		case "tls.crt":
			text = pair.CertPEM()
		case "tls.key":
			text = pair.KeyPEM()
		}
		if err := os.MkdirAll(filepath.Join(folder, filepath.Dir(path)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, path), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// probeAsKubelet asks every probe of a pod that has an address. An error says which failed.
func probeAsKubelet(ctx context.Context, t *testing.T, pod kube.Object, address string) error {
	t.Helper()
	kubelet, err := kube.KubernetesTool("kubeletprobes")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, kubelet, address)
	cmd.Stdin = strings.NewReader(string(text))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	t.Logf("%s", out)
	return nil
}

// forward does what Services do: connections to one address go to another.
func forward(t *testing.T, from, to string) {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = near.Close() }()
				far, err := new(net.Dialer).DialContext(t.Context(), "tcp", to)
				if err != nil {
					return
				}
				defer func() { _ = far.Close() }()
				go func() {
					_, _ = io.Copy(far, near)
					_ = far.Close()
				}()
				_, _ = io.Copy(near, far)
			}()
		}
	}()
}
