package config

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

const variablesHelp = `
Environment variables. The value of an unset one stands in parentheses.
`

const processHelp = `
An origin "reporting" in PGORIGIN_ORIGINS has the variables above, too, with its
name: PGORIGIN_REPORTING_UPSTREAM_ADDR. If one is unset, the origin inherits the
value from above. It inherits no address.

The variables below are for the whole process.
`

// WriteHelp lists the variables of run, by section.
func WriteHelp(w io.Writer) {
	fmt.Fprint(w, variablesHelp)
	section, process := "", false
	for _, v := range Variables() {
		if !v.PerOrigin && !process {
			process = true
			fmt.Fprint(w, processHelp)
		}
		if v.Section != section {
			section = v.Section
			fmt.Fprintf(w, "\n%s:\n", section)
		}
		writeVariable(w, v)
	}
}

// WriteWebhookHelp lists the variables of the webhook.
func WriteWebhookHelp(w io.Writer) {
	fmt.Fprintf(w, "%s\n", variablesHelp)
	for _, v := range webhookVariables() {
		writeVariable(w, v)
	}
}

func writeVariable(w io.Writer, v Variable) {
	name := v.Name()
	if v.Type.Words != nil {
		name += "=" + strings.Join(v.Type.Words, "|")
	}
	fmt.Fprintf(w, "  %s  (%s)\n%s", name, v.WithoutValue(), indented("      ", v.Help))
}

// indented breaks text into lines that begin with prefix.
func indented(prefix, text string) string {
	lines := safetext.Wrap(text, safetext.Columns-len(prefix))
	return prefix + strings.Join(lines, "\n"+prefix) + "\n"
}

const envHead = `# Settings of pgorigin %s. Remove the # in front of what you change.
# The application then connects to host=127.0.0.1 port=6432 sslmode=disable.
#
# Variables of an origin. Each origin in PGORIGIN_ORIGINS may have its own.
`

// WriteEnvFile writes an environment file with every variable. Only what is required is in force.
func WriteEnvFile(w io.Writer, version string) {
	fmt.Fprintf(w, envHead, version)
	process := false
	for _, v := range Variables() {
		if !process && !v.PerOrigin {
			fmt.Fprint(w, "\n# Variables of the whole process.\n")
			process = true
		}
		fmt.Fprintf(w, "\n%s", indented("# ", v.Help))
		switch {
		case v.Required:
			fmt.Fprintf(w, "%s=%s\n", v.Name(), v.Example)
		case v.Default == "":
			fmt.Fprintf(w, "# Unset: %s.\n#%s=\n", v.Unset, v.Name())
		default:
			fmt.Fprintf(w, "#%s=%s\n", v.Name(), v.Default)
		}
	}
}

// WriteSettings writes one line a setting, or JSON.
func WriteSettings(w io.Writer, list []Setting, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		return out.Encode(list)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range list {
		value := safetext.Printable(s.Value)
		if s.Value == "" {
			value = "(" + s.Unset + ")"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", s.Variable, value, s.From)
	}
	return table.Flush()
}
