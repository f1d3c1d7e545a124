package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/sidecar"
)

const configHelp = `
  Reads the variables and the files that they name as run does, and prints each setting with its effective value and
  where it comes from: default, environment, or the variable that an origin takes it from. Secrets are not shown.
  Without a CA of your own, the value of PGORIGIN_TLS_CA_FILE is where the system's roots are. SSL_CERT_FILE and
  SSL_CERT_DIR replace those.
  What is wrong goes to standard error, all at once.

  --json             the same as a JSON array

  Exit codes: 0 run would start with it, 2 wrong usage, 78 wrong configuration.
`

func runConfig(_ context.Context, p process) int {
	var asJSON bool
	code, done := p.parseFlags("config", func(flags *flag.FlagSet) {
		flags.BoolVar(&asJSON, "json", false, "")
	})
	if done {
		return code
	}
	list, doubts, problems := sidecar.Settings(p.Process)
	if len(problems) > 0 {
		config.Report(p.Stderr, problems)
		return cli.ExitConfig
	}
	for _, d := range doubts {
		fmt.Fprintf(p.Stderr, "pgorigin: doubtful: %s\n", d)
	}
	if err := writeSettings(p.Stdout, list, asJSON); err != nil {
		return cli.ExitFailed
	}
	return cli.ExitOK
}

func writeSettings(w io.Writer, list []config.ShownSetting, asJSON bool) error {
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

const envHelp = `
  For "docker run --env-file", compose's env_file and systemd's EnvironmentFile. Every line but the one that is required
  is commented, and has the default if there is one.
`

const envHead = `# Settings of pgorigin %s. Remove the # in front of what you change.
# The application then connects to host=127.0.0.1 port=6432 sslmode=disable.
`

func runEnv(_ context.Context, p process) int {
	if code, done := p.parseFlags("env", func(*flag.FlagSet) {}); done {
		return code
	}
	fmt.Fprintf(p.Stdout, envHead, p.Build.Version)
	defaults, _, _ := config.Load(nil)
	whole := false
	for _, v := range config.Variables(&defaults) {
		if !whole && !v.Origin {
			fmt.Fprintf(p.Stdout, "\n# Those above each origin in %sORIGINS may have for itself, those below are for the whole process.\n", config.Prefix)
			whole = true
		}
		fmt.Fprintf(p.Stdout, "\n# %s\n", v.Meaning)
		switch {
		case v.Name == config.Prefix+"UPSTREAM_ADDR":
			fmt.Fprintf(p.Stdout, "%s=pgbouncer.example.com:6432\n", v.Name)
		case v.Value == "":
			fmt.Fprintf(p.Stdout, "# Unset: %s.\n#%s=\n", v.Unset, v.Name)
		default:
			fmt.Fprintf(p.Stdout, "#%s=%s\n", v.Name, v.Value)
		}
	}
	return cli.ExitOK
}
