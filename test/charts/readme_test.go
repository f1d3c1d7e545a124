//go:build charts

package charts

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// valuesTable is the part of a chart's README.md that is generated from its values.yaml.
var valuesTable = regexp.MustCompile(`(?s)<!-- values -->\n.*<!-- /values -->\n`)

// The tables of values are those of values.yaml; -update writes them.
func TestReadmesShowTheValues(t *testing.T) {
	for _, name := range []string{"pgorigin-sidecar", "pgorigin"} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(chart(t, name), "values.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			var document yaml.Node
			if err := yaml.Unmarshal(text, &document); err != nil {
				t.Fatal(err)
			}
			table := "<!-- values -->\n| value | default | meaning |\n| --- | --- | --- |\n" +
				strings.Join(valueRows(t, "", document.Content[0]), "") + "<!-- /values -->\n"
			path := filepath.Join(chart(t, name), "README.md")
			readme, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !valuesTable.Match(readme) {
				t.Fatalf("%s has no place for the table", path)
			}
			want := valuesTable.ReplaceAllLiteralString(string(readme), table)
			if *update {
				if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if want != string(readme) {
				t.Errorf("%s is not that of values.yaml; go test -tags charts ./test/charts -run Readmes -update", path)
			}
		})
	}
}

// valueRows returns a row for each value: those with a comment that begins with "-- ". A leaf without one is an error.
func valueRows(t *testing.T, prefix string, mapping *yaml.Node) []string {
	t.Helper()
	var rows []string
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		name := prefix + key.Value
		_, meaning, found := strings.Cut(key.HeadComment, "# -- ")
		switch {
		case found:
			var decoded any
			if err := value.Decode(&decoded); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(decoded)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, fmt.Sprintf("| `%s` | `%s` | %s |\n", name, text, meaning))
		case value.Kind == yaml.MappingNode:
			rows = append(rows, valueRows(t, name+".", value)...)
		default:
			t.Errorf("value %s has no comment that begins with `# -- `", name)
		}
	}
	return rows
}
