package inject

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// meaningOf parses a text as the library does, without our cuts.
func meaningOf(text []byte) ([]byte, error) {
	whole := new(source)
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		document := new(yaml.Node)
		err := decoder.Decode(document)
		if errors.Is(err, io.EOF) {
			return whole.meaning(nil), nil
		}
		if err != nil {
			return nil, err
		}
		whole.documents = append(whole.documents, document)
	}
}

// A stream that is cut means the same as a whole one, and is refused if a whole one is.
func TestBatchesMeanTheSame(t *testing.T) {
	lines := []string{
		"---", "--- ", "---\ta", "--- # comment", "--- |", "--- 'a", "--- \"a", "...", "... # end", "%YAML 1.1", "# ---", " ---", "---x", "- ---",
		"a: 1", "b: |", "  text", " # text", "'", "\"", "c: [", "]", "- d", "", "\t", "e: &x 1", "\u2028", "\u0085---", "\r", "---\r", "\ufeff---",
	}
	whole, broken := 0, 0
	for seed := range uint64(8000) {
		r := rand.New(rand.NewPCG(seed, 2))
		var text []byte
		for range 1 + r.IntN(7) {
			text = append(append(text, lines[r.IntN(len(lines))]...), '\n')
		}
		want, wantErr := meaningOf(text)
		var got, joined []byte
		var gotErr error
		for batch := range batches(text, 1+r.IntN(20)) {
			joined = append(joined, batch...)
			meaning, err := meaningOf(batch)
			got, gotErr = append(got, meaning...), errors.Join(gotErr, err)
		}
		if !bytes.Equal(joined, text) {
			t.Fatalf("seed %d: %q became %q", seed, text, joined)
		}
		if wantErr != nil {
			broken++
		} else if whole++; gotErr == nil && !bytes.Equal(got, want) {
			t.Fatalf("seed %d: %q means something else when it is cut", seed, text)
		}
		if (gotErr == nil) != (wantErr == nil) {
			t.Errorf("seed %d: %q: whole %v, cut %v", seed, text, wantErr, gotErr)
		}
	}
	t.Logf("%d read, %d refused", whole, broken)
}

// deployments writes many Deployments as a stream, a List, or a List in one line.
func deployments(n int, style string) []byte {
	const line = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"ä%d"},"spec":{"template":{"spec":{"containers":[{"name":"a","image":"b"}]}}}}`
	const block = "apiVersion: apps/v1\n%skind: Deployment\n%smetadata: {name: web%d}\n%sspec:\n%s  template:\n%s    spec:\n%s      containers:\n%s      - name: a\n"
	var texts []string
	margin := map[string]string{"list": "  "}[style]
	for i := range n {
		text := fmt.Sprintf(line, i)
		if style != "line" {
			text = fmt.Sprintf(block, margin, margin, i, margin, margin, margin, margin, margin)
		}
		texts = append(texts, text)
	}
	switch style {
	case "line":
		return []byte(`{"apiVersion":"v1","kind":"List","items":[` + strings.Join(texts, ",") + "]}\n")
	case "list":
		return []byte("apiVersion: v1\nkind: List\nitems:\n- " + strings.Join(texts, "- "))
	}
	return []byte("---\n" + strings.Join(texts, "---\n"))
}

// Twice as many objects take twice the memory, not more.
func TestMemoryIsLinear(t *testing.T) {
	for _, style := range []string{"stream", "list", "line"} {
		t.Run(style, func(t *testing.T) {
			perObject := func(n int) uint64 {
				text := deployments(n, style)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				injected, notes, err := testInjector(t).Inject(text)
				runtime.ReadMemStats(&after)
				if err != nil || len(notes) != n {
					t.Fatalf("%d notes, %v", len(notes), err)
				}
				if n == 25 {
					checkRoundTrip(t, text, injected)
				}
				return (after.TotalAlloc - before.TotalAlloc) / uint64(n)
			}
			few := perObject(25)
			for _, n := range []int{50, 100} {
				if many := perObject(n); many > few*3/2 {
					t.Errorf("%d objects take %d bytes each, and 25 objects take %d", n, many, few)
				}
			}
		})
	}
}

// The line and the document of a problem are those of the whole stream.
func TestProblemsHaveLinesOfTheStream(t *testing.T) {
	head := strings.Repeat("---\n# a comment\na: b\n", 8000)
	for text, want := range map[string]string{
		"---\na: [\n": "document 8001: line 24002: did not find expected node content",
		"---\napiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: 7}\n":                      "Pod x: line 24005: this does not belong here: !!int `7`",
		"---\napiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, env: null}]}\n": "Pod x: line 24005: env is null in flow style",
	} {
		if _, _, err := testInjector(t).Inject([]byte(head + text + head)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// Every object that is wrong is listed, however far apart they are.
func TestProblemsOfAllBatches(t *testing.T) {
	const wrong = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: x}\n"
	text := strings.Repeat(wrong+strings.Repeat("---\n# a comment\na: b\n", 8000), 3)
	_, _, err := testInjector(t).Inject([]byte(text))
	if refused := new(Refusal); !errors.As(err, &refused) || len(refused.Problems) != 3 {
		t.Errorf("got %v, want three problems", err)
	}
}

func TestLimits(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  annotations:\n%sspec:\n  containers:\n%s"
	repeat := func(n int, format string) string {
		var out strings.Builder
		for i := range n {
			fmt.Fprintf(&out, format, i)
		}
		return out.String()
	}
	for name, c := range map[string]struct{ text, want string }{
		"document":  {"a: b\n---\na: " + strings.Repeat("x", maxDocument), "document 2 has more than 8 MiB: split it, for example a List by namespace"},
		"result":    {fmt.Sprintf(pod, "    a: b\n", "  - name: a\n") + "#" + strings.Repeat("x", maxDocument-200), "document 1 would have more than 8 MiB with pgorigin"},
		"keys":      {fmt.Sprintf(pod, repeat(maxKeys+1, "    a%d: b\n"), "  - name: a\n"), "Pod in line 1: line 6: expected at most 2000 keys, saw 2001"},
		"problems":  {fmt.Sprintf(pod, "    a: b\n", repeat(100, "  - {name: a%d, ports: [{containerPort: 9632}]}\n")), "Pod x: and 90 more problems"},
		"no column": {fmt.Sprintf(pod, "    a: b\n", "  - {a: 'ä"+strings.Repeat("ä", 1000)+"', name: a, env: 7}\n"), "Pod x: line 9: this does not belong here"},
	} {
		_, _, err := testInjector(t).Inject([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v\nwant %s", name, err, c.want)
		}
	}
}
