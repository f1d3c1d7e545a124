package stacks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/golden"
)

const pageHead = `<!-- make docs writes this page. -->

# TLS stacks of applications

An application without pgorigin uses the TLS stack of its language or driver. Some stacks cannot
connect to some servers, and their error messages seldom name the cause. So
` + "`pgorigin check HOST:PORT --clients`" + ` asks a server what it accepts, and predicts from this
table which stacks fail.

Each fact says how it was got:

- *measured*: a test ran that version against a server with that cause. The error message is that of
  the stack.
- *reported*: the linked source says that the stack fails. The error message is the one that users
  quote. Other versions may have another one.

Through pgorigin, all of them connect to each server that pgorigin can verify.
`

// TestStacksPage compares docs/reference/tls-stacks.md with the table; -update writes it.
func TestStacksPage(t *testing.T) {
	var page strings.Builder
	page.WriteString(pageHead)
	writeOffers(&page)
	page.WriteString("\n## What breaks them\n\nA measured stack that is not in the table of a cause connects.\n")
	for _, row := range causeRows() {
		writeCause(&page, row)
	}
	golden.Compare(t, "../../../../docs/reference/tls-stacks.md", page.String())
}

// writeOffers writes what stacks take.
func writeOffers(page *strings.Builder) {
	page.WriteString("\n## What they accept by default\n\n" +
		"Versions and groups are those with which a measured stack connects to a server that has no others.\n" +
		"The size is that of the ClientHello in bytes, with a name of 16 characters. TCP packets of most\n" +
		"networks carry 1448 bytes. For a Go program, the go line of its go.mod counts, too. Each Python\n" +
		"is Debian's. Another build may offer other cipher suites: 3.11.7 from source has no RSA key\n" +
		"exchange.\n\n" +
		"| stack | drivers | TLS | groups | ClientHello | how |\n| --- | --- | --- | --- | ---: | --- |\n")
	table := Table()
	for i := range table {
		k := &table[i]
		if _, always := k.Cells[Always]; always {
			continue
		}
		var versions []string
		for _, v := range k.TLS {
			versions = append(versions, strings.TrimPrefix(versionName(v), "TLS "))
		}
		size := "not known"
		if k.Hello > 0 {
			size = fmt.Sprint(k.Hello)
		}
		fmt.Fprintf(page, "| %s | %s | %s | %s | %s | %s |\n", k, k.Drivers, strings.Join(versions, ", "),
			strings.Join(k.Groups, ", "), size, evidence(k))
	}
}

// writeCause writes which stacks a cause breaks. Versions that say the same share a row.
func writeCause(page *strings.Builder, row causeRow) {
	var lines []string
	versions := map[string][]string{}
	table := Table()
	for i := range table {
		k := &table[i]
		cell, ok := k.Cells[row.Cause]
		if !ok || cell.Verdict != Fails {
			continue
		}
		how := "measured"
		if cell.Source != "" {
			how = "[reported](" + cell.Source + ")"
		}
		words := "not known"
		if cell.Words != "" {
			words = "`" + strings.ReplaceAll(cell.Words, "|", "\\|") + "`"
		}
		line := fmt.Sprintf("| %s %%s | %s | %s |\n", k.Name, words, how)
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
		versions[line] = append(versions[line], k.Versions)
	}
	if lines == nil {
		return
	}
	fmt.Fprintf(page, "\n### %s\n\n%s.\n\n| stack | what its users read | how |\n| --- | --- | --- |\n",
		row.Cause, wrapped(row.meaning))
	for _, line := range lines {
		line = strings.Replace(line, "%s", strings.Join(versions[line], ", "), 1)
		page.WriteString(strings.ReplaceAll(line, "  |", " |"))
	}
}

func evidence(k *Stack) string {
	if k.Measured == "" {
		return "[reported](" + k.Source + ")"
	}
	return "measured: " + k.Measured
}

// wrapped breaks a text into lines of at most 100 columns.
func wrapped(text string) string {
	line, lines := "", []string(nil)
	for word := range strings.FieldsSeq(text) {
		if len(line)+len(word) > 98 {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return strings.Join(append(lines, line), "\n")
}

// String returns name and version, as the page has them.
func (k *Stack) String() string {
	if k.Versions == "" {
		return k.Name
	}
	return k.Name + " " + k.Versions
}
