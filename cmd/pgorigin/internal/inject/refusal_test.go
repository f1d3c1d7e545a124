package inject

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

var errTest = errors.New("a reason")

// refusalOf injects a pod with these annotations, and more in its spec, by the webhook and from a stream.
// Both must say the same.
func refusalOf(t *testing.T, i *Injector, annotations map[string]string, spec string) string {
	t.Helper()
	meta := fmt.Sprintf(`{"namespace": "shop", "generateName": "web-", "labels": {"pgorigin/inject": "true"}, "annotations": %s}`, encodeJSON(t, annotations))
	object := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": %s, "spec": {%s"containers": [{"name": "a"}]}}`, meta, spec)
	answer, decision := ask(t, i, reviewOf(object))
	if answer.Allowed || answer.Patch != nil || answer.Status.Code != 422 || len(decision.Problems) == 0 {
		t.Fatalf("answer %+v, decision %+v", answer, decision)
	}
	_, _, err := i.Inject([]byte(object))
	refused := new(Refusal)
	if !errors.As(err, &refused) {
		t.Fatalf("inject: %v", err)
	}
	if got := "pgorigin: " + oneLine(err); len(refused.Problems) == 1 && got != answer.Status.Message {
		t.Errorf("inject says    %s\nthe webhook says %s", got, answer.Status.Message)
	}
	return answer.Status.Message
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		annotations map[string]string
		spec, want  string
	}{
		"unknown annotation": {
			map[string]string{"pgorigin/upsteam": "a:1"},
			"",
			"annotation pgorigin/upsteam: no such annotation; known are pgorigin/intercept, pgorigin/upstream,",
		},
		"default that is no annotation": {map[string]string{"pgorigin/image": "evil"}, "", "annotation pgorigin/image: no such annotation;"},
		"empty Secret": {
			map[string]string{"pgorigin/ca-secret": ""},
			"",
			"annotation pgorigin/ca-secret: expected the name of a Secret",
		},
		"no name of a Secret": {
			map[string]string{"pgorigin/client-secret": "My_Secret"},
			"",
			`annotation pgorigin/client-secret: expected the name of a Secret, that is, lower-case letters, digits, "-" and "."`,
		},
		"two CAs": {
			map[string]string{"pgorigin/ca-secret": "a", "pgorigin/ca-configmap": "b"},
			"",
			"annotation pgorigin/ca-secret and annotation pgorigin/ca-configmap: there can be one CA only; remove one of them",
		},
		"upstream":            {map[string]string{"pgorigin/upstream": "postgres://x"}, "", `annotation pgorigin/upstream: expected host[:port] of pgbouncer or PostgreSQL`},
		"version":             {map[string]string{"pgorigin/min-version": "1.1"}, "", `annotation pgorigin/min-version: expected 1.2 or 1.3`},
		"level":               {map[string]string{"pgorigin/log-level": "loud"}, "", "expected debug, info, warn or error"},
		"switch":              {map[string]string{"pgorigin/client-env": "no"}, "", "expected true or false"},
		"port":                {map[string]string{"pgorigin/listen-port": "9632"}, "", "expected a port from 1 to 65535 other than 9632"},
		"quantity":            {map[string]string{"pgorigin/cpu-limit": "much"}, "", "expected a quantity such as 10m, 1, 64Mi or 1Gi"},
		"key":                 {map[string]string{"pgorigin/ca-key": "../x"}, "", "expected a key of the Secret or ConfigMap"},
		"host network":        {nil, `"hostNetwork": true, `, "spec.hostNetwork is true: pgorigin's plaintext port would be open to everything on the node"},
		"Windows":             {nil, `"os": {"name": "windows"}, `, "it is for Windows by os or nodeSelector"},
		"root":                {nil, `"securityContext": {"runAsUser": 0}, `, "spec.securityContext.runAsUser is 0: pgorigin does not run as root; set runAsUser on the containers that need root"},
		"Windows by selector": {nil, `"nodeSelector": {"kubernetes.io/os": "windows"}, `, "it is for Windows by os or nodeSelector"},
		"port taken": {
			nil, `"initContainers": [{"name": "old", "ports": [{"containerPort": 6432}]}], `,
			`container "old" has port 6432, which pgorigin listens on: choose a free one in annotation pgorigin/listen-port, pgorigin/intercept or pgorigin/origins`,
		},
		"port of an origin taken": {
			map[string]string{"pgorigin/origins": "6434=a 6433=b"},
			`"initContainers": [{"name": "old", "ports": [{"containerPort": 6433}]}], `,
			`container "old" has port 6433, which pgorigin listens on`,
		},
		"port of the default upstream": {
			map[string]string{"pgorigin/origins": "6433=a 6432=b"},
			"",
			"annotation pgorigin/listen-port and annotation pgorigin/origins: both have port 6432; choose another one for one of them",
		},
		"port of another upstream": {map[string]string{"pgorigin/origins": "6433=a", "pgorigin/listen-port": "6433"}, "", "both have port 6433"},
		"health port taken":        {nil, `"initContainers": [{"name": "old", "ports": [{"containerPort": 9632}]}], `, `container "old" has port 9632`},
		"URL to intercept":         {map[string]string{"pgorigin/intercept": "postgres://db.prod"}, "", "annotation pgorigin/intercept: expected name[:port] of the database as the application has it"},
		"address to intercept":     {map[string]string{"pgorigin/intercept": "10.0.0.1"}, "", "annotation pgorigin/intercept: expected name[:port]"},
		"upper case to intercept":  {map[string]string{"pgorigin/intercept": "DB.prod"}, "", "annotation pgorigin/intercept: expected name[:port]"},
		"localhost to intercept":   {map[string]string{"pgorigin/intercept": "localhost:5432"}, "", "annotation pgorigin/intercept: expected name[:port]"},
		"below localhost":          {map[string]string{"pgorigin/intercept": "a.localhost"}, "", "annotation pgorigin/intercept: expected name[:port]"},
		"health port to intercept": {map[string]string{"pgorigin/intercept": "db:9632"}, "", "annotation pgorigin/intercept: expected name[:port]"},
		"two names to intercept":   {map[string]string{"pgorigin/intercept": "a,b"}, "", "annotation pgorigin/intercept: expected name[:port]"},
		"intercept and its port": {
			map[string]string{"pgorigin/intercept": "db", "pgorigin/listen-port": "7000"},
			"",
			"annotation pgorigin/intercept and annotation pgorigin/listen-port: pgorigin listens on the port of intercept; remove one of them",
		},
		"intercept and the port of an origin": {
			map[string]string{"pgorigin/intercept": "db", "pgorigin/origins": "5432=a"},
			"",
			"annotation pgorigin/intercept and annotation pgorigin/origins: both have port 5432; choose another one for one of them",
		},
		"Secret without intercept": {
			map[string]string{"pgorigin/listen-secret": "tls"},
			"",
			"annotation pgorigin/listen-secret is set, but not annotation pgorigin/intercept: set both, or remove it",
		},
		"Secret and volume": {
			map[string]string{"pgorigin/intercept": "db", "pgorigin/listen-secret": "tls", "pgorigin/listen-ca-volume": "ca"},
			"",
			"annotation pgorigin/listen-ca-volume and annotation pgorigin/listen-secret: a certificate of a Secret has a CA of its own; remove one of them",
		},
		"volume without intercept": {
			map[string]string{"pgorigin/listen-ca-volume": "ca"},
			"",
			"annotation pgorigin/listen-ca-volume is set, but not annotation pgorigin/intercept: set both, or remove it",
		},
		"volume of ours for the CA": {
			map[string]string{"pgorigin/intercept": "db", "pgorigin/listen-ca-volume": "pgorigin-ca"},
			"",
			"annotation pgorigin/listen-ca-volume: expected the name of a volume of the pod",
		},
		"name leads elsewhere": {
			map[string]string{"pgorigin/intercept": "db"},
			`"hostAliases": [{"ip": "127.0.0.1", "hostnames": ["db"]}, {"ip": "10.0.0.1", "hostnames": ["a", "db"]}], `,
			"spec.hostAliases leads the name of intercept to 10.0.0.1: remove the name there, or remove intercept",
		},
		"name leads to no address": {
			map[string]string{"pgorigin/intercept": "db"},
			`"hostAliases": [{"ip": "u:p@h", "hostnames": ["db"]}], `,
			"spec.hostAliases leads the name of intercept to another address: remove the name there",
		},
		"port of the intercepted name taken": {
			map[string]string{"pgorigin/intercept": "db"},
			`"initContainers": [{"name": "old", "ports": [{"containerPort": 5432}]}], `,
			`container "old" has port 5432, which pgorigin listens on: choose a free one in annotation pgorigin/listen-port, pgorigin/intercept`,
		},
		"volume taken": {nil, `"volumes": [{"name": "pgorigin-ca"}], `, `volume "pgorigin-ca" exists, and that name is for what pgorigin mounts: rename it`},
	} {
		t.Run(name, func(t *testing.T) {
			i := testInjector(t)
			got := refusalOf(t, i, c.annotations, c.spec)
			if !strings.HasPrefix(got, "pgorigin: Pod shop/web-*: "+c.want) && !strings.Contains(got, c.want) {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestRefusedWithoutUpstreamOrCA(t *testing.T) {
	i := &Injector{defaults: Settings{"image": "x"}}
	got := refusalOf(t, i, map[string]string{"pgorigin/ca-key": "x.pem"}, "")
	for _, want := range []string{
		"upstream is not set: add the annotation pgorigin/upstream with host:port of pgbouncer or PostgreSQL, or set a default: --upstream of inject, sidecar.upstream of the chart",
		"annotation pgorigin/ca-key is set, but neither annotation pgorigin/ca-secret nor annotation pgorigin/ca-configmap",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	i.broken = fmt.Errorf("%w\nand another", errTest)
	if answer, _ := ask(t, i, reviewOf(askedPods()["bare"])); !strings.HasSuffix(answer.Status.Message, "the injector's defaults are wrong: a reason; and another") {
		t.Errorf("message %s", answer.Status.Message)
	}
}

// Labels and annotations of the Deployment itself do nothing, so inject refuses them.
func TestMisplacedMarksAreRefused(t *testing.T) {
	const text = `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web",
		"labels": {"pgorigin/inject": "true"}, "annotations": {"pgorigin/upstream": "x:1"}},
		"spec": {"template": {"spec": {"containers": []}}}}`
	_, _, err := testInjector(t).Inject([]byte(text))
	const want = "Deployment web: annotation pgorigin/upstream is on the object itself, where nothing reads it: move it to the metadata of the pod template\n" +
		"Deployment web: label pgorigin/inject is on the object itself, where nothing reads it: move it to the metadata of the pod template"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// inject reports the problems of all objects, and returns nothing if it refuses one.
func TestAllRefusalsAtOnce(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s, annotations: {pgorigin/upstream: %q}}\nspec: {containers: []}\n---\n"
	after, _, err := testInjector(t).Inject([]byte(fmt.Sprintf(pod, "a", "") + fmt.Sprintf(pod, "b", "db:5432") + fmt.Sprintf(pod, "c", "")))
	refused := new(Refusal)
	if !errors.As(err, &refused) || len(refused.Problems) != 2 || refused.Problems[1].Object != "Pod c" || after != nil {
		t.Errorf("got %q, %v", after, err)
	}
}

// What stands in an annotation by mistake must not get into logs: a URL, or the secret itself in place of its name.
func TestNoMessageRepeatsAValue(t *testing.T) {
	for _, word := range Words() {
		for _, value := range []string{"Hunter2!", "user:Hunter2!", "postgres://user:Hunter2!@db/x", "password=Hunter2!"} {
			err := new(Injector).Set(word.Name, value)
			got := refusalOf(t, testInjector(t), map[string]string{annotationPrefix + word.Name: value}, "")
			if err == nil || strings.Contains(err.Error()+got, "Hunter2!") {
				t.Errorf("%s: %q is answered with %v and %s", word.Name, value, err, got)
			}
		}
	}
}
