//go:build admission

package admission

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/pgorigin/pgorigin/test/internal/kube"
	"github.com/pgorigin/pgorigin/test/servers"
)

// engines are the ways of injection, side by side on one API server. Each has a namespace of its own for pods.
type engines struct {
	policy  string   // namespace where a policy injects
	webhook *release // with r.pods
	command string   // namespace with the policy's guard only, for the output of `pgorigin inject`

	// Namespaces where each pod has to have the sidecar, one with the policy and one with the webhook.
	requiredPolicy, requiredWebhook string

	release  string // namespace of the policy's release
	defaults map[string]string
	words    []kube.Word
	locked   []string // names of words that pods may have no annotation for
	count    int      // of the defaults so far
}

// ownImage is the image of the sidecar without the end of its tag.
const ownImage = "registry.example/pgorigin:v"

// policyRelease is the name of the release with the policy. The one with the webhook is called pgorigin.
const policyRelease = "pgorigin-policy"

// startEngines installs the chart twice.
func startEngines(t *testing.T, words []kube.Word) *engines {
	t.Helper()
	const required = "pgorigin/inject: required"
	e := &engines{
		words:  words,
		policy: newNamespace(t, ""), command: newNamespace(t, ""), release: newNamespace(t, ""),
		requiredPolicy: newNamespace(t, required), requiredWebhook: newNamespace(t, required),
	}
	e.webhook = install(t, shared.helms[0], "webhook", "sidecar: {upstream: 'db:5432'}\n"+e.injector(e.policy, e.requiredPolicy))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if _, err := e.webhook.helm.Run(ctx, "", "uninstall", policyRelease, "--namespace", e.release); err != nil {
			t.Error(err)
		}
	})
	e.setDefaults(t, map[string]string{"upstream": "db:5432"}, nil)
	const bindings = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
	mustCreate(t, bindings, object(t, fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: guard-of-command}
spec:
  policyName: %s-guard
  validationActions: [Deny]
  matchResources:
    objectSelector: {matchLabels: {pgorigin/inject: "true"}}
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s}}`, policyRelease, e.command)))
	t.Cleanup(func() {
		if err := shared.cluster.Delete(context.WithoutCancel(t.Context()), bindings+"/guard-of-command"); err != nil {
			t.Error(err)
		}
	})
	wrong := object(t, fmt.Sprintf(askingPod, `, annotations: {pgorigin/unknown: "x"}`, ""))
	ctx := soon(t)
	for _, namespace := range []string{e.policy, e.command} {
		err := servers.Poll(ctx, func() error { return refusedAs(ctx, namespace, wrong, "no such annotation") })
		if err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// injector is the part of a release's values that keeps it out of the namespaces of the other one.
func (e *engines) injector(others ...string) string {
	return fmt.Sprintf("injector: {excludedNamespaces: [kube-system, %s, %s], locked: [%s]}\n",
		e.command, strings.Join(others, ", "), strings.Join(e.locked, ", "))
}

// setDefaults gives both releases new defaults and locked words, and returns when they count. The tag of the image tells.
func (e *engines) setDefaults(t *testing.T, defaults map[string]string, locked []string) {
	t.Helper()
	e.count++
	e.defaults, e.locked = defaults, locked
	e.defaults["image"] = fmt.Sprint(ownImage, e.count)
	values, err := kube.Variant{Defaults: defaults}.DefaultValues()
	if err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	upgraded := make(chan error, 1)
	go func() {
		_, err := e.webhook.helm.Run(ctx, values+e.injector(e.webhook.pods, e.requiredWebhook), "upgrade", policyRelease, chartPath(t, "pgorigin"),
			"--install", "--namespace", e.release, "--values", "-")
		upgraded <- err
	}()
	e.webhook.helmRun(t, values+e.injector(e.policy, e.requiredPolicy), "upgrade", chartPath(t, "pgorigin"))
	if err := <-upgraded; err != nil {
		t.Fatal(err)
	}
	e.webhook.mount(t)
	upstream := `, annotations: {pgorigin/upstream: "db:5432"}`
	if len(locked) > 0 { // then the defaults have an upstream
		upstream = ""
	}
	asking := object(t, fmt.Sprintf(askingPod, upstream, ""))
	for _, namespace := range []string{e.policy, e.webhook.pods, e.requiredPolicy, e.requiredWebhook} {
		err := servers.Poll(ctx, func() error {
			pod, err := admit(ctx, namespace, asking)
			if err != nil {
				return err
			}
			if image := pod.At("spec", "initContainers", 0, "image"); image != defaults["image"] {
				return fmt.Errorf("image %v, want %s", image, defaults["image"])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// written is what `pgorigin inject` says about a pod: problems, or a pod.
type written struct {
	problems []string
	pod      kube.Object
}

// inject gives pods to one process. It refuses all of them if one has a problem, so the others go through a second one.
func (e *engines) inject(ctx context.Context, pods []kube.Object) (results []written, err error) {
	results = make([]written, len(pods))
	out, said, err := e.runInject(ctx, pods)
	if err != nil {
		return nil, err
	}
	if out == "" {
		var good []kube.Object
		var places []int
		for i, pod := range pods {
			if results[i].problems = problemsOf(said, pod); results[i].problems == nil {
				good, places = append(good, pod), append(places, i)
			}
		}
		if len(good) == len(pods) && len(pods) == 1 {
			results[0].problems = []string{said}
			return results, nil
		}
		if len(good) == len(pods) { // the stream as a whole is refused
			for i := range pods {
				one, err := e.inject(ctx, pods[i:i+1])
				if err != nil {
					return nil, err
				}
				results[i] = one[0]
			}
			return results, nil
		}
		if len(good) == 0 {
			return results, nil
		}
		rest, err := e.inject(ctx, good)
		for i, place := range places {
			results[place] = rest[i]
		}
		return results, err
	}
	objects, err := kube.Objects(out)
	if err != nil || len(objects) != len(pods) {
		return nil, fmt.Errorf("inject made %d objects of %d, %w", len(objects), len(pods), err)
	}
	for i := range objects {
		results[i].pod = objects[i]
	}
	return results, nil
}

// runInject returns both outputs of one process. The defaults are its flags.
func (e *engines) runInject(ctx context.Context, pods []kube.Object) (out, said string, err error) {
	var stream, stdout, stderr bytes.Buffer
	for _, pod := range pods {
		text, err := yaml.Marshal(map[string]any(pod))
		if err != nil {
			return "", "", err
		}
		stream.Write(append(text, "---\n"...))
	}
	args := []string{"inject"}
	for word, value := range e.defaults {
		args = append(args, "--"+word, value)
	}
	cmd := exec.CommandContext(ctx, shared.binary, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &stream, &stdout, &stderr
	err = cmd.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil
	}
	return stdout.String(), stderr.String(), err
}

// problemsOf finds the problems with one pod in what inject said.
func problemsOf(said string, pod kube.Object) (problems []string) {
	name, ok := pod.At("metadata", "name").(string)
	if !ok {
		name = fmt.Sprint(pod.At("metadata", "generateName"), "*")
	}
	for line := range strings.Lines(said) {
		if text, ok := strings.CutPrefix(line, "pgorigin: inject: Pod "+name+": "); ok {
			problems = append(problems, strings.TrimSuffix(text, "\n"))
		}
	}
	return problems
}
