//go:build admission

package admission

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/internal/kube"
)

// The life of the webhook's certificate, as docs/how-to/webhook-certificate.md describes it. All the while, pods that ask
// are created, each over a new connection to the webhook: none is refused.
func TestCertificate(t *testing.T) {
	for _, helm := range shared.helms {
		namespace := newNamespace(t, "")
		_, err := helm.Run(testContext(t), "", "install", "pgorigin", chartPath(t, "pgorigin"), "--namespace", namespace, "--set", "injector.mode=webhook")
		want := "this cluster has no cert-manager, which makes the webhook's certificate: install it, or make a Secret with a certificate for pgorigin-webhook." + namespace + ".svc"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without cert-manager: %v, want %q", err, want)
		}
	}
	installCertManagerCRDs(t)
	for _, helm := range shared.helms {
		run(t, "helm "+helm.Version+"/own", func(t *testing.T) {
			c := newCertificateRig(t, helm)
			first := c.openssl(t, "first")
			c.writeSecret(t, "pgorigin-webhook-own", first)
			c.helmRun(t, "install", first["tls.crt"], "existingSecret=pgorigin-webhook-own")
			c.serve(t)
			second := c.renew(t, "second", first)

			c.step(t, "cert-manager takes over, with an Issuer of the own CA")
			mustCreate(t, "/apis/cert-manager.io/v1/namespaces/"+c.namespace+"/issuers", object(t,
				"{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: own}, spec: {ca: {secretName: pgorigin-webhook-own}}}"))
			c.helmRun(t, "upgrade", second["tls.crt"], "existingSecret=", "issuerRef.name=own")
			c.issue(t, "pgorigin-webhook")
			c.roll(t)
			c.step(t, "cert-manager renews")
			c.issue(t, "pgorigin-webhook")
			c.update(t)
			c.step(t, "back to the own Secret")
			c.helmRun(t, "upgrade", second["tls.crt"], "existingSecret=pgorigin-webhook-own")
			c.roll(t)
			c.step(t, "")
			c.noKeyInRelease(t)
		})
		run(t, "helm "+helm.Version+"/cert-manager", func(t *testing.T) {
			c := newCertificateRig(t, helm)
			c.helmRun(t, "install", nil)
			c.issue(t, "pgorigin-webhook-ca")
			c.issue(t, "pgorigin-webhook")
			c.inject(t)
			c.serve(t)

			c.step(t, "an upgrade of the chart")
			c.helmRun(t, "upgrade", nil)
			c.step(t, "cert-manager renews the certificate")
			c.issue(t, "pgorigin-webhook")
			c.inject(t)
			c.update(t)
			c.step(t, "cert-manager renews the CA, and the certificate later")
			c.issue(t, "pgorigin-webhook-ca")
			c.inject(t)
			pause()
			c.issue(t, "pgorigin-webhook")
			c.inject(t)
			c.update(t)

			c.step(t, "to an own Secret, with the certificate that cert-manager made last")
			secret := c.get(t, "secrets", "pgorigin-webhook-tls")
			own := map[string][]byte{"tls.crt": decoded(t, secret, "tls.crt"), "tls.key": decoded(t, secret, "tls.key")}
			authority := decoded(t, secret, "ca.crt")
			c.writeSecret(t, "pgorigin-webhook-own", own)
			c.helmRun(t, "upgrade", authority, "existingSecret=pgorigin-webhook-own")
			c.roll(t)
			c.taken = strings.HasPrefix(helm.Version, "v4.")
			c.renew(t, "third", map[string][]byte{"tls.crt": authority})
			c.step(t, "")
			c.noKeyInRelease(t)
		})
	}
}

// certificateRig is a release whose webhook runs while its certificate changes.
type certificateRig struct {
	*replicas
	dir      string
	stop     func() (int, []string)
	admitted int
	taken    bool // the CA bundle is also cert-manager's, and Helm 4 has to be told to take it
}

func newCertificateRig(t *testing.T, helm kube.Helm) *certificateRig {
	t.Helper()
	r := &release{helm: helm, mode: "webhook", namespace: newNamespace(t, ""), pods: newNamespace(t, "")}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if _, err := helm.Run(ctx, "", "uninstall", "pgorigin", "--namespace", r.namespace); err != nil {
			t.Error(err)
		}
		r.awaitEffect(t, false)
	})
	return &certificateRig{replicas: &replicas{release: r, open: map[*net.TCPConn]chan struct{}{}}, dir: t.TempDir()}
}

// openssl makes a pair by the command of the page.
func (c *certificateRig) openssl(t *testing.T, name string) map[string][]byte {
	t.Helper()
	cert, key := filepath.Join(c.dir, name+".crt"), filepath.Join(c.dir, name+".key")
	out, err := exec.CommandContext(testContext(t), "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-days", "3650", "-subj", "/CN=pgorigin-webhook", "-addext", "subjectAltName=DNS:pgorigin-webhook."+c.namespace+".svc",
		"-keyout", key, "-out", cert).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl: %v: %s", err, out)
	}
	files := map[string][]byte{}
	for name, path := range map[string]string{"tls.crt": cert, "tls.key": key} {
		if files[name], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// helmRun installs or upgrades. bundle is the CA bundle; nil leaves it as it is. sets are values of webhook.certificate.
func (c *certificateRig) helmRun(t *testing.T, command string, bundle []byte, sets ...string) {
	t.Helper()
	args := []string{command, "pgorigin", chartPath(t, "pgorigin"), "--namespace", c.namespace}
	if command == "upgrade" {
		args = append(args, "--reset-then-reuse-values")
	} else {
		args = append(args, "--set", "injector.mode=webhook,sidecar.upstream=pg.example:5432")
	}
	if bundle != nil {
		file := filepath.Join(c.dir, "bundle.crt")
		if err := os.WriteFile(file, bundle, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--set-file", "webhook.certificate.caBundle="+file)
	}
	for _, set := range sets {
		args = append(args, "--set", "webhook.certificate."+set)
	}
	if c.taken && bundle != nil {
		args = append(args, "--force-conflicts")
	}
	if _, err := c.helm.Run(testContext(t), "", args...); err != nil {
		t.Fatal(err)
	}
}

// serve starts the webhook and the creation of pods.
func (c *certificateRig) serve(t *testing.T) {
	t.Helper()
	c.run(t)
	c.awaitEffect(t, true)
	c.stop = c.createPods(t)
	pause()
}

// step ends one step, in which no pod may have been refused, and begins another.
func (c *certificateRig) step(t *testing.T, next string) {
	t.Helper()
	pause()
	admitted, refused := c.stop()
	if len(refused) > 0 {
		t.Errorf("%d pods admitted, %d refused, such as %s", admitted, len(refused), refused[0])
	}
	c.admitted += admitted
	if next == "" {
		note("pods created meanwhile by %s", fmt.Sprintf("%s: %d", t.Name(), c.admitted), 0)
		return
	}
	t.Log(next)
	c.stop = c.createPods(t)
}

// renew replaces the own pair as the page says.
func (c *certificateRig) renew(t *testing.T, name string, before map[string][]byte) map[string][]byte {
	t.Helper()
	next := c.openssl(t, name)
	c.step(t, "API servers trust both")
	c.helmRun(t, "upgrade", slices.Concat(before["tls.crt"], next["tls.crt"]))
	c.step(t, "the Secret changes, and reaches one pod after the other")
	c.writeSecret(t, "pgorigin-webhook-own", next)
	pause()
	c.update(t)
	c.step(t, "kubectl rollout restart")
	c.roll(t)
	c.step(t, "API servers trust the new one only")
	c.helmRun(t, "upgrade", next["tls.crt"])
	return next
}

// noKeyInRelease fails if Helm has a private key of the webhook in its record of the release.
func (c *certificateRig) noKeyInRelease(t *testing.T) {
	t.Helper()
	list, err := shared.cluster.Get(testContext(t), "/api/v1/namespaces/"+c.namespace+"/secrets")
	if err != nil {
		t.Fatal(err)
	}
	records := 0
	for _, item := range list["items"].([]any) {
		secret := kube.Object(item.(map[string]any))
		if secret["type"] != "helm.sh/release.v1" {
			continue
		}
		records++
		compressed, err := base64.StdEncoding.DecodeString(string(decoded(t, secret, "release")))
		if err != nil {
			t.Fatal(err)
		}
		record, err := gzip.NewReader(bytes.NewReader(compressed))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(record)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("inject.pgorigin.webhook")) {
			t.Errorf("that is no record of the release: %.200s", text)
		}
		for _, sign := range []string{"PRIVATE KEY", base64.StdEncoding.EncodeToString([]byte("-----BEGIN PRIVATE")), "kind: Secret\\n"} {
			if bytes.Contains(text, []byte(sign)) {
				t.Errorf("Helm's record of the release has %s", sign)
			}
		}
	}
	if records == 0 {
		t.Error("Helm has no record of the release")
	}
}
