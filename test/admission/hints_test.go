//go:build admission

package admission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/pgorigin/pgorigin/test/servers"
)

// The author of a workload is told what does nothing, and what bypasses pgorigin. Nothing is refused.
func TestHints(t *testing.T) {
	modes, guard, _ := offered()
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			r := install(t, shared.helms[0], mode, "sidecar: {upstream: 'pgbouncer.prod:6432'}")
			if guard {
				awaitHint(t, r)
				run(t, "words", func(t *testing.T) { hintsOfWords(t, r) })
				run(t, "containers", func(t *testing.T) { hintsOfContainers(t, r) })
			} else {
				without("policies that warn: no author of a workload got a hint")
			}
			run(t, "pod", func(t *testing.T) { // of the policy or the webhook, and not of both
				pod := strings.Replace(fmt.Sprintf(askingPod, "", ""), `web:1"`, `web:1", env: [{name: URL, value: "postgres://u:secret@db/"}]`, 1)
				hinted(t, r, pod, `Pod web: container "web" bypasses pgorigin: URL has the host db: write 127.0.0.1:6432 there`)
			})
		})
	}
}

// author creates an object for the look of it, and returns the hints.
func author(ctx context.Context, t *testing.T, namespace, text string) []string {
	t.Helper()
	o := object(t, text)
	o["metadata"].(map[string]any)["namespace"] = namespace
	var hints []string
	client := *shared.cluster.Client
	client.Warned = func(text string) {
		_, hint, ok := strings.Cut(text, "with binding 'pgorigin-hints': ")
		if !ok {
			_, hint, ok = strings.Cut(text, "pgorigin: ") // of the webhook
		}
		if ok {
			hints = append(hints, strings.ReplaceAll(hint, namespace+"/", ""))
		}
	}
	if _, err := client.Create(ctx, collection(t, o)+"?dryRun=All", o); err != nil {
		t.Errorf("create %s: %v", text, err)
	}
	return hints
}

// deployment has the labels and annotations of its own metadata and of its template, and a container.
func deployment(own, template, container string) string {
	return fmt.Sprintf("{apiVersion: apps/v1, kind: Deployment, metadata: {name: web%s}, spec: {selector: {matchLabels: {app: web}}, "+
		"template: {metadata: %s, spec: {containers: [%s]}}}}", own, template, container)
}

const webContainer = `{name: web, image: "registry.example/web:1"}`

func awaitHint(t *testing.T, r *release) {
	t.Helper()
	ctx := soon(t)
	err := servers.Poll(ctx, func() error {
		if len(author(ctx, t, r.pods, deployment("", `{labels: {app: web, pgorigin/inject: "True"}}`, webContainer))) == 0 {
			return errors.New("no hint")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func hintsOfWords(t *testing.T, r *release) {
	const (
		template = `{metadata: {labels: {app: web, pgorigin/inject: "yes"}}, spec: {restartPolicy: %s, containers: [` + webContainer + `]}}`
		yes      = `label pgorigin/inject is "yes", which does nothing: write "true" or "false"`
	)
	always, never := fmt.Sprintf(template, "Always"), fmt.Sprintf(template, "Never")
	selector := "selector: {matchLabels: {app: web}}, "
	owner := ", ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: d, uid: u, controller: true}]"
	for _, row := range []struct{ about, object, want string }{
		{"all is well", deployment("", `{labels: {app: web, pgorigin/inject: "true"}, annotations: {pgorigin/upstream: db}}`, webContainer), ""},
		{"does not ask", deployment("", `{labels: {app: web, pgorigin/inject: "false"}}`, webContainer), ""},
		{"not about pgorigin", deployment("", "{labels: {app: web}}", webContainer), ""},
		{"wrong value", deployment("", `{labels: {app: web, pgorigin/inject: "True"}}`, webContainer), `Deployment web: label pgorigin/inject is "True", which does nothing: write "true" or "false"`},
		{
			"annotation in place of the label", deployment("", `{labels: {app: web}, annotations: {pgorigin/inject: "true"}}`, webContainer),
			"Deployment web: annotation pgorigin/inject does nothing: it is a label, so write it there",
		},
		{
			"no label", deployment("", `{labels: {app: web}, annotations: {pgorigin/upstream: db}}`, webContainer),
			`Deployment web: annotation pgorigin/upstream does nothing without the label pgorigin/inject: "true" at the same place`,
		},
		{
			"on the object itself", deployment(`, labels: {pgorigin/inject: "true"}`, "{labels: {app: web}}", webContainer),
			"Deployment web: label pgorigin/inject is on the object itself, where nothing reads it: move it to the metadata of the pod template",
		},
		{"a container that inject made", deployment("", "{labels: {app: web}, annotations: {pgorigin/upstream: db}}", webContainer+", {name: pgorigin, image: x}"), ""},
		{"of a controller", deployment(owner, `{labels: {app: web, pgorigin/inject: "True"}}`, webContainer), ""},
		{"Pod", strings.Replace(fmt.Sprintf(askingPod, "", ""), `"true"`, `"yes"`, 1), "Pod web: " + yes},
		{"ReplicaSet", "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web}, spec: {" + selector + "template: " + always + "}}", "ReplicaSet web: " + yes},
		{"StatefulSet", "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: web}, spec: {serviceName: web, " + selector + "template: " + always + "}}", "StatefulSet web: " + yes},
		{"DaemonSet", "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: web}, spec: {" + selector + "template: " + always + "}}", "DaemonSet web: " + yes},
		{"Job", "{apiVersion: batch/v1, kind: Job, metadata: {name: web}, spec: {template: " + never + "}}", "Job web: " + yes},
		{"CronJob", "{apiVersion: batch/v1, kind: CronJob, metadata: {name: web}, spec: {schedule: '@daily', jobTemplate: {spec: {template: " + never + "}}}}", "CronJob web: " + yes},
		{"PodTemplate", "{apiVersion: v1, kind: PodTemplate, metadata: {name: web}, template: " + always + "}", "PodTemplate web: " + yes},
		{
			"ReplicationController", "{apiVersion: v1, kind: ReplicationController, metadata: {name: web}, spec: {selector: {app: web}, template: " + always + "}}",
			"ReplicationController web: " + yes,
		},
	} {
		t.Run(row.about, func(t *testing.T) { hinted(t, r, row.object, row.want) })
	}
}

// hintsOfContainers are those of `pgorigin inject` and of the webhook.
func hintsOfContainers(t *testing.T, r *release) {
	top, err := servers.Repository()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(top, "cmd", "pgorigin", "internal", "inject", "testdata", "hints.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		About, Intercept, Want string
		Policy                 *string
		Container              map[string]any
	}
	if err := yaml.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		t.Run(row.About, func(t *testing.T) {
			row.Container["name"], row.Container["image"] = "web", "web:1"
			container, err := json.Marshal(row.Container)
			if err != nil {
				t.Fatal(err)
			}
			if row.Policy != nil {
				row.Want = *row.Policy
			}
			if row.Want != "" {
				row.Want = "Deployment web: " + row.Want
			}
			metadata := `{labels: {app: web, pgorigin/inject: "true"}}`
			if row.Intercept != "" {
				metadata = `{labels: {app: web, pgorigin/inject: "true"}, annotations: {pgorigin/intercept: ` + row.Intercept + `}}`
			}
			object := deployment("", metadata, string(container))
			hinted(t, r, object, row.Want)
		})
	}
}

func hinted(t *testing.T, r *release, object, want string) {
	t.Helper()
	wanted := []string{want}
	if want == "" {
		wanted = nil
	}
	if got := author(testContext(t), t, r.pods, object); !slices.Equal(got, wanted) {
		t.Errorf("got  %q\nwant %q", got, wanted)
	}
}
