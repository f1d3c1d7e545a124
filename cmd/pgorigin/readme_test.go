package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/golden"
)

const (
	readme      = "../../docs/reference/configuration.md"
	tableBegins = "<!-- variables -->\n"
	tableEnds   = "<!-- /variables -->"
)

// variablesTable is the table of settings for docs/reference/configuration.md, from the same structs as help.
func variablesTable() string {
	var table strings.Builder
	table.WriteString("| variable | default | meaning |\n| --- | --- | --- |\n")
	ofOrigin := true
	for _, v := range config.Variables(new(config.Config)) {
		if ofOrigin && !v.Origin {
			table.WriteString("| *those above each origin may have for itself; those below are for the whole process* | | |\n")
			ofOrigin = false
		}
		unset := "`" + v.Unset + "`"
		if !hasDefault(v.Name) {
			unset = v.Unset
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", v.Name, unset, strings.ReplaceAll(v.Meaning, "|", `\|`))
	}
	return table.String()
}

// hasDefault tells a default value from words about what leaving a variable out means.
func hasDefault(name string) bool {
	s, _, _ := config.Load(nil)
	for _, v := range config.Variables(&s) {
		if v.Name == name {
			return v.Value != "" && name != config.Prefix+"UPSTREAM_ADDR"
		}
	}
	return false
}

// TestReadmeHasTheVariables keeps docs/reference/configuration.md in step; -update rewrites what is between the markers.
func TestReadmeHasTheVariables(t *testing.T) {
	content, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(content), tableBegins)
	table, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		t.Fatalf("%s lacks the line %sor %s", readme, tableBegins, tableEnds)
	}
	if want := variablesTable(); table != want {
		if !golden.Update() {
			t.Fatalf("the table in %s is not\n%s(run the test with -update)", readme, want)
		}
		updated := before + tableBegins + want + tableEnds + after
		if err := os.WriteFile(readme, []byte(updated), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
