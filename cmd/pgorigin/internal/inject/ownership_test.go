package inject

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const ownedPod = `apiVersion: v1
kind: Pod
metadata:
  name: shop
spec:
  initContainers:
  - name: migrate
    image: shop:1
  containers:
  - name: web
    image: shop:1
    env:
    - name: COLOR
      value: green
`

// injectedPod is ownedPod after inject, with an edit by its user.
func injectedPod(t *testing.T, edits ...string) string {
	t.Helper()
	text, _, err := testInjector(t).Inject([]byte(ownedPod))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(string(text), edits[i]) {
			t.Fatalf("no %q in\n%s", edits[i], text)
		}
		text = []byte(strings.ReplaceAll(string(text), edits[i], edits[i+1]))
	}
	return string(text)
}

// textsOf returns what notes say, without the object.
func textsOf(notes []Note) string {
	var texts []string
	for _, n := range notes {
		texts = append(texts, n.Text)
	}
	return strings.Join(texts, "\n")
}

const webEnv = `    image: shop:1
    env:
    - name: PGHOST
      value: 127.0.0.1
    - name: PGPORT
      value: "6432"
    - name: PGSSLMODE
      value: disable
    - name: COLOR
`

// What the user has changed after inject stays, with a sentence. The rest is removed and injected again.
func TestChangedPartsStay(t *testing.T) {
	const (
		keeps   = "PGHOST, PGPORT, PGSSLMODE of container web changed after inject, and stay as they are\n"
		sidecar = "left alone: container pgorigin changed after inject; delete what changed, then run this again"
	)
	web := strings.Replace(webEnv, "value: 127.0.0.1", "value: db.prod", 1)
	for name, c := range map[string]struct {
		edits      []string
		uninjected []string // edits of ownedPod; "left": nothing changes
		says       string   // before what is said of the pod as a whole
	}{
		"nothing":           {nil, nil, ""},
		"PGHOST":            {[]string{webEnv, web}, []string{"    image: shop:1\n    env:\n    - name: COLOR\n", web}, keeps},
		"PGSSLMODE deleted": {[]string{webEnv, strings.Replace(webEnv, "    - name: PGSSLMODE\n      value: disable\n", "", 1)}, []string{"    image: shop:1\n    env:\n    - name: COLOR\n", strings.Replace(webEnv, "    - name: PGSSLMODE\n      value: disable\n", "", 1)}, keeps},
		"PGPORT from a field": {
			[]string{webEnv, strings.Replace(webEnv, `value: "6432"`, "valueFrom: {fieldRef: {fieldPath: x}}", 1)},
			[]string{"    image: shop:1\n    env:\n    - name: COLOR\n", strings.Replace(webEnv, `value: "6432"`, "valueFrom: {fieldRef: {fieldPath: x}}", 1)},
			keeps,
		},
		"renamed": {
			[]string{"- name: web\n", "- name: front\n"},
			[]string{"- name: web\n    image: shop:1\n    env:\n    - name: COLOR\n", "- name: front\n" + webEnv},
			"container web is gone; if it has a new name, delete PGHOST, PGPORT, PGSSLMODE there\n",
		},
		"more variables": {[]string{"- name: COLOR", "- name: SIZE"}, []string{"- name: COLOR", "- name: SIZE"}, ""},
		"image":          {[]string{"pgorigin:v1.0.0", "pgorigin:v2.0.0"}, []string{"left"}, sidecar},
		"probe":          {[]string{"failureThreshold: 60", "failureThreshold: 90"}, []string{"left"}, sidecar},
		"probe scheme":   {[]string{"path: /livez", "path: /livez\n        scheme: HTTPS"}, []string{"left"}, sidecar},
		"volume": {
			[]string{"secretName: pgbouncer-ca", "secretName: other"},
			[]string{"left"},
			"left alone: volume pgorigin-ca changed after inject; delete what changed, then run this again",
		},
		"no record": {
			[]string{"pgorigin/injected:", "example.com/injected:"},
			[]string{"left"},
			"left alone: inject did not write its container pgorigin; change it where it comes from, such as a Helm chart",
		},
	} {
		t.Run(name, func(t *testing.T) {
			text := injectedPod(t, c.edits...)
			left := len(c.uninjected) == 1
			want := text
			if !left {
				want = strings.NewReplacer(c.uninjected...).Replace(ownedPod)
			}
			back, notes, err := Uninject([]byte(text))
			if err != nil || string(back) != want {
				t.Errorf("uninject: %v, got\n%s\nwant\n%s", err, back, want)
			}
			if got := textsOf(notes); got != c.says+map[bool]string{false: "uninjected"}[left] {
				t.Errorf("uninject says %q", got)
			}
			again, notes, err := testInjector(t).Inject([]byte(text))
			if err != nil || left && string(again) != text {
				t.Errorf("inject: %v, got\n%s", err, again)
			}
			if got := textsOf(notes); !strings.HasPrefix(got, c.says+map[bool]string{false: "injected"}[left]) { // hints follow
				t.Errorf("inject says %q", got)
			}
			checkRoundTrip(t, []byte(want), again)
		})
	}
}

// After the user has deleted the sidecar by hand, the rest is removed, or there is a new sidecar.
func TestDeletedSidecar(t *testing.T) {
	text := injectedPod(t)
	from, to := strings.Index(text, "  - name: pgorigin\n"), strings.Index(text, "  - name: migrate\n")
	text = text[:from] + text[to:]
	if back, _, err := Uninject([]byte(text)); err != nil || string(back) != ownedPod {
		t.Errorf("uninject: %v\n%s", err, back)
	}
	if again, _, err := testInjector(t).Inject([]byte(text)); err != nil || string(again) != injectedPod(t) {
		t.Errorf("inject: %v\n%s", err, again)
	}
}

// The client variables come back if the user deletes them all: client-env is the way to live without them.
func TestDeletedVariables(t *testing.T) {
	text := injectedPod(t, webEnv, "    image: shop:1\n    env:\n    - name: COLOR\n")
	if again, notes, err := testInjector(t).Inject([]byte(text)); err != nil || string(again) != injectedPod(t) || len(notes) != 1 {
		t.Errorf("inject: %v, %v\n%s", notes, err, again)
	}
}

// Programs that write manifests again change style, order and comments, and API servers add their defaults.
func TestRewrittenManifestIsStillOurs(t *testing.T) {
	var value map[string]any
	if err := yaml.Unmarshal([]byte(injectedPod(t)), &value); err != nil {
		t.Fatal(err)
	}
	withDefaults := func(text string) string {
		for _, pair := range [][2]string{
			{`"containerPort":9632`, `"containerPort":9632,"protocol":"TCP"`},
			{`"path":"/livez"`, `"path":"/livez","scheme":"HTTP"`},
			{`"failureThreshold":60`, `"failureThreshold":60,"successThreshold":1`},
			{`"terminationMessagePolicy"`, `"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy"`},
			{`"secretName"`, `"defaultMode":420,"secretName"`},
			{`"restartPolicy":"Always"`, `"restartPolicy":"Always","command":null,"lifecycle":{}`},
		} {
			if !strings.Contains(text, pair[0]) {
				t.Fatalf("no %s in %s", pair[0], text)
			}
			text = strings.Replace(text, pair[0], pair[1], 1)
		}
		return text
	}
	var clean any
	if err := yaml.Unmarshal([]byte(ownedPod), &clean); err != nil {
		t.Fatal(err)
	}
	block, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	oneLine := encodeJSON(t, value)
	for name, text := range map[string]string{"JSON": oneLine, "sorted YAML": string(block), "from an API server": withDefaults(oneLine)} {
		back, notes, err := Uninject([]byte(text))
		if err != nil || textsOf(notes) != "uninjected" {
			t.Errorf("%s: %v, %v", name, notes, err)
			continue
		}
		var got any
		if err := yaml.Unmarshal(back, &got); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(clean) {
			t.Errorf("%s: got  %v\nwant %v", name, got, clean)
		}
	}
}

// A pgorigin that writes another container replaces what an earlier one wrote.
func TestInjectReplacesOtherSettings(t *testing.T) {
	earlier := &Injector{}
	for name, value := range map[string]string{
		"image": "old:1", "upstream": "old:5432", "ca-configmap": "old", "client-secret": "old", "listen-port": "7000", "log-level": "debug",
	} {
		if err := earlier.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	old, _, err := earlier.Inject([]byte(ownedPod))
	if err != nil {
		t.Fatal(err)
	}
	again, notes, err := testInjector(t).Inject(old)
	if err != nil || string(again) != injectedPod(t) || len(notes) != 1 {
		t.Errorf("inject: %v, %v\n%s", notes, err, again)
	}
}

// A record that inject would not write is refused. So it cannot make uninject remove anything else.
func TestForgedRecords(t *testing.T) {
	text := injectedPod(t)
	from := strings.Index(text, "{\"container\"")
	genuine := text[from : from+strings.Index(text[from:], "'")]
	forge := func(edits ...string) string {
		forged := strings.NewReplacer(edits...).Replace(genuine)
		if forged == genuine {
			t.Fatalf("%q is not in %s", edits, genuine)
		}
		return forged
	}
	for name, forged := range map[string]string{
		"empty": "", "null": "null", "no JSON": "web", "old list of names": "migrate,web", "empty object": "{}",
		"spaces": " " + genuine, "two": genuine + genuine, "more": forge(`{"container"`, `{"more":1,"container"`),
		"other case":            forge(`"container"`, `"Container"`),
		"no digest":             forge(`"container":"`, `"container":"z`),
		"a volume of the user":  forge("pgorigin-ca", "data"),
		"variables of the user": forge("PGHOST", "COLOR"),
		"a host of the user":    forge("127.0.0.1", "db.prod"),
		"a port that is taken":  forge("6432", "9632"),
		"a line break":          forge(`"web"`, `"web\n"`), "a container twice": forge(`"web"`, `"web","web"`),
		"not sorted": forge(`"migrate","web"`, `"web","migrate"`), "containers without variables": forge(`"env":{"PGHOST":"127.0.0.1","PGPORT":"6432","PGSSLMODE":"disable"},`, ""),
		"huge": forge(`"web"`, `"`+strings.Repeat("w", 1<<16)+`"`), "control characters": forge(`"web"`, "\"w\x1beb\""),
	} {
		t.Run(name, func(t *testing.T) {
			quoted, err := json.Marshal(forged)
			if err != nil {
				t.Fatal(err)
			}
			stream := []byte(strings.Replace(text, "'"+genuine+"'", string(quoted), 1))
			const want = "Pod shop: annotation pgorigin/injected is not as this version of inject writes it: restore it, or use the pgorigin that wrote it"
			for _, edit := range []Edit{Uninject, testInjector(t).Inject} {
				if out, _, err := edit(stream); out != nil || err == nil || err.Error() != want {
					t.Errorf("got %q, %v", out, err)
				}
			}
		})
	}
}

// The label of a pod without sidecar misleads monitoring.
func TestLabelWithoutSidecarIsRefused(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, labels: {pgorigin/status: injected}}\nspec: {containers: [{name: a}]}\n"
	if _, _, err := testInjector(t).Inject([]byte(pod)); err == nil || err.Error() != "Pod x: label pgorigin/status is for pgorigin to set: remove it" {
		t.Errorf("got %v", err)
	}
}
