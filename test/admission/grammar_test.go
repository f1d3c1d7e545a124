//go:build admission

package admission

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/test/internal/kube"
)

// grammar makes random annotations and pods. It is good at edges: values are made from the patterns of the contract.
type grammar struct {
	*rand.Rand
	words []kube.Word
}

func (g grammar) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g grammar, from ...T) T { return from[g.IntN(len(from))] }

// value is a right one, one that is nearly right, or a wrong one.
func (g grammar) value(w kube.Word) string {
	switch {
	case g.chance(85):
		return g.right(w)
	case g.chance(60):
		return g.changed(g.right(w))
	case g.chance(30):
		return g.right(pick(g, g.words...))
	}
	return g.wrong()
}

// right is a text that the pattern matches. Some of these texts are too long.
func (g grammar) right(w kube.Word) string {
	parsed, err := syntax.Parse(w.Pattern, syntax.Perl)
	if err != nil {
		panic(err) // every test of the contract finds it
	}
	var text strings.Builder
	g.write(&text, parsed, pick(g, 1, 1, 2, 2, 3, 3, 60, 300))
	return text.String()
}

// write walks a pattern, and repeats a part up to most times.
func (g grammar) write(text *strings.Builder, r *syntax.Regexp, most int) {
	repeat := func(from, to int) {
		if to < 0 || to > from+most {
			to = from + most
		}
		if g.chance(20) {
			from = to
		}
		for range from + g.IntN(to-from+1) {
			if text.Len() > 2000 { // longer than any word may be
				return
			}
			g.write(text, r.Sub[0], min(most, 60))
		}
	}
	switch r.Op { //nolint:exhaustive // all others are nothing but their parts
	case syntax.OpLiteral:
		text.WriteString(string(r.Rune))
	case syntax.OpCharClass:
		at := 2 * g.IntN(len(r.Rune)/2)
		text.WriteRune(r.Rune[at] + g.Int32N(r.Rune[at+1]-r.Rune[at]+1))
	case syntax.OpStar:
		repeat(0, -1)
	case syntax.OpPlus:
		repeat(1, -1)
	case syntax.OpQuest:
		repeat(0, 1)
	case syntax.OpRepeat:
		repeat(r.Min, r.Max)
	case syntax.OpAlternate:
		g.write(text, pick(g, r.Sub...), most)
	default:
		for _, part := range r.Sub {
			g.write(text, part, most)
		}
	}
}

// changed differs from a text in one place.
func (g grammar) changed(text string) string {
	odd := pick(g, " ", ",", ".", ":", "-", "_", "0", "A", "@", "=", "/", "[", "]", "%", "\n", "\t", "\x00", "\x1b", "\x7f", "ü", "\u2028", "\U0001f4a5", "$(X)", "\"", "'", `\`)
	at := g.IntN(len(text) + 1)
	switch g.IntN(4) {
	case 0:
		return text[:at] + odd + text[at:]
	case 1:
		return text + odd
	case 2:
		return odd + text
	}
	if at == len(text) {
		return strings.ToUpper(text)
	}
	return text[:at] + text[at+1:]
}

// wrong is a value that is wrong for most words.
func (g grammar) wrong() string {
	long := strings.Repeat("a", pick(g, 252, 253, 254, 500, 501, 999, 1000, 1001, 20_000))
	return pick(g, "", " ", "a,,b", ",", "a:99999", "a:0", "user:pw@db:5432", "postgres://user:pw@db/app", "a\nb", "a\x00b", "\x1b[31m", "ü.example",
		"a\u2028b", "\U0001f4a5", "true", "True", "FALSE", "06432", "6432 ", "9632", "65536", "1Pi", "1e3", "-1", "+1", ".5", "1.", "0", "1_000", "::1", "[::1]", "[::1]:1",
		"[fe80::1%25eth0]:1", "[::ffff:1.2.3.4]:5432", "1.2.3", "1.2.3.4", "256.1.1.1", "1.2.3.4.5", "a.", ".a", "a..b", "-a", "a-", "..data", "../x", ".", "..", "${upstream}", "{{ x }}",
		"$(PGHOST)", "$$(X)", "'", `"`, `\`, "null", "~", "[]", "{}", "a: b", "#", "localhost", "127.0.0.1:6432", "*:5432", "db:5432,", ",db:5432", "db:5432;db2:5432",
		long, long+","+long, long+",b", "1.3", "1.4", "TLSv1.3", "debug", "DEBUG", strings.Repeat("a.", 126)+"a", strings.Repeat("a.", 127)+"a", strings.Repeat("a:1,", 249)+"b:12")
}

// annotations are those of one pod, and the words among them.
func (g grammar) annotations() map[string]any {
	all := map[string]any{}
	for range pick(g, 0, 1, 1, 1, 2, 3, 5) {
		w := pick(g, g.words...)
		if !w.DefaultOnly || g.chance(10) {
			all["pgorigin/"+w.Name] = g.value(w)
		}
	}
	if g.chance(15) { // what depends on one another
		for _, name := range []string{"ca-secret", "ca-configmap", "ca-key"} {
			if g.chance(60) {
				all["pgorigin/"+name] = pick(g, "a", "b.c", "ca.pem", "")
			}
		}
	}
	if g.chance(20) {
		all["pgorigin/intercept"] = pick(g, "db.prod", "db.prod:5433", "db", "db:6433", "db", "localhost:5432", "a.localhost", "localhosts:5432")
	}
	if all["pgorigin/intercept"] != nil && g.chance(20) {
		all["pgorigin/listen-ca-volume"] = pick(g, "data", "tmp", "listen-ca", "listen-ca", "pgorigin-ca", "pgorigin", "x.y")
	}
	if all["pgorigin/intercept"] != nil && g.chance(20) {
		all["pgorigin/listen-secret"] = pick(g, "a", "db-tls", "X")
	}
	if g.chance(6) {
		for i := range pick(g, 1, 2, 40) {
			all[pick(g, "pgorigin/upstrem", "pgorigin/inject", "pgorigin/status", "pgorigin/Upstream", fmt.Sprintf("pgorigin/x-%d", i))] = pick(g, "", "x", "ü\n")
		}
	}
	for _, key := range []string{"example.com/a", "pgorigin", "pgorigin/", "pgorigin.example/upstream"} {
		if g.chance(2) {
			all[key] = "x"
		}
	}
	for _, key := range slices.Sorted(maps.Keys(all)) { // in order, so that a seed repeats
		if g.chance(1) {
			all[key] = nil
		}
	}
	return all
}

// pod is a pod that asks for injection, most of the time.
func (g grammar) pod(name string) map[string]any {
	metadata := map[string]any{"name": name, "labels": map[string]any{"app": "web", "pgorigin/inject": "true"}}
	if g.chance(10) {
		delete(metadata, "name")
		metadata["generateName"] = name + "-"
	}
	if g.chance(3) {
		metadata["labels"].(map[string]any)["pgorigin/inject"] = "false"
	}
	if annotations := g.annotations(); len(annotations) > 0 || g.chance(20) {
		metadata["annotations"] = annotations
	} else if g.chance(20) {
		metadata["annotations"] = nil
	}
	spec := map[string]any{"automountServiceAccountToken": g.chance(10)}
	g.containers(spec, "containers", "web", pick(g, 1, 1, 1, 2, 4))
	g.containers(spec, "initContainers", "init", pick(g, 0, 0, 1, 2))
	g.volumes(spec)
	g.aliases(spec)
	g.odd(spec)
	return map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
}

// containers adds a list of containers, or one of the ways to have none.
func (g grammar) containers(spec map[string]any, key, name string, count int) {
	if count == 0 {
		switch g.IntN(4) {
		case 0:
			spec[key] = nil
		case 1:
			spec[key] = []any{}
		}
		return
	}
	var list []any
	for i := range count {
		c := map[string]any{"name": fmt.Sprintf("%s-%d", name, i), "image": "registry.example/web:1"}
		if g.chance(3) {
			c["name"] = name + "-0"
		}
		if key == "initContainers" && g.chance(30) {
			c["restartPolicy"] = "Always" // a native sidecar of somebody else
		}
		g.env(c)
		if g.chance(10) {
			c[pick(g, "command", "args")] = []any{pick(g, append(hosts(), "psql")...), pick(g, append(hosts(), "-h", "--host")...), pick(g, hosts()...)}
		}
		if g.chance(5) {
			c["envFrom"] = []any{map[string]any{pick(g, "secretRef", "configMapRef"): map[string]any{"name": "a"}}}
		}
		if g.chance(10) {
			c["ports"] = []any{map[string]any{"containerPort": pick(g, 80, 6432, 6433, 9632, 1, 65535)}}
		} else if g.chance(10) {
			c["ports"] = pick[any](g, nil, []any{})
		}
		list = append(list, c)
	}
	if g.chance(3) {
		list = append(list, g.ownSidecar())
	}
	spec[key] = list
}

func (g grammar) env(c map[string]any) {
	names := []string{"A", "PATH", "PGDATABASE", "PGHOST", "PGHOSTADDR", "PGPORT", "PGSSLMODE", "PGUSER", "PGORIGIN_UPSTREAM_ADDR", "pghost", "DATABASE_URL", "DB_HOST", "SPRING_DATASOURCE_URL"}
	switch {
	case g.chance(40):
		return
	case g.chance(15):
		c["env"] = pick[any](g, nil, []any{})
		return
	}
	var list []any
	for range 1 + g.IntN(3) {
		e := map[string]any{"name": pick(g, names...)}
		switch g.IntN(6) {
		case 0: // no value
		case 1:
			e["valueFrom"] = map[string]any{"secretKeyRef": map[string]any{"name": "a", "key": "b"}}
		case 2:
			e["value"] = pick[any](g, "", nil)
		default:
			e["value"] = pick(g, append(hosts(), "x", "$(PGHOST)", "127.0.0.1", "ü\n\u2028", "require", "verify-full", "5432")...)
		}
		list = append(list, e)
	}
	c["env"] = list
}

// hosts are values that say where a database is, or seem to.
func hosts() []string {
	return []string{
		"db.prod", "localhost", "::1", "/var/run/postgresql", "127.0.0.1,db.prod", "postgres://u:pw@db.prod/app", "postgresql://127.0.0.1:6432/app", "postgres:///app?host=/tmp",
		"jdbc:postgresql://a,b/app", "postgresql+asyncpg://[::1]/app", "postgres://u:p@w@db/app", "host=db port=5432 dbname=a", "host=127.0.0.1 user=a", "psql -h db.prod",
		"postgres://u:p@db.prod/app postgres://db/b", "db", "psql --host=localhost", "postgres://$(PGHOST)/app", "POSTGRES://DB/x", "mysql://db/app host=a", "postgres://localhost/a postgres://b/c", "postgres://", "host=", "$(DB_HOST)",
	}
}

// ownSidecar is a container with pgorigin's name that the author of the pod has written.
func (g grammar) ownSidecar() map[string]any {
	c := map[string]any{"name": "pgorigin", "image": "registry.example/" + pick(g, "other:1", "pgorigin:own", "pgorigin@sha256:"+strings.Repeat("a", 64), "pgorigin:own/x")}
	if g.chance(70) {
		c["restartPolicy"] = "Always"
	}
	var env []any
	if g.chance(70) {
		env = append(env, map[string]any{"name": "PGORIGIN_UPSTREAM_ADDR", "value": pick[any](g, "db:5432", "", nil)})
	}
	if g.chance(30) {
		env = append(env, map[string]any{"name": "PGORIGIN_LISTEN_ADDR", "value": pick(g, "127.0.0.1:6433", "[::1]:80", "x", "")})
	}
	if env != nil {
		c["env"] = env
	}
	return c
}

func (g grammar) volumes(spec map[string]any) {
	switch {
	case g.chance(50):
		return
	case g.chance(20):
		spec["volumes"] = pick[any](g, nil, []any{})
		return
	}
	var list []any
	for range 1 + g.IntN(2) {
		v := map[string]any{"name": pick(g, "data", "tmp", "more", "web", "pgorigin", "pgorigin-ca", "pgorigin-client", "listen-ca")}
		switch g.IntN(4) {
		case 0:
			v["projected"] = map[string]any{"sources": []any{map[string]any{"configMap": map[string]any{"name": "a"}}}}
		case 1:
			v["secret"] = map[string]any{"secretName": "a"}
		default:
			v["emptyDir"] = map[string]any{}
		}
		list = append(list, v)
	}
	spec["volumes"] = list
}

// aliases lead names, also those that are intercepted, to addresses.
func (g grammar) aliases(spec map[string]any) {
	switch {
	case g.chance(60):
		return
	case g.chance(20):
		spec["hostAliases"] = pick[any](g, nil, []any{})
		return
	}
	var list []any
	for range 1 + g.IntN(3) {
		entry := map[string]any{"ip": pick(g, "127.0.0.1", "127.0.0.1", "127.0.0.1", "10.0.0.1", "::1", "127.0.0.2")}
		if g.chance(2) {
			entry["ip"] = "x"
		}
		var names []any
		for range g.IntN(4) {
			names = append(names, pick(g, "a", "a", "a.b", "localhost", "c", "db.prod", "db"))
		}
		if names != nil || g.chance(50) {
			entry["hostnames"] = names
		}
		list = append(list, entry)
	}
	spec["hostAliases"] = list
}

// odd adds members of a pod that exclude injection, or look as if they did.
func (g grammar) odd(spec map[string]any) {
	if g.chance(5) {
		spec["hostNetwork"] = pick[any](g, true, false, nil)
	}
	if g.chance(5) {
		spec["os"] = pick[any](g, map[string]any{"name": "linux"}, map[string]any{"name": "windows"}, map[string]any{"name": ""}, map[string]any{}, nil)
	}
	if g.chance(5) {
		spec["nodeSelector"] = pick[any](g, map[string]any{"kubernetes.io/os": "windows"}, map[string]any{"kubernetes.io/os": "linux"}, map[string]any{"zone": "a"}, nil)
	}
	if g.chance(1) {
		spec["ephemeralContainers"] = []any{map[string]any{"name": "debug", "image": "d"}}
	}
	if g.chance(3) {
		spec["restartPolicy"] = pick(g, "Never", "OnFailure")
	}
	if g.chance(3) {
		spec["securityContext"] = map[string]any{"runAsUser": pick(g, 0, 1000), "fsGroup": 1000}
	}
}
