//go:build admission

// Package admission installs the charts on a real API server, with Helm 3 and Helm 4, and creates pods there. Nothing runs
// these pods: there is no kubelet. What is seen is what a kubelet would be given.
package admission

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/internal/kube"
	"github.com/pgorigin/pgorigin/test/servers"
)

// shared is what all tests use: starting it takes longer than most of them.
var shared struct {
	lab     *servers.Lab
	cluster *kube.Cluster
	helms   []kube.Helm
	binary  string // pgorigin

	mu     sync.Mutex
	table  strings.Builder // printed at the end, and after it:
	ways   map[string]bool // what was installed
	warned map[string]int  // what the API server warned of, and how often
}

var builtAlready = flag.String("binary", "", "the pgorigin to test instead of one that is built from this tree")

func TestMain(m *testing.M) {
	flag.Parse()
	code := servers.RunSuite(m, func(ctx context.Context, lab *servers.Lab) (err error) {
		shared.lab = lab
		if shared.binary = *builtAlready; shared.binary == "" {
			if shared.binary, err = lab.Build(ctx); err != nil {
				return err
			}
		}
		if shared.helms, err = kube.Helms(lab.Dir()); err != nil {
			return err
		}
		if shared.cluster, err = kube.StartCluster(ctx, lab); err != nil {
			return err
		}
		shared.ways, shared.warned = map[string]bool{}, map[string]int{}
		shared.cluster.Warned = warned
		for i := range shared.helms {
			shared.helms[i].Kubeconfig, shared.helms[i].Warned = shared.cluster.Kubeconfig, warned
		}
		note("kube-apiserver %s with etcd ready", shared.cluster.Version, shared.cluster.StartTime)
		return nil
	})
	fmt.Print(shared.table.String())
	if shared.cluster != nil {
		for _, way := range slices.Sorted(maps.Keys(shared.ways)) {
			fmt.Printf("kube-apiserver %s  %s\n", shared.cluster.Version, way)
		}
		for _, text := range slices.Sorted(maps.Keys(shared.warned)) {
			fmt.Printf("kube-apiserver %s  warned %d times: %s\n", shared.cluster.Version, shared.warned[text], text)
			if strings.Contains(text, "deprecated") && !strings.Contains(text, "/v1beta1 ") { // of TestPolicyVersions
				fmt.Println("FAILED  nothing that the chart installs may be deprecated")
				code = 1
			}
		}
	}
	os.Exit(code)
}

func warned(text string) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.warned[text]++
}

// offered is what a version of Kubernetes has for the chart. Only this function knows that versions differ.
func offered() (modes []string, guard, v1beta1 bool) {
	modes = []string{"webhook"}
	if shared.cluster.Minor >= 36 {
		modes = []string{"policy", "webhook"}
	}
	return modes, shared.cluster.Minor >= 30, shared.cluster.Minor >= 34
}

// without notes what a version of Kubernetes lacks, and what did not run for that.
func without(what string) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.ways["without "+what] = true
}

// ran notes what is installed, and compares it with what there should be.
func ran(t *testing.T, r *release) {
	t.Helper()
	_, err := shared.cluster.Get(testContext(t), "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/pgorigin-guard")
	way := r.mode + " without guard"
	if err == nil {
		way = r.mode + " with guard"
	}
	if _, want, _ := offered(); (err == nil) != want {
		t.Errorf("installed %s: %v", way, err)
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.ways[fmt.Sprintf("%-21s helm %s", way, r.helm.Version)] = true
}

// note adds a line to the table that is printed at the end.
func note(format, what string, took time.Duration) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	fmt.Fprintf(&shared.table, "%-70s %6.2f s\n", fmt.Sprintf(format, what), took.Seconds())
}

// run is t.Run with a line in the table.
func run(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		began := time.Now()
		defer func() {
			result := "passed  %s"
			if t.Failed() {
				result = "FAILED  %s"
			}
			note(result, t.Name(), time.Since(began))
		}()
		test(t)
	})
}

// testContext ends with the test, or earlier when the test hangs.
func testContext(t *testing.T) context.Context { return within(t, 60*time.Second) }

// soon is for changes that API servers take up some tenths of a second after they are made.
func soon(t *testing.T) context.Context { return within(t, 20*time.Second) }

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errors.New("it takes too long"))
	t.Cleanup(cancel)
	return ctx
}

// object decodes one YAML document.
func object(t *testing.T, text string) kube.Object {
	t.Helper()
	objects, err := kube.Objects(text)
	if err != nil || len(objects) != 1 {
		t.Fatalf("decode one object: %v, got %d", err, len(objects))
	}
	return objects[0]
}

var namespaces struct {
	sync.Mutex
	count int
}

// newNamespace makes a namespace with the service account that a controller would make, and returns its name. It stays:
// without controllers none is ever gone.
func newNamespace(t *testing.T, labels string) string {
	t.Helper()
	namespaces.Lock()
	namespaces.count++
	name := fmt.Sprintf("shop-%d", namespaces.count)
	namespaces.Unlock()
	makeNamespace(t, name, labels)
	return name
}

func makeNamespace(t *testing.T, name, labels string) {
	t.Helper()
	mustCreate(t, "/api/v1/namespaces", object(t, fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %q, labels: {%s}}}", name, labels)))
	mustCreate(t, "/api/v1/namespaces/"+name+"/serviceaccounts", object(t, "{apiVersion: v1, kind: ServiceAccount, metadata: {name: default}}"))
}

func mustCreate(t *testing.T, path string, o kube.Object) kube.Object {
	t.Helper()
	created, err := shared.cluster.Create(testContext(t), path, o)
	if err != nil {
		t.Fatalf("create %v at %s: %v", o["kind"], path, err)
	}
	return created
}

// admit creates a pod for the look of it, stores nothing, and returns what the API server made of it.
func admit(ctx context.Context, namespace string, pod kube.Object) (kube.Object, error) {
	return shared.cluster.Create(ctx, "/api/v1/namespaces/"+namespace+"/pods?dryRun=All", pod)
}

// mustAdmit is admit of a pod that must be admitted.
func mustAdmit(t *testing.T, namespace string, pod kube.Object) kube.Object {
	t.Helper()
	admitted, err := admit(testContext(t), namespace, pod)
	if err != nil {
		t.Fatalf("the pod was refused: %v", err)
	}
	return admitted
}

// names are those of a list of objects, such as init containers.
func names(list any) string {
	var all []string
	items, _ := list.([]any)
	for _, item := range items {
		all = append(all, fmt.Sprint(item.(map[string]any)["name"]))
	}
	return strings.Join(all, " ")
}
