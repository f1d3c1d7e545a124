package main

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write depguard's rules into .golangci.yml")

// Every import of the product is granted by the table of rooms.
func TestImports(t *testing.T) {
	found, err := readImports("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range violations(house(), found) {
		t.Error(problem)
	}
}

// A forbidden import is found, in whichever room it is made. Each row adds one to a house in order.
func TestForbiddenImportsAreFound(t *testing.T) {
	own := func(folder string) string { return module + "/" + folder }
	var rows [][2]string // from, imported
	for _, r := range house() {
		rows = append(rows, [2]string{r.Package, own("test/servers")}, [2]string{r.Package, own("tlsorigin/tlstest")},
			[2]string{r.Package, "github.com/xdg-go/stringprep"}, [2]string{r.Package, "example.com/anything"})
		if r.Package != command {
			rows = append(rows, [2]string{r.Package, own(command)}, [2]string{r.Package, cobra})
		}
		if r.Package != config {
			rows = append(rows, [2]string{r.Package, envconfig})
		}
		leaf, _, _ := strings.Cut(r.Package, "/")
		if leaf == "cmd" {
			continue
		}
		rows = append(rows, [2]string{r.Package, zap})
		for _, other := range []string{"pgwire", "tlsorigin", "health"} {
			if other != leaf {
				rows = append(rows, [2]string{r.Package, own(other)})
			}
		}
		if leaf != "tlsorigin" {
			rows = append(rows, [2]string{r.Package, cryptoTLS})
		}
	}
	rows = append(rows, [][2]string{
		{check, own(sidecar)},
		{check, own(observe)},
		{check, zap},
		{sidecar, own(check)},
		{sidecar, own(inject)},
		{observe, own(sidecar)},
		{advice, own(observe)},
		{advice, own(check)},
		{advice, zap},
		{config, own(advice)},
		{config, own(observe)},
		{control, own(advice)},
		{control, own(sidecar)},
		{host, own(config)},
		{inject, own(config)},
		{inject, own(host)},
		{"tlsorigin", own("tlsorigin/spares")},
		{"tlsorigin", own("tlsorigin/outage")},
		{"tlsorigin", own("tlsorigin/diagnose")},
		{"tlsorigin/diagnose", own("tlsorigin/spares")},
		{"tlsorigin/internal/verify", own("tlsorigin")},
		{"pgwire/internal/scram", own("pgwire")},
		{"pgwire/internal/evloop", own("pgwire")},
		{"pgwire/internal/scram", own("pgwire/internal/evloop")},
		{"pgwire/internal/evloop", own("pgwire/internal/scram")},
	}...)
	inOrder := imports{}
	for _, r := range house() {
		inOrder[r.Package] = []string{"fmt", "net/http"}
		inOrder[r.Package] = append(inOrder[r.Package], r.Libraries...)
		for _, granted := range r.Rooms {
			inOrder[r.Package] = append(inOrder[r.Package], own(strings.TrimSuffix(granted, "/...")))
		}
	}
	if problems := violations(house(), inOrder); len(problems) > 0 {
		t.Fatalf("a house in order is refused: %q", problems)
	}
	for _, row := range rows {
		from, imported := row[0], row[1]
		if strings.HasSuffix(from, "test") && imported == own("tlsorigin/tlstest") {
			continue
		}
		found := maps.Clone(inOrder)
		found[from] = append(slices.Clone(found[from]), imported)
		want := []string{from + " must not import " + imported}
		if got := violations(house(), found); !slices.Equal(got, want) {
			t.Errorf("%s imports %s: got %q, want %q", from, imported, got, want)
		}
	}
}

// What is wrong with the table itself is found, too.
func TestTableIsChecked(t *testing.T) {
	roof, cellar := room{Package: "a", Rooms: []string{"b"}}, room{Package: "b"}
	both := imports{"a": {module + "/b"}, "b": {}}
	for name, tt := range map[string]struct {
		rooms []room
		found imports
		want  string
	}{
		"nothing":          {[]room{roof, cellar}, both, ""},
		"upside down":      {[]room{cellar, roof}, both, "the row of a grants b, which stands not below it"},
		"unused":           {[]room{{Package: "a", Rooms: []string{"b"}, Libraries: []string{cobra}}, cellar}, both, "the row of a grants " + cobra + ", which it does not import"},
		"row without room": {[]room{roof, cellar, {Package: "c"}}, both, "c has a row and no Go file"},
		"room without row": {[]room{roof, cellar}, imports{"a": {module + "/b"}, "b": {}, "c": {}}, "c has no row in the table of rooms"},
	} {
		if got := strings.Join(violations(tt.rooms, tt.found), "; "); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// Imports are read from the files of every system, but not from tests.
func TestReadImports(t *testing.T) {
	top := t.TempDir()
	for name, text := range map[string]string{
		"cmd/a/a.go":           "package a\nimport \"fmt\"",
		"cmd/a/a_windows.go":   "package a\nimport \"os\"",
		"cmd/a/a_test.go":      "package a\nimport \"testing\"",
		"charts/x.go":          "package charts",
		"pgwire/x.go":          "package pgwire",
		"tlsorigin/x.go":       "package tlsorigin",
		"health/x.go":          "package health",
		"health/testdata/a.md": "",
	} {
		file := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := readImports(top)
	if err != nil {
		t.Fatal(err)
	}
	want := imports{"cmd/a": {"fmt", "os"}, "charts": nil, "pgwire": nil, "tlsorigin": nil, "health": nil}
	if !maps.EqualFunc(found, want, slices.Equal) {
		t.Errorf("got %q, want %q", found, want)
	}
}

// depguard has the same rules. "go test ./test/house -update" writes them.
func TestDepguardHasTheRules(t *testing.T) {
	const file, begin, end = "../../.golangci.yml", "    depguard:\n      rules:\n", "    errcheck:"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	rules, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no rules between %q and %q", file, begin, end)
	}
	if rules == depguard(house()) {
		return
	}
	if !*update {
		t.Fatal("the rules of depguard differ from the table of rooms: go test ./test/house -update")
	}
	if err := os.WriteFile(file, []byte(before+begin+depguard(house())+end+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCirclesAndUpwardUses(t *testing.T) {
	on := func(files ...string) map[string]bool {
		used := map[string]bool{}
		for _, file := range files {
			used[file] = true
		}
		return used
	}
	for name, tt := range map[string]struct {
		uses    graph
		order   string
		upward  int
		circles int
	}{
		"a ladder":    {graph{"c": on("b"), "b": on("a"), "a": on()}, "c b a", 0, 0},
		"a circle":    {graph{"a": on("b"), "b": on("c"), "c": on("a"), "d": on("a")}, "d a b c", 1, 1},
		"two circles": {graph{"a": on("b"), "b": on("a"), "c": on("d"), "d": on("c", "a")}, "d a b c", 2, 2},
	} {
		if got := strings.Join(tt.uses.order(), " "); got != tt.order {
			t.Errorf("%s: order %s, want %s", name, got, tt.order)
		}
		if got := len(tt.uses.upward()); got != tt.upward {
			t.Errorf("%s: %d upward uses, want %d", name, got, tt.upward)
		}
		if got := len(tt.uses.circles()); got != tt.circles {
			t.Errorf("%s: %d circles, want %d", name, got, tt.circles)
		}
	}
}
