package advice

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/golden"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

// TestReasonsPage compares docs/reference/reasons.md with the table; -update writes what is between its
// markers.
func TestReasonsPage(t *testing.T) {
	const path, begin, end = root + "docs/reference/reasons.md", "<!-- reasons -->\n", "<!-- /reasons -->"
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(content), begin)
	_, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		t.Fatalf("%s lacks the line %sor %s", path, begin, end)
	}
	want := before + begin + reasonTables() + end + after
	switch {
	case want == string(content):
	case golden.Update():
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s differs from the table of reasons; run this test with -update", path)
	}
}

// reasonTables has, for each group, a table and what to do about each reason.
func reasonTables() string {
	const columns = 100
	var page strings.Builder
	for _, group := range groups() {
		fmt.Fprintf(&page, "\n## %s\n\n| reason | SQLSTATE | what it means |\n| --- | --- | --- |\n",
			group.Title)
		for _, r := range group.Reasons {
			fmt.Fprintf(&page, "| `%s` | %s | %s |\n", r.Word, states(r.Ends), r.Meaning)
		}
		fmt.Fprintf(&page, "\nWhat to do:\n\n")
		for _, r := range group.Reasons {
			cure := codeVariables(r.Cures)
			if cure == "" {
				cure = "nothing."
			}
			lines := safetext.Wrap("`"+r.Word+"`: "+cure, columns-2)
			fmt.Fprintf(&page, "- %s\n", strings.Join(lines, "\n  "))
			for _, c := range r.Cases {
				lines := safetext.Wrap("If "+c.When+": "+codeVariables(c.Cures), columns-4)
				fmt.Fprintf(&page, "  - %s\n", strings.Join(lines, "\n    "))
			}
		}
	}
	return page.String() + "\n"
}

// states lists SQLSTATEs, each with its phases if there are several.
func states(ends []end) string {
	var codes []string
	phases := map[string][]string{}
	for _, end := range ends {
		code := end.SQLState
		if code == noAnswer {
			code = "none"
		}
		if !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
		phases[code] = append(phases[code], end.Phase.String())
	}
	if len(codes) == 1 {
		return codes[0]
	}
	for i, code := range codes {
		codes[i] = fmt.Sprintf("%s (%s)", code, strings.Join(phases[code], ", "))
	}
	return strings.Join(codes, ", ")
}

// codeVariables returns cures with their variables, and the values that they are set to, as code.
func codeVariables(cures []string) string {
	variable := regexp.MustCompile(`\{(?:own:)?(\w+)\}(=[\w-]+(?:\.\w+)*)?`)
	text := strings.ReplaceAll(strings.Join(cures, " "), "{}", "VALUE")
	return variable.ReplaceAllString(text, "`"+config.Prefix+"$1$2`")
}
