package inject

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// askedPods are new pods with the label that asks for injection.
func askedPods() map[string]string {
	const labels = `"labels": {"pgorigin/inject": "true"}`
	return map[string]string{
		"bare": `{"metadata": {"name": "bare", ` + labels + `}, "spec": {"containers": [{"name": "app", "image": "a"}]}}`,
		"everything is there": `{"metadata": {"generateName": "web-", ` + labels + `, "annotations": {"x": "y"}}, "spec": {
			"initContainers": [{"name": "migrate", "env": [{"name": "A", "value": "b"}]}, {"name": "own", "env": [{"name": "PGHOST"}]}],
			"containers": [{"name": "web", "env": []}, {"name": "log", "env": [{"name": "B"}, {"name": "C"}]}],
			"volumes": [{"name": "data"}]}}`,
		"null and empty": `{"metadata": {"name": "x", ` + labels + `, "annotations": {}}, "spec": {
			"initContainers": [], "containers": [{"name": "web", "env": []}], "volumes": []}}`,
		"own settings": `{"metadata": {"name": "x", ` + labels + `, "annotations": {"pgorigin/upstream": "other:5432",
			"pgorigin/client-env": "false", "pgorigin/client-secret": "own"}}, "spec": {"containers": [{"name": "web"}]}}`,
		"intercept":                      interceptPod(``),
		"intercept beside another name":  interceptPod(`"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}], `),
		"intercept joins an entry":       interceptPod(`"hostAliases": [{"ip": "::1", "hostnames": ["a"]}, {"ip": "127.0.0.1", "hostnames": ["b", "c"]}], `),
		"intercept joins an empty entry": interceptPod(`"hostAliases": [{"ip": "127.0.0.1"}], `),
		"intercept of a name that leads here": interceptPod(`"hostAliases": [{"ip": "127.0.0.1", "hostnames": ["b"]}, ` +
			`{"ip": "127.0.0.1", "hostnames": ["c", "db.prod"]}], `),
		"intercept and empty lists": interceptPod(`"hostAliases": [], `),
	}
}

// interceptPod has a name of its own for the database, and more in its spec.
func interceptPod(spec string) string {
	return `{"metadata": {"name": "x", "labels": {"pgorigin/inject": "true"}, "annotations": {"pgorigin/intercept": "db.prod"}},
		"spec": {` + spec + `"containers": [{"name": "web"}]}}`
}

// reviewOf wraps a pod as an API server does.
func reviewOf(object string) string {
	return `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u-1", "namespace": "shop", "operation": "CREATE",
		"kind": {"group": "", "version": "v1", "kind": "Pod"}, "dryRun": true, "object": ` + object + `}}`
}

// ask sends a review to i and decodes the answer.
func ask(t *testing.T, i *Injector, body string) (*response, Decision) {
	t.Helper()
	return askFor(t, i, body, false)
}

// askRequired is ask for a namespace that requires the sidecar.
func askRequired(t *testing.T, i *Injector, body string) (*response, Decision) {
	t.Helper()
	return askFor(t, i, body, true)
}

func askFor(t *testing.T, i *Injector, body string, required bool) (*response, Decision) {
	t.Helper()
	text, decision, err := i.review([]byte(body), required)
	if err != nil {
		t.Fatal(err)
	}
	var answer answeredReview
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatal(err)
	}
	if answer.APIVersion != reviewVersion || answer.Kind != "AdmissionReview" || answer.Response == nil || answer.Response.UID != "u-1" {
		t.Fatalf("answer %s", text)
	}
	return answer.Response, decision
}

// The webhook and inject turn the same pod into the same pod.
func TestReviewDoesWhatInjectDoes(t *testing.T) {
	for name, object := range askedPods() {
		t.Run(name, func(t *testing.T) {
			answer, decision := ask(t, testInjector(t), reviewOf(object))
			if !answer.Allowed || answer.PatchType != "JSONPatch" || !decision.Injected {
				t.Fatalf("answer %+v, decision %+v", answer, decision)
			}
			patched := applyPatch(t, object, answer.Patch)

			header := `{"apiVersion": "v1", "kind": "Pod", `
			text, _, err := testInjector(t).Inject([]byte(header + strings.TrimPrefix(object, "{")))
			if err != nil {
				t.Fatal(err)
			}
			injected := decodeJSON(t, text)
			delete(injected, "apiVersion")
			delete(injected, "kind")
			dropRecord(injected)
			dropRecord(patched)
			moveVolumes(injected)
			if !reflect.DeepEqual(patched, injected) {
				t.Errorf("webhook: %v\ninject:  %v", patched, injected)
			}

			again, decision := ask(t, testInjector(t), reviewOf(encodeJSON(t, patched)))
			if !again.Allowed || again.Patch != nil || decision.Skipped != "has the sidecar" {
				t.Errorf("second time: %+v, %+v", again, decision)
			}
		})
	}
}

// dropRecord removes what only a manifest has, for uninject, and annotations that are empty then.
func dropRecord(pod map[string]any) {
	meta := pod["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	if delete(annotations, recordName); len(annotations) == 0 {
		delete(meta, "annotations")
	}
}

// moveVolumes puts our volumes behind the others, as a patch does. Their order means nothing.
func moveVolumes(pod map[string]any) {
	spec := pod["spec"].(map[string]any)
	var ours, others []any
	for _, v := range spec["volumes"].([]any) {
		if strings.HasPrefix(v.(map[string]any)["name"].(string), "pgorigin-") {
			ours = append(ours, v)
		} else {
			others = append(others, v)
		}
	}
	spec["volumes"] = append(others, ours...)
}

// applyPatch is the part of RFC 6902 that our patches need. It is as strict: a parent must exist.
func applyPatch(t *testing.T, object string, patch []byte) map[string]any {
	t.Helper()
	var steps []struct {
		Op, Path string
		Value    any
	}
	if err := json.Unmarshal(patch, &steps); err != nil {
		t.Fatal(err)
	}
	root := decodeJSON(t, []byte(object))
	for _, step := range steps {
		if step.Op != "add" {
			t.Fatalf("step %+v", step)
		}
		keys := strings.Split(step.Path, "/")[1:]
		if add(root, keys, step.Value) == nil {
			t.Fatalf("step %+v has no place", step)
		}
	}
	return root
}

// add returns the collection with value in it, or nil.
func add(in any, keys []string, value any) any {
	key := strings.NewReplacer("~1", "/", "~0", "~").Replace(keys[0])
	switch c := in.(type) {
	case map[string]any:
		if len(keys) > 1 {
			value = add(c[key], keys[1:], value)
		}
		c[key] = value
		if value == nil {
			return nil
		}
		return c
	case []any:
		index, err := strconv.Atoi(key)
		switch {
		case key == "-" && len(keys) == 1:
			return append(c, value)
		case err != nil || index > len(c):
			return nil
		case len(keys) == 1:
			return append(append(append([]any{}, c[:index]...), value), c[index:]...)
		}
		c[index] = add(c[index], keys[1:], value)
		return c
	}
	return nil
}

func decodeJSON(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return object
}

func encodeJSON(t *testing.T, object any) string {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The webhook allows everything that does not ask for injection.
func TestReviewAllows(t *testing.T) {
	asked := askedPods()["bare"]
	for name, body := range map[string]string{
		"pod without the label":    reviewOf(`{"metadata": {"annotations": {"pgorigin/nonsense": ""}}}`),
		"label of another value":   reviewOf(`{"metadata": {"labels": {"pgorigin/inject": "yes"}}}`),
		"pod that has the sidecar": reviewOf(strings.Replace(asked, `"app"`, `"pgorigin"`, 1)),
		"object that is no pod":    reviewOf(`{"metadata": {"labels": 7}}`),
		"no object":                reviewOf(`null`),
		"an update":                strings.Replace(reviewOf(asked), "CREATE", "UPDATE", 1),
		"another kind":             strings.Replace(reviewOf(asked), `"Pod"`, `"Deployment"`, 1),
		"another version":          strings.Replace(reviewOf(asked), `"v1"`, `"v2"`, 1),
		"a subresource":            strings.Replace(reviewOf(asked), `"uid"`, `"subResource": "ephemeralcontainers", "uid"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			i := testInjector(t)
			i.broken = errTest
			answer, decision := ask(t, i, body)
			if !answer.Allowed || answer.Patch != nil || answer.PatchType != "" || decision.Skipped == "" {
				t.Errorf("answer %+v, decision %+v", answer, decision)
			}
		})
	}
}

// A body that is no review has no answer. The failure policy of the API server then decides.
func TestReviewRefusesOtherBodies(t *testing.T) {
	for _, body := range []string{
		"", "{}", "[]", `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}`,
		strings.Replace(reviewOf("{}"), "u-1", "", 1), strings.Replace(reviewOf("{}"), "io/v1", "io/v1beta1", 1),
	} {
		if text, _, err := testInjector(t).review([]byte(body), false); err == nil {
			t.Errorf("%q got %s", body, text)
		}
	}
}
