//go:build admission

package admission

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
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

	release  string // namespace of the policy's release
	defaults map[string]string
	count    int // of the defaults so far
}

// ownImage is the image of the sidecar without the end of its tag.
const ownImage = "registry.example/pgorigin:v"

// policyRelease is the name of the release with the policy. The one with the webhook is called pgorigin.
const policyRelease = "pgorigin-policy"

// startEngines installs the chart twice.
func startEngines(t *testing.T) *engines {
	t.Helper()
	e := &engines{policy: newNamespace(t, ""), command: newNamespace(t, ""), release: newNamespace(t, "")}
	e.webhook = install(t, shared.helms[0], "webhook", fmt.Sprintf(
		"{sidecar: {upstream: 'db:5432'}, injector: {excludedNamespaces: [kube-system, %s, %s]}}", e.policy, e.command))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if _, err := e.webhook.helm.Run(ctx, "", "uninstall", policyRelease, "--namespace", e.release); err != nil {
			t.Error(err)
		}
	})
	e.setDefaults(t, map[string]string{"upstream": "db:5432"})
	const bindings = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
	mustCreate(t, bindings, object(t, fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: guard-of-command}
spec:
  policyName: %s-guard
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s}}}`, policyRelease, e.command)))
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

// setDefaults gives both releases new defaults, and returns when they count. The tag of the image tells.
func (e *engines) setDefaults(t *testing.T, defaults map[string]string) {
	t.Helper()
	e.count++
	e.defaults = defaults
	e.defaults["image"] = fmt.Sprint(ownImage, e.count)
	values, err := kube.Variant{Defaults: defaults}.DefaultValues()
	if err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	upgraded := make(chan error, 1)
	go func() {
		_, err := e.webhook.helm.Run(ctx, values, "upgrade", policyRelease, chartPath(t, "pgorigin"), "--install", "--namespace", e.release, "--values", "-",
			"--set", fmt.Sprintf("injector.excludedNamespaces={kube-system,%s,%s}", e.webhook.pods, e.command))
		upgraded <- err
	}()
	e.webhook.helmRun(t, values+fmt.Sprintf("\ninjector: {excludedNamespaces: [kube-system, %s, %s]}", e.policy, e.command), "upgrade", chartPath(t, "pgorigin"))
	if err := <-upgraded; err != nil {
		t.Fatal(err)
	}
	e.webhook.mount(t)
	asking := object(t, fmt.Sprintf(askingPod, `, annotations: {pgorigin/upstream: "db:5432"}`, ""))
	for _, namespace := range []string{e.policy, e.webhook.pods} {
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

// verdict is what the API server says about a pod.
type verdict struct {
	pod     string // JSON; empty if it is refused
	message string
	hints   []string // about containers, of pgorigin's policies or webhook
}

// ask creates a pod for the look of it. What differs between any two pods is taken out of the answer.
func ask(ctx context.Context, namespace string, pod kube.Object) (verdict, error) {
	var hints []string
	client := *shared.cluster.Client
	client.Warned = func(text string) {
		if _, hint, ok := strings.Cut(text, ": Pod "); ok {
			_, hint, _ = strings.Cut(hint, ": ")
			hints = append(hints, hint)
		}
	}
	admitted, err := client.Create(ctx, "/api/v1/namespaces/"+namespace+"/pods?dryRun=All", pod)
	if status := new(kube.StatusError); errors.As(err, &status) && status.Code != 500 {
		return verdict{message: strings.ReplaceAll(status.Message, namespace+"/", "")}, nil
	}
	if err != nil {
		return verdict{}, err
	}
	metadata := admitted["metadata"].(map[string]any)
	for _, name := range []string{"uid", "creationTimestamp", "managedFields", "namespace", "generation"} {
		delete(metadata, name)
	}
	if _, ok := metadata["generateName"]; ok {
		delete(metadata, "name")
	}
	if annotations, ok := metadata["annotations"].(map[string]any); ok {
		delete(annotations, "pgorigin/injected") // the record of `pgorigin inject`; nobody else writes one
		if len(annotations) == 0 {
			delete(metadata, "annotations")
		}
	}
	if volumes, ok := admitted.At("spec", "volumes").([]any); ok { // their order means nothing
		slices.SortStableFunc(volumes, func(a, b any) int { return strings.Compare(nameOf(a), nameOf(b)) })
	}
	text, err := json.MarshalIndent(admitted, "", " ")
	return verdict{pod: tokenVolume.ReplaceAllString(string(text), "kube-api-access"), hints: hints}, err
}

var tokenVolume = regexp.MustCompile("kube-api-access-[a-z0-9]{5}")

func nameOf(item any) string { return fmt.Sprint(item.(map[string]any)["name"]) }

// sentence returns what the guard or the webhook of pgorigin says in a refusal.
func (v verdict) sentence() string {
	found := denied.FindStringSubmatch(v.message)
	if found == nil {
		return ""
	}
	return found[1]
}

var denied = regexp.MustCompile(`(?s)denied (?:the )?request: (?:pgorigin: )?Pod [^ ]*: (.*)$`)

// reason is a refusal without what differs from pod to pod.
func (v verdict) reason() string {
	reason := v.sentence()
	if reason == "" {
		_, reason, _ = strings.Cut(v.message, " is invalid: ")
	}
	if reason == "" {
		reason = v.message
	}
	reason = particulars.ReplaceAllString(reason, "…")
	return reason[:min(len(reason), 100)]
}

var particulars = regexp.MustCompile(`"[^"]*"|case-[0-9]+|[0-9]+|x-[0-9]+| and [0-9]+ more|spec[^ ]*`)

// disagreement compares what the ways make of a pod. It returns a kind, for counting, and both sides.
func disagreement(policy, webhook, command verdict, problems []string) (kind, text string) {
	differ := func(kind, a, b string) (string, string) { return kind, difference(a, b) }
	switch {
	case len(problems) == 0:
		for name, other := range map[string]verdict{"webhook": webhook, "inject": command} {
			switch {
			case policy.pod != other.pod:
				return differ("policy and "+name+": another pod", policy.pod+policy.message, other.pod+other.message)
			case policy.sentence() != other.sentence():
				return differ("policy and "+name+": another sentence", policy.message, other.message)
			}
		}
		if strings.Contains(command.pod, ownImage) { // the webhook warns about pods that it injects
			return hintsDisagree(policy.hints, webhook.hints)
		}
		return "", ""
	case policy.pod != "":
		return differ("only the policy admits", policy.pod, strings.Join(problems, "\n"))
	case webhook.pod != "":
		return differ("only the webhook admits", webhook.pod, strings.Join(problems, "\n"))
	}
	if s := policy.sentence(); s != "" && !slices.Contains(problems, s) || s == "" && !strings.Contains(policy.message, "is invalid") {
		return differ("policy and inject: another sentence", policy.message, strings.Join(problems, "\n"))
	}
	if s := webhook.sentence(); s != strings.Join(problems, "; ") && !strings.Contains(webhook.message, "is invalid") {
		return differ("webhook and inject: another sentence", webhook.message, strings.Join(problems, "\n"))
	}
	return "", ""
}

// hintsDisagree compares what the policy's hints and the webhook warn of. CEL names one of each kind.
func hintsDisagree(policy, webhook []string) (kind, text string) {
	past := func(hint string) bool { return strings.Contains(hint, " connects past pgorigin: ") }
	both := strings.Join(policy, "\n") + "\n---\n" + strings.Join(webhook, "\n")
	for _, hint := range policy {
		if !slices.Contains(webhook, hint) && !strings.Contains(hint, " cannot see where ") { // CEL is less exact there
			return "the policy warns of something else", both
		}
	}
	if slices.ContainsFunc(webhook, past) && !slices.ContainsFunc(policy, past) {
		return "only the webhook warns", both
	}
	return "", ""
}

// difference leaves out the lines with which two texts begin and end alike.
func difference(a, b string) string {
	left, right := strings.Split(a, "\n"), strings.Split(b, "\n")
	for len(left) > 1 && len(right) > 1 && left[0] == right[0] {
		left, right = left[1:], right[1:]
	}
	for len(left) > 1 && len(right) > 1 && left[len(left)-1] == right[len(right)-1] {
		left, right = left[:len(left)-1], right[:len(right)-1]
	}
	return strings.Join(left[:min(len(left), 40)], "\n") + "\n---\n" + strings.Join(right[:min(len(right), 40)], "\n")
}
