//go:build admission

package admission

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/internal/kube"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

var (
	cases = flag.Int("cases", 600, "pods of TestEnginesAgree")
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "what TestEnginesAgree makes its pods from")
)

// tally counts what came of the cases.
type tally struct {
	sync.Mutex
	admitted, refused   int
	words, disagreeing  map[string]int // admitted pods by word; cases by kind
	reasons             map[string]int // refusals by their sentence without names
	charts              int            // values that helm and inject were given
	containers, ownAddr int            // configurations that pgorigin accepts; that connect to themselves
	tried               map[string]bool
}

// Random annotations, pods and defaults come to the same end by policy, webhook and `pgorigin inject`. What is admitted is a
// container that starts.
func TestEnginesAgree(t *testing.T) {
	words, err := kube.Words()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("repeat with -seed %d -cases %d", *seed, *cases)
	g := grammar{rand.New(rand.NewPCG(*seed, 0)), words}
	if modes, _, _ := offered(); !slices.Contains(modes, "policy") {
		without("policies that inject: the ways of injection were not compared on random pods")
		return
	}
	e := startEngines(t, words)
	folder := t.TempDir()
	count := &tally{words: map[string]int{}, disagreeing: map[string]int{}, reasons: map[string]int{}, tried: map[string]bool{}}
	mustAdmit(t, e.policy, manyContainers(t)) // API servers bound the cost of a policy
	began := time.Now()
	several := max(200, *cases/40) // that meet the same defaults, and one process of `pgorigin inject`
	for first := 0; first < *cases; first += several {
		if first > 0 {
			defaults, locked := g.defaults(), g.locked()
			if len(locked) > 0 {
				defaults["upstream"] = "db:5432" // pods may not be able to name one
			}
			e.setDefaults(t, defaults, locked)
		}
		pods := make([]kube.Object, min(several, *cases-first))
		for i := range pods {
			pods[i] = g.pod(fmt.Sprintf("case-%d", first+i))
		}
		e.compare(t, count, pods, folder)
	}
	e.compareCharts(t, g, count)
	took := time.Since(began)
	t.Logf("%d cases in %.0f s: %d admitted, %d refused; %d configurations accepted, %d that connect to themselves; %d values for the library chart",
		*cases, took.Seconds(), count.admitted, count.refused, count.containers, count.ownAddr, count.charts)
	for _, word := range slices.Sorted(maps.Keys(count.words)) {
		t.Logf("%6d admitted with %s", count.words[word], word)
	}
	for _, reason := range slices.Sorted(maps.Keys(count.reasons)) {
		t.Logf("%6d refused: %s", count.reasons[reason], reason)
	}
	for _, kind := range slices.Sorted(maps.Keys(count.disagreeing)) {
		t.Errorf("%6d %s", count.disagreeing[kind], kind)
	}
}

// compare gives pods to all ways.
func (e *engines) compare(t *testing.T, count *tally, pods []kube.Object, folder string) {
	t.Helper()
	ctx := within(t, 15*time.Minute)
	injected, err := e.inject(ctx, pods)
	if err != nil {
		t.Fatal(err)
	}
	next := make(chan int)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for i := range next {
				if err := e.compareOne(ctx, t, count, pods[i], injected[i], folder); err != nil {
					t.Errorf("%s: %v", describe(pods[i]), err)
				}
			}
		})
	}
	for i := range pods {
		next <- i
	}
	close(next)
	workers.Wait()
}

func (e *engines) compareOne(ctx context.Context, t *testing.T, count *tally, pod kube.Object, command written, folder string) error {
	policy, err := ask(ctx, e.policy, pod)
	if err != nil {
		return err
	}
	webhook, err := ask(ctx, e.webhook.pods, pod)
	if err != nil {
		return err
	}
	var byCommand verdict
	if command.problems == nil {
		if byCommand, err = ask(ctx, e.command, command.pod); err != nil {
			return err
		}
	}
	kind, text := disagreement(policy, webhook, byCommand, command.problems)
	if locked := e.lockedIn(pod); len(locked) > 0 {
		kind, text = lockedDisagrees(policy, webhook, locked)
	}
	if kind == "" && strings.Contains(policy.pod, ownImage) && len(policy.pod)%3 == 0 && !hasOurVolumes(pod) {
		if kind, text, err = e.requiredDisagrees(ctx, pod, policy); err != nil {
			return err
		}
	}
	if kind != "" {
		count.disagree(t, kind, fmt.Sprintf("%s\ndefaults %v\n%s", describe(pod), e.defaults, text))
	}
	if policy.pod != "" {
		if err := e.start(ctx, count, policy.pod, folder); err != nil {
			return err
		}
	}
	count.Lock()
	defer count.Unlock()
	if policy.pod == "" {
		count.refused++
		count.reasons[policy.reason()]++
		return nil
	}
	count.admitted++
	annotations, _ := pod.At("metadata", "annotations").(map[string]any)
	for key := range annotations {
		count.words[key]++
	}
	return nil
}

// hasOurVolumes reports whether the author has made a volume with a name of ours. Where the sidecar is required, that is refused.
func hasOurVolumes(pod kube.Object) bool {
	volumes, _ := pod.At("spec", "volumes").([]any)
	return slices.ContainsFunc(volumes, func(v any) bool { return strings.HasPrefix(nameOf(v), "pgorigin-") })
}

// disagree counts a disagreement, and shows the first ones of each kind.
func (c *tally) disagree(t *testing.T, kind, text string) {
	t.Helper()
	c.Lock()
	defer c.Unlock()
	if c.disagreeing[kind]++; c.disagreeing[kind] <= 3 {
		t.Errorf("%s\n%s", kind, text)
	}
}

// isNew reports whether a configuration is to be tried: a part of them is enough.
func (c *tally) isNew(env string) bool {
	c.Lock()
	defer c.Unlock()
	if c.tried[env] || len(c.tried) > *cases/4 {
		return false
	}
	c.tried[env] = true
	return true
}

func describe(pod kube.Object) string {
	text, err := json.Marshal(pod)
	if err != nil {
		return err.Error()
	}
	if len(text) > 3000 {
		return string(text[:3000]) + "..."
	}
	return string(text)
}

// start lets pgorigin read the environment of an injected container, in place of starting it.
func (e *engines) start(ctx context.Context, count *tally, pod, folder string) error {
	var admitted kube.Object
	if err := json.Unmarshal([]byte(pod), &admitted); err != nil {
		return err
	}
	if admitted.At("spec", "initContainers", 0, "image") != e.defaults["image"] {
		return nil
	}
	items, _ := admitted.At("spec", "initContainers", 0, "env").([]any)
	var env []string
	for _, item := range items {
		value, _ := item.(map[string]any)["value"].(string)
		if strings.HasPrefix(value, "/etc/pgorigin/") {
			value = filepath.Join(folder, value)
		}
		env = append(env, nameOf(item)+"="+value)
	}
	if !count.isNew(strings.Join(env, "\n")) {
		return nil
	}
	if err := count.writeCertificates(env, folder); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, shared.binary, "config")
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	count.Lock()
	defer count.Unlock()
	switch {
	case err == nil:
		count.containers++
	case strings.Contains(string(out), "expected another address than our own"):
		count.ownAddr++
	default:
		return fmt.Errorf("the container would not start: %w: %s", err, out)
	}
	return nil
}

// writeCertificates writes the files that an environment names. None is written twice, because others may read it.
func (c *tally) writeCertificates(env []string, folder string) error {
	c.Lock()
	defer c.Unlock()
	for _, variable := range env {
		name, path, _ := strings.Cut(variable, "=")
		if _, err := os.Stat(path); err == nil || !strings.HasPrefix(path, folder) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if name == "PGORIGIN_LISTEN_TLS_CA_FILE" { // pgorigin writes it
			continue
		}
		if name == "PGORIGIN_TLS_CA_FILE" {
			if err := os.WriteFile(path, shared.lab.CA.PEM(), 0o600); err != nil {
				return err
			}
		} else if _, _, err := shared.lab.ServerCertificate(tlstest.P256).WriteFiles(filepath.Dir(path), "tls"); err != nil {
			return err
		}
	}
	return nil
}

// manyContainers is a pod that costs a policy much.
func manyContainers(t *testing.T) kube.Object {
	t.Helper()
	pod := object(t, fmt.Sprintf(askingPod, "", ""))
	spec := pod["spec"].(map[string]any)
	for i := range 400 {
		spec["containers"] = append(spec["containers"].([]any), map[string]any{"name": fmt.Sprintf("web-%d", i), "image": "registry.example/web:1"})
	}
	return pod
}

// locked are some words that pods may have no annotation for.
func (g grammar) locked() (names []string) {
	if g.chance(50) {
		return nil
	}
	for range 1 + g.IntN(3) {
		if w := pick(g, g.words...); !w.DefaultOnly && !slices.Contains(names, w.Name) {
			names = append(names, w.Name)
		}
	}
	return names
}

// defaults are right ones, as the chart would accept them. None names a volume that each pod would need.
func (g grammar) defaults() map[string]string {
	all := map[string]string{}
	for _, w := range g.words {
		if w.Value == "" || w.Name == "listen-ca-volume" || strings.HasPrefix(w.Value, "resources.") || g.chance(60) || all[w.Excludes] != "" {
			continue
		}
		if len(w.Needs) > 0 && !slices.ContainsFunc(w.Needs, func(name string) bool { return all[name] != "" }) {
			continue
		}
		if value := g.right(w); w.Valid(value) && (w.Name != "origins" || !strings.Contains(value, " ")) { // each port once
			all[w.Name] = value
		}
	}
	if g.chance(80) {
		all["upstream"] = "db:5432"
	}
	if g.chance(30) {
		all["memory-limit"], all["cpu-request"], all["cpu-limit"] = "1Gi", pick(g, "1", "0.5", "100m"), pick(g, "1", "2", "1000m")
	}
	return all
}

// compareCharts gives the same random values to the library chart and, as flags, to inject.
func (e *engines) compareCharts(t *testing.T, g grammar, count *tally) {
	t.Helper()
	chart := webChart(t)
	pod := object(t, fmt.Sprintf(askingPod, "", ""))
	for range max(10, *cases/100) {
		words := map[string]string{"upstream": "db:5432", "image": "registry.example/pgorigin:v1"}
		for range g.IntN(5) {
			if w := pick(g, g.words...); w.Value != "" {
				words[w.Name] = strings.ReplaceAll(g.value(w), "\x00", "")
			}
		}
		values, err := kube.Variant{Defaults: words}.SidecarValues("pgorigin")
		if err != nil {
			t.Fatal(err)
		}
		objects, chartErr := shared.helms[0].Template(testContext(t), chart, shared.cluster.Version, values)
		e.defaults = words
		out, said, err := e.runInject(testContext(t), []kube.Object{pod})
		count.charts++
		switch {
		case (err == nil) != (chartErr == nil):
			count.disagree(t, "chart and inject: one refuses", fmt.Sprintf("%q\n%v\n%v\n%s", words, chartErr, err, said))
		case err != nil:
			if !sameRefusal(g.words, chartErr.Error(), said) {
				count.disagree(t, "chart and inject: another sentence", fmt.Sprintf("%q\n%v\n%s", words, chartErr, said))
			}
		default:
			byChart, err := ask(testContext(t), e.command, objects[0])
			byCommand, err2 := ask(testContext(t), e.command, object(t, out))
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			_, chartSpec, _ := strings.Cut(byChart.pod, `"spec": {`) // the labels differ
			_, commandSpec, _ := strings.Cut(byCommand.pod, `"spec": {`)
			if chartSpec != commandSpec || byChart.message != byCommand.message {
				count.disagree(t, "chart and inject: another pod", fmt.Sprintf("%q\n%s", words, difference(chartSpec+byChart.message, commandSpec+byCommand.message)))
			}
		}
	}
}

// sameRefusal reports whether the chart says what inject says. The schema of the chart speaks first, and about types.
func sameRefusal(words []kube.Word, chart, command string) bool {
	if strings.Contains(chart, "values don't meet the specifications of the schema") {
		return true
	}
	for _, w := range words {
		if w.Value != "" {
			command = regexp.MustCompile("--"+w.Name+`\b`).ReplaceAllString(command, "pgorigin."+w.Value)
		}
	}
	_, sentence, found := strings.Cut(command, "expected ")
	if !found {
		_, sentence, _ = strings.Cut(command, "inject: ")
	}
	sentence, _, _ = strings.Cut(sentence, "\n")
	return sentence != "" && strings.Contains(chart, sentence)
}
