package config

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/golden"
)

// TestVariablesPage compares docs/reference/configuration.md with the table; -update writes what is between
// its markers.
func TestVariablesPage(t *testing.T) {
	const path, begin, end = "../../../../docs/reference/configuration.md", "<!-- variables -->\n", "<!-- /variables -->"
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(content), begin)
	_, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		t.Fatalf("%s lacks the marker %sor %s", path, begin, end)
	}
	golden.Compare(t, path, before+begin+variablesTable()+end+after)
}

// variablesTable is one table with a group of rows for each section.
func variablesTable() string {
	var page strings.Builder
	section, seen := "", map[string]bool{}
	for _, v := range append(Variables(), webhookVariables()...) {
		if seen[v.Word] {
			continue // the webhook has some variables of run
		}
		seen[v.Word] = true
		if v.Section != section {
			section = v.Section
			fmt.Fprintf(&page, "\n## %s\n\n| variable | default | values | scope | meaning |\n| --- | --- | --- | --- | --- |\n", section)
		}
		def := v.Unset
		if v.Default != "" {
			def = code(v.Default)
		}
		values := v.Type.Name
		if v.Type.Words != nil {
			values = code(v.Type.Words...)
		}
		if v.Example != "" {
			values += ", such as " + code(v.Example)
		}
		help := v.Help
		if v.File != NoFile && v.File != FileInValue && v.File != FileWritten {
			help += " pgorigin reads it " + string(v.File) + "."
		}
		fmt.Fprintf(&page, "| %s | %s | %s | %s | %s |\n", code(v.Name()), def, values, scopeText(v), strings.ReplaceAll(help, "|", `\|`))
	}
	return page.String() + "\n"
}

func scopeText(v Variable) string {
	text := v.Scope()
	for _, word := range []string{v.Word, v.Unless} {
		if word != "" {
			text = strings.ReplaceAll(text, " "+word, " "+code(word))
		}
	}
	return text
}

func code(words ...string) string { return "`" + strings.Join(words, "`, `") + "`" }
