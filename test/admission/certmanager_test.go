//go:build admission

package admission

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/internal/kube"
)

// issue makes, or renews, the certificate of a Certificate object, as cert-manager does.
func (r *release) issue(t *testing.T, name string) {
	t.Helper()
	object := r.custom(t, "certificates", name)
	issuer := r.custom(t, "issuers", fmt.Sprint(object.At("spec", "issuerRef", "name")))
	secret := fmt.Sprint(object.At("spec", "secretName"))
	old, getErr := shared.cluster.Get(testContext(t), r.path("secrets", secret))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true,
	}
	if commonName, ok := object.At("spec", "commonName").(string); ok {
		template.Subject = pkix.Name{CommonName: commonName}
	}
	template.IsCA, _ = object.At("spec", "isCA").(bool)
	names, _ := object.At("spec", "dnsNames").([]any)
	for _, name := range names {
		template.DNSNames = append(template.DNSNames, fmt.Sprint(name))
	}
	var key crypto.Signer
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if getErr == nil && object.At("spec", "privateKey", "rotationPolicy") == "Never" {
		_, key = pairIn(t, old)
	}
	parent, signer := template, key // an Issuer of kind selfSigned
	if authority, ok := issuer.At("spec", "ca", "secretName").(string); ok {
		parent, signer = pairIn(t, r.get(t, "secrets", authority))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	root := parent.Raw
	if root == nil {
		root = der
	}
	r.writeSecret(t, secret, map[string][]byte{
		"ca.crt":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root}),
		"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	})
}

// inject does what cert-manager's cainjector does: it copies ca.crt of the Secret into the registration of a webhook that asks for it.
func (r *release) inject(t *testing.T) {
	t.Helper()
	webhook, err := shared.cluster.Get(testContext(t), registration)
	if err != nil {
		t.Fatal(err)
	}
	from, ok := webhook.At("metadata", "annotations", "cert-manager.io/inject-ca-from").(string)
	if !ok {
		return
	}
	if want := r.namespace + "/pgorigin-webhook"; from != want {
		t.Fatalf("the cainjector is to read %s, want %s", from, want)
	}
	bundle := r.get(t, "secrets", "pgorigin-webhook-tls").At("data", "ca.crt")
	for i := range webhook.At("webhooks").([]any) {
		webhook.At("webhooks", i, "clientConfig").(map[string]any)["caBundle"] = bundle
	}
	if _, err := shared.cluster.Update(testContext(t), registration+"?fieldManager=cainjector", webhook); err != nil {
		t.Fatal(err)
	}
}

const registration = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pgorigin-webhook"

// custom reads an object of cert-manager's.
func (r *release) custom(t *testing.T, kind, name string) kube.Object {
	t.Helper()
	o, err := shared.cluster.Get(testContext(t), fmt.Sprintf("/apis/cert-manager.io/v1/namespaces/%s/%s/%s", r.namespace, kind, name))
	if err != nil {
		t.Fatalf("read %s/%s: %v", kind, name, err)
	}
	return o
}

// pairIn decodes the first certificate and the key of a Secret.
func pairIn(t *testing.T, secret kube.Object) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	pair, err := tls.X509KeyPair(decoded(t, secret, "tls.crt"), decoded(t, secret, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf, pair.PrivateKey.(crypto.Signer)
}

func decoded(t *testing.T, secret kube.Object, key string) []byte {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(fmt.Sprint(secret.At("data", key)))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// writeSecret creates or replaces a Secret of type kubernetes.io/tls.
func (r *release) writeSecret(t *testing.T, name string, files map[string][]byte) {
	t.Helper()
	data := map[string]any{}
	for file, text := range files {
		data[file] = base64.StdEncoding.EncodeToString(text)
	}
	secret := kube.Object{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "data": data,
		"metadata": map[string]any{"name": name, "namespace": r.namespace},
	}
	_, err := shared.cluster.Update(testContext(t), r.path("secrets", name), secret)
	var status *kube.StatusError
	if errors.As(err, &status) && status.Code == 404 {
		_, err = shared.cluster.Create(testContext(t), r.path("secrets", ""), secret)
	}
	if err != nil {
		t.Fatalf("write Secret %s: %v", name, err)
	}
}
