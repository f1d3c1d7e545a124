//go:build admission

package admission

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/internal/kube"
	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// replica is one pod of the webhook.
type replica struct {
	pod     kube.Object // its spec
	mounts  []*tlstest.Mount
	process *servers.Process
	address string
}

// replicas do what a cluster does with the webhook's Deployment and Service: they run pods, mount and update their volumes,
// and spread connections over those that are ready.
type replicas struct {
	*release

	mu    sync.Mutex
	ready []*replica
	turn  int
	open  map[*net.TCPConn]chan struct{} // closed when the API server has hung up
}

// run starts two pods behind the Service. The test's end stops them.
func (all *replicas) run(t *testing.T) {
	t.Helper()
	service := net.JoinHostPort(fmt.Sprint(all.get(t, "services", "pgorigin-webhook").At("spec", "clusterIP")), "443")
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", service)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go all.forward(conn.(*net.TCPConn))
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		for _, one := range all.ready {
			one.process.Stop()
		}
	})
	all.start(t)
	all.start(t)
}

// forward connects to the next ready pod, as kube-proxy does.
func (all *replicas) forward(near *net.TCPConn) {
	defer func() { _ = near.Close() }()
	ended := make(chan struct{})
	all.mu.Lock()
	all.turn++
	address := all.ready[all.turn%len(all.ready)].address
	all.open[near] = ended
	all.mu.Unlock()
	far, err := net.Dial("tcp", address)
	if err != nil {
		close(ended)
		return
	}
	go func() {
		_, _ = io.Copy(far, near)
		close(ended)
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
}

// hangUp ends all connections, so that the next review needs another handshake, with another pod. It returns when the API
// server knows.
func (all *replicas) hangUp() {
	all.mu.Lock()
	open := maps.Clone(all.open)
	clear(all.open)
	all.mu.Unlock()
	for conn, ended := range open {
		_ = conn.CloseWrite()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
		}
	}
}

// start runs one more pod, as the Deployment says now, and returns when it is ready.
func (all *replicas) start(t *testing.T) {
	t.Helper()
	one := &replica{pod: all.get(t, "deployments", "pgorigin-webhook").At("spec", "template", "spec").(map[string]any)}
	folder := t.TempDir()
	for i, mount := range one.pod.At("containers", 0, "volumeMounts").([]any) {
		dir := filepath.Join(folder, fmt.Sprint(mount.(map[string]any)["mountPath"]))
		if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
			t.Fatal(err)
		}
		mounted, err := tlstest.NewMount(dir, all.files(t, one.pod.At("volumes", i)))
		if err != nil {
			t.Fatal(err)
		}
		one.mounts = append(one.mounts, mounted)
	}
	address := podAddress()
	one.address = net.JoinHostPort(address, "8443")
	one.process = runContainer(t, one.pod.At("containers", 0).(map[string]any), folder, address)
	if err := servers.Poll(testContext(t), one.isReady); err != nil {
		t.Fatalf("wait for a pod of the webhook: %v; its log:\n%s", err, one.process.Log.Tail(10))
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	all.ready = append(all.ready, one)
}

// isReady asks /readyz, as a kubelet does.
func (one *replica) isReady() error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := client.Get("https://" + one.address + "/readyz")
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s %w", response.StatusCode, text, err)
	}
	return nil
}

// roll replaces each pod by one as the Deployment says now.
func (all *replicas) roll(t *testing.T) {
	t.Helper()
	all.mu.Lock()
	before := all.ready
	all.mu.Unlock()
	for _, one := range before {
		all.start(t)
		all.mu.Lock()
		all.ready = all.ready[1:]
		all.mu.Unlock()
		if err := one.process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		pause()
	}
}

// update writes what Secrets and ConfigMaps have now into the volumes of the pods, one pod after the other: each kubelet
// has a time of its own.
func (all *replicas) update(t *testing.T) {
	t.Helper()
	for _, one := range all.ready {
		for i, mounted := range one.mounts {
			if err := mounted.Swap(all.files(t, one.pod.At("volumes", i))); err != nil {
				t.Fatal(err)
			}
		}
		pause()
	}
}

// pause is long enough for several pods to be created.
func pause() { time.Sleep(300 * time.Millisecond) }

// createPods creates pods that ask, one after the other, with a new connection each, until the returned function is called.
// That returns how many were admitted with a sidecar, and what became of the others.
func (all *replicas) createPods(t *testing.T) (stop func() (admitted int, refused []string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	var admitted int
	var refused []string
	pod := object(t, fmt.Sprintf(askingPod, "", ""))
	began := time.Now()
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			got, err := admit(ctx, all.pods, pod)
			switch {
			case ctx.Err() != nil:
			case err != nil:
				refused = append(refused, fmt.Sprintf("after %.1f s: %v", time.Since(began).Seconds(), err))
			case names(got.At("spec", "initContainers")) != "pgorigin":
				refused = append(refused, "admitted without a sidecar")
			default:
				admitted++
			}
			all.hangUp()
		}
	}()
	return func() (int, []string) {
		cancel()
		<-ended
		return admitted, refused
	}
}
