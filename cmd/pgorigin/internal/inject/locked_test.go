package inject

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// An annotation for a locked word is refused, and changes nothing before that: it drops no other default.
func TestLockedWords(t *testing.T) {
	i := new(Injector)
	folder := fstest.MapFS{}
	for name, value := range map[string]string{
		"image": "x", "upstream": "db.prod", "server-name": "db.internal", "ca-secret": "ca", "locked": "upstream,ca-secret,ca-configmap,env-configmap\n",
	} {
		folder[name] = &fstest.MapFile{Data: []byte(value)}
	}
	if err := i.ReadDefaults(folder); err != nil {
		t.Fatal(err)
	}
	for _, word := range i.locked {
		settings, problems := i.settings(map[string]string{"pgorigin/" + word: "own", "pgorigin/log-level": "debug"})
		want := "annotation pgorigin/" + word + ": the platform has locked this setting: remove the annotation"
		if !slices.Equal(problems, []string{want}) {
			t.Errorf("%s: problems %q", word, problems)
		}
		if settings["upstream"] != "db.prod" || settings["server-name"] != "db.internal" || settings["ca-secret"] != "ca" || settings["log-level"] != "debug" {
			t.Errorf("%s: settings %v", word, settings)
		}
	}
}

// Where injection is required, a pod without any label gets the sidecar.
func TestRequiredInjection(t *testing.T) {
	r := newRig(t)
	body := reviewOf(`{"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web"}]}}`)
	for path, want := range map[string]string{"/inject": `"allowed":true}`, "/inject/required": `"patchType":"JSONPatch"`} {
		status, answer, _ := r.do(t, http.MethodPost, path, body)
		if status != http.StatusOK || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	answer, _ := askRequired(t, testInjector(t), body)
	patched := applyPatch(t, `{"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web"}]}}`, answer.Patch)
	if labels, _ := patched["metadata"].(map[string]any)["labels"].(map[string]any); labels[statusLabel] != injected {
		t.Errorf("patched to %v", patched)
	}
}
