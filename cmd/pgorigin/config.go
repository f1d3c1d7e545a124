package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/sidecar"
)

const configHelp = `config reads the variables and their files as run does. It prints each setting
with its effective value and its source: default, environment, or the variable
that an origin inherits it from. It never prints secrets. All problems go to
standard error.

If no CA is set, PGORIGIN_TLS_CA_FILE shows where the system keeps its roots.
SSL_CERT_FILE and SSL_CERT_DIR replace these roots.

Exit codes: 0 run would start, 2 wrong usage, 78 wrong configuration.`

func newConfigCommand(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "config [--json]",
		Short:      "Print the effective settings and where each comes from",
		Long:       configHelp,
		SuggestFor: []string{"settings", "show"},
		RunE: func(*cobra.Command, []string) error {
			p.code = p.printConfig(asJSON)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

// printConfig returns the exit code.
func (p *program) printConfig(asJSON bool) int {
	list, warnings, problems := sidecar.Settings(p.Process)
	if len(problems) > 0 {
		config.Report(p.Stderr, problems)
		return cli.ExitConfig
	}
	for _, w := range warnings {
		fmt.Fprintf(p.Stderr, "pgorigin: warning: %s\n", w)
	}
	if err := config.WriteSettings(p.Stdout, list, asJSON); err != nil {
		return cli.ExitFailed
	}
	return cli.ExitOK
}
