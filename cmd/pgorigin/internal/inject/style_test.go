package inject

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// manifest writes a Deployment, or a few, in a style that depends on r: whatever people and programs write.
type manifest struct {
	r   *rand.Rand
	out strings.Builder
}

func (m *manifest) pick(choices ...string) string { return choices[m.r.IntN(len(choices))] }

// line writes a line at an indentation, sometimes with a comment above or behind.
func (m *manifest) line(indent int, text string) {
	margin := strings.Repeat(" ", indent)
	if m.r.IntN(6) == 0 {
		m.out.WriteString(margin + m.pick("# a comment", "#", "# - name: not an item") + "\n")
	}
	if m.r.IntN(12) == 0 {
		m.out.WriteString("\n")
	}
	behind := m.pick("", "", "", "", " # behind", "  ")
	if strings.Contains(text, "\n") {
		behind = ""
	}
	m.out.WriteString(margin + text + behind + "\n")
}

func (m *manifest) deployment() string {
	m.line(0, "apiVersion: apps/v1")
	m.line(0, m.pick("kind: Deployment", `"kind": "Deployment"`, "kind: 'Deployment'"))
	m.line(0, "metadata: {name: web, namespace: shop}")
	m.line(0, "spec:")
	m.line(2, "template:")
	m.metadata(4)
	m.line(4, m.pick("spec:", `"spec":`))
	sections := []func(int){m.containers, m.inits, m.volumes, m.aliases, func(i int) { m.line(i, "serviceAccountName: shop") }}
	m.r.Shuffle(len(sections), func(i, j int) { sections[i], sections[j] = sections[j], sections[i] })
	for _, section := range sections {
		section(6)
	}
	if m.r.IntN(3) == 0 {
		m.line(4, "# the end")
	}
	return m.out.String()
}

func (m *manifest) metadata(at int) {
	switch m.r.IntN(6) {
	case 0:
	case 1:
		m.line(at, m.pick("metadata:", "metadata: {}", "metadata: { }", "metadata: null", "metadata: {labels: {}}", "metadata: {labels: {app: web} , }"))
	default:
		m.line(at, "metadata:")
		m.line(at+2, m.pick("labels:", "labels: {}", "labels: {app: web}", "labels:\n"+strings.Repeat(" ", at+4)+"app: web", "name: x", "labels:   ~"))
		if m.r.IntN(2) == 0 {
			m.line(at+2, m.pick("annotations: {pgorigin/intercept: db.prod}", "annotations:\n"+strings.Repeat(" ", at+4)+"pgorigin/intercept: db.prod:5433",
				"annotations:", "annotations: {}", "annotations: {\n  a: b, # x\n  }", "annotations:\n"+strings.Repeat(" ", at+4)+"text: |\n"+
					strings.Repeat(" ", at+6)+"# no comment\n"+strings.Repeat(" ", at+6)+"pgorigin/status: x"))
		}
	}
}

func (m *manifest) inits(at int) {
	switch m.r.IntN(4) {
	case 0:
	case 1:
		m.line(at, m.pick("initContainers:", "initContainers: []", "initContainers: [ ]", "initContainers: ~", "initContainers: [{name: migrate}]"))
	default:
		m.line(at, "initContainers:")
		m.container(at+2*m.r.IntN(2), "migrate")
	}
}

func (m *manifest) containers(at int) {
	if m.r.IntN(6) == 0 {
		m.line(at, m.pick(`containers: [{name: web, image: "web:1"}]`, "containers: [{name: web}, {name: b, env: [{name: X}]}]", "containers:\n"+strings.Repeat(" ", at)+"- {name: web,\n"+strings.Repeat(" ", at)+"   env: []}"))
		return
	}
	m.line(at, m.pick("containers:", `"containers":`))
	indent := at + 2*m.r.IntN(2)
	for i := range 1 + m.r.IntN(3) {
		m.container(indent, fmt.Sprintf("app%d", i))
	}
}

func (m *manifest) container(at int, name string) {
	dash := m.pick("- ", "- ", "- ", "-   ")
	deep := func(text string, spaces int) string { // continues a value
		return strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", at+len(dash)+spaces))
	}
	keys := []string{"name: " + name}
	if m.r.IntN(4) > 0 {
		keys = append(keys, deep(m.pick("image: web:1", `image: "web:1"`, "image: 'web''s'", "image: >-\nweb:1", "image: web\nmore", "image: \"a\nb\" # x"), 2))
	}
	if m.r.IntN(2) == 0 {
		keys = append(keys, deep(m.pick("env:", "env: []", "env: [{name: A, value: b}]", "env: null", "env:\n- name: A\n  value: b",
			"env:\n- name: PGHOST\n  value: b", "env:\n-   name: A", "env:\n# above\n- {name: A}", "env:\n- name: A\n  value: |\n    text\n    # more"), 2*m.r.IntN(2)))
	}
	if m.r.IntN(3) == 0 {
		keys = append(keys, deep(m.pick("args: [a, b]", "command:\n- sh", "args:\n- |\n    text\n    # text"), 2*m.r.IntN(2)))
	}
	m.r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	m.out.WriteString(strings.Repeat(" ", at) + dash + keys[0] + "\n")
	for _, key := range keys[1:] {
		m.line(at+len(dash), key)
	}
}

func (m *manifest) volumes(at int) {
	if m.r.IntN(2) == 0 {
		indent := strings.Repeat(" ", at+2*m.r.IntN(2))
		m.line(at, m.pick("volumes:", "volumes: []", "volumes: [{name: a}]", "volumes:\n"+indent+"- name: a\n"+indent+"  emptyDir: {}", "volumes:\n"+indent+"- name: a\n"+indent+"- name: b"))
	}
}

func (m *manifest) aliases(at int) {
	if m.r.IntN(3) == 0 {
		return
	}
	indent := strings.Repeat(" ", at+2*m.r.IntN(2))
	m.line(at, m.pick("hostAliases:", "hostAliases: []", "hostAliases: [ ]", "hostAliases: ~", "hostAliases: [{ip: 10.0.0.1, hostnames: [a]}]",
		"hostAliases: [{ip: 127.0.0.1, hostnames: [a]}]", "hostAliases: [{ip: 127.0.0.1, hostnames: [ a , db.prod ]}]", "hostAliases: [{ip: \"127.0.0.1\"}]",
		"hostAliases:\n"+indent+"- ip: 127.0.0.1", "hostAliases:\n"+indent+"- ip: 10.0.0.1\n"+indent+"  hostnames: [a]\n"+indent+"- ip: 127.0.0.1\n"+indent+"  hostnames: [] # none",
		"hostAliases:\n"+indent+"- ip: 127.0.0.1\n"+indent+"  hostnames:", "hostAliases:\n"+indent+"- hostnames:\n"+indent+"  - a\n"+indent+"  # b\n"+indent+"  - b\n"+indent+"  ip: 127.0.0.1",
		"hostAliases:\n"+indent+"- hostnames:\n"+indent+"    -   a # first\n"+indent+"  ip: '127.0.0.1'", "hostAliases:\n"+indent+"- {hostnames: [\n"+indent+"   a,\n"+indent+"   b], ip: 127.0.0.1}",
		"hostAliases:\n"+indent+"- ip: 127.0.0.1\n"+indent+"  hostnames:\n"+indent+"  - db.prod"))
}

// In every style, a second inject changes nothing, and uninject restores every byte; or inject refuses the
// text.
func TestStyles(t *testing.T) {
	const runs = 240
	refused := 0
	for seed := range uint64(runs) {
		m := &manifest{r: rand.New(rand.NewPCG(seed, 1))}
		text := m.deployment()
		if m.r.IntN(4) == 0 {
			text += "---\n" + (&manifest{r: m.r}).deployment()
		}
		switch m.r.IntN(8) {
		case 0:
			text = strings.ReplaceAll(text, "\n", "\r\n")
		case 1:
			text = strings.TrimRight(text, "\n")
		case 2:
			text = "\ufeff" + text
		}
		if !checkStyle(t, []byte(text)) {
			refused++
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, text)
		}
	}
	t.Logf("%d of %d refused", refused, runs)
	if refused > runs/20 {
		t.Errorf("%d of %d refused: usual styles must be possible", refused, runs)
	}
}

// checkStyle returns false if inject refuses the text. It fails the test if inject treats the text wrongly.
func checkStyle(t *testing.T, text []byte) bool {
	t.Helper()
	after, notes, err := testInjector(t).Inject(text)
	if err != nil {
		t.Log(err, "\n"+string(text))
		return false
	}
	if len(notes) == 0 && !bytes.Equal(after, text) {
		t.Errorf("nothing to do, and something done")
	}
	checkRoundTrip(t, text, after)
	return true
}
