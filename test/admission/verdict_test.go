//go:build admission

package admission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/test/internal/kube"
)

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

// lockedIn returns the sentences about a pod's annotations for locked words. With a word, the words that would replace its
// default or refine it are locked, and env-configmap, which could set most of them.
func (e *engines) lockedIn(pod kube.Object) (sentences []string) {
	if len(e.locked) == 0 || pod.At("metadata", "labels", "pgorigin/inject") != "true" {
		return nil
	}
	locked := append([]string{"env-configmap"}, e.locked...)
	for _, w := range e.words {
		if slices.Contains(e.locked, w.Name) {
			locked = append(locked, w.ReplacedBy...)
		}
		if slices.ContainsFunc(w.Needs, func(name string) bool { return slices.Contains(e.locked, name) }) {
			locked = append(locked, w.Name)
		}
	}
	if slices.Contains(locked, "upstream") {
		locked = append(locked, "origins")
	}
	annotations, _ := pod.At("metadata", "annotations").(map[string]any)
	for key := range annotations {
		if name, ours := strings.CutPrefix(key, "pgorigin/"); ours && slices.Contains(locked, name) {
			sentences = append(sentences, "annotation "+key+": the platform has locked this setting: remove the annotation")
		}
	}
	return sentences
}

// lockedDisagrees compares refusals of locked words, which `pgorigin inject` does not know.
func lockedDisagrees(policy, webhook verdict, sentences []string) (kind, text string) {
	both := policy.pod + policy.message + "\n---\n" + webhook.pod + webhook.message
	says := func(v verdict) func(string) bool {
		return func(sentence string) bool { return strings.Contains(v.message, sentence) }
	}
	invalid := strings.Contains(policy.message, " is invalid: ")
	switch {
	case policy.pod != "" || webhook.pod != "":
		return "a locked word is admitted", both
	case !invalid && !strings.Contains(webhook.message, policy.sentence()):
		return "policy and webhook: another sentence about a locked word", both
	// The guard says one sentence, and that about an unknown annotation comes first. It speaks alone if the pod has a
	// container of our name.
	case !invalid && !slices.ContainsFunc(sentences, says(webhook)) && !says(webhook)(": no such annotation"):
		return "no sentence about a locked word", both
	}
	return "", ""
}

// requiredDisagrees asks where each pod has to have the sidecar. There the label is not needed.
func (e *engines) requiredDisagrees(ctx context.Context, pod kube.Object, asked verdict) (kind, text string, err error) {
	metadata := maps.Clone(pod["metadata"].(map[string]any))
	metadata["labels"] = map[string]any{"app": "web"}
	silent := kube.Object{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}
	want := strings.Replace(asked.pod, "   \"pgorigin/inject\": \"true\",\n", "", 1)
	for _, namespace := range []string{e.requiredPolicy, e.requiredWebhook} {
		got, err := ask(ctx, namespace, silent)
		if err != nil {
			return "", "", err
		}
		if got.pod != want {
			return "another pod where the sidecar is required", difference(want, got.pod+got.message), nil
		}
	}
	return "", "", nil
}

// hintsDisagree compares what the policy's hints and the webhook warn of. CEL names one of each kind.
func hintsDisagree(policy, webhook []string) (kind, text string) {
	past := func(hint string) bool { return strings.Contains(hint, " bypasses pgorigin: ") }
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
