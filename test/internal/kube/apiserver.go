package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// adminToken is the bearer token of system:masters in a Cluster.
const adminToken = "token-of-the-test-admin"

// Cluster is a real kube-apiserver with its etcd: no controllers, no kubelet, so that what is created is admitted and stored,
// and nothing more happens. The Lab that it was started in stops it.
type Cluster struct {
	*Client
	// Version is what the API server says that it is, as in v1.36.3, and Minor the 36 of that.
	Version string
	Minor   int
	// Kubeconfig is a file for Helm.
	Kubeconfig string
	// StartTime is how long both took until /readyz said ok.
	StartTime time.Duration

	// Process is the API server's.
	Process *servers.Process
}

// StartCluster starts etcd and the API server and returns when that is ready. Services get addresses in 127.96.0.0/24,
// which are this machine's: so the API server reaches a webhook through its Service, although nothing routes Services here.
func StartCluster(ctx context.Context, lab *servers.Lab) (*Cluster, error) {
	began := time.Now()
	dir := filepath.Join(lab.Dir(), "cluster")
	files, err := writeCredentials(lab, dir)
	if err != nil {
		return nil, err
	}
	etcd, err := startEtcd(ctx, lab, dir)
	if err != nil {
		return nil, err
	}
	path, err := KubernetesTool("kube-apiserver")
	if err != nil {
		return nil, err
	}
	port, err := lab.Port()
	if err != nil {
		return nil, err
	}
	process, addr, err := lab.Peer(ctx, "kube-apiserver", port, path,
		"--etcd-servers="+etcd, "--bind-address=127.0.0.1", "--secure-port="+port, "--cert-dir="+filepath.Join(dir, "certs"),
		"--tls-cert-file="+files.cert, "--tls-private-key-file="+files.key,
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+files.cert, "--service-account-signing-key-file="+files.key,
		"--service-cluster-ip-range=127.96.0.0/24", "--authorization-mode=RBAC", "--token-auth-file="+files.tokens,
		"--runtime-config=admissionregistration.k8s.io/v1beta1=true", // as on API servers from 1.34 that are to serve policies
		"--endpoint-reconciler-type=none")                            // a loopback address is no valid endpoint, and it would try for ever
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		Client: newClient(lab, "https://"+addr), Kubeconfig: filepath.Join(dir, "kubeconfig"), Process: process,
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-process.Ended():
			cancel(errors.New("it has ended"))
		case <-ctx.Done():
		}
	}()
	if err := servers.Poll(ctx, func() error { return c.ready(ctx) }); err != nil {
		return nil, fmt.Errorf("wait for the API server: %w; its log ends with:\n%s", err, process.Log.Tail(20))
	}
	c.StartTime = time.Since(began)
	says, err := c.Get(ctx, "/version")
	if err != nil {
		return nil, err
	}
	c.Version = fmt.Sprint(says["gitVersion"])
	if c.Minor, err = strconv.Atoi(fmt.Sprint(says["minor"])); err != nil {
		return nil, fmt.Errorf("read the API server's version: %w", err)
	}
	return c, c.writeKubeconfig(lab.CAFile)
}

// startEtcd returns the URL for clients.
func startEtcd(ctx context.Context, lab *servers.Lab, dir string) (url string, err error) {
	path, err := Tool("etcd")
	if err != nil {
		return "", err
	}
	var ports [2]string
	for i := range ports {
		if ports[i], err = lab.Port(); err != nil {
			return "", err
		}
	}
	url, peers := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	_, _, err = lab.Peer(ctx, "etcd", ports[0], path, "--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peers,
		"--initial-advertise-peer-urls", peers, "--initial-cluster", "default="+peers)
	return url, err
}

// credentials are the files that prove who is who: the server, the service accounts (by the same key), the admin.
type credentials struct{ cert, key, tokens string }

// writeCredentials makes the folder and the files in it.
func writeCredentials(lab *servers.Lab, dir string) (c credentials, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return c, fmt.Errorf("create folder: %w", err)
	}
	c.tokens = filepath.Join(dir, "tokens.csv")
	if err := os.WriteFile(c.tokens, []byte(adminToken+",admin,admin,system:masters\n"), 0o600); err != nil {
		return c, fmt.Errorf("write tokens: %w", err)
	}
	if c.cert, c.key, err = lab.ServerCertificate(tlstest.P256).WriteFiles(dir, "apiserver"); err != nil {
		return c, fmt.Errorf("write certificate: %w", err)
	}
	return c, nil
}

func (c *Cluster) writeKubeconfig(caFile string) error {
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: test, user: {token: %s}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
`, c.base, caFile, adminToken)
	if err := os.WriteFile(c.Kubeconfig, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}
