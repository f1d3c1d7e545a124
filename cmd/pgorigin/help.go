package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

const rootHelp = `pgorigin accepts plaintext Postgres clients on localhost and connects them to
pgbouncer or PostgreSQL over verified TLS. Without a command, it runs.

pgorigin verifies the certificate chain and the name of the upstream before a
login. Only PGORIGIN_TLS_VERIFY=verify-ca checks less: it skips the name.

Exit codes: 0 clean end, 1 failure or drain cut short, 2 wrong usage,
78 wrong configuration.

Documentation: https://github.com/pgorigin/pgorigin`

const rootExample = `  PGORIGIN_UPSTREAM_ADDR=pgbouncer.prod.svc:6432 \
  PGORIGIN_TLS_CA_FILE=/etc/pgorigin/ca.crt pgorigin
  psql "host=127.0.0.1 port=6432 sslmode=disable dbname=app user=app"`

func newHelpCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "help [command]",
		DisableFlagsInUseLine: true,
		Short:                 "Print help about a command, or all commands and variables",
		ValidArgsFunction: completeFirst(func(cmd *cobra.Command) []string {
			var names []string
			for _, c := range cmd.Root().Commands() {
				if c.IsAvailableCommand() {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return cmd.Root().Help()
			case 1:
				about, _, err := cmd.Root().Find(args)
				if err != nil || !about.HasParent() {
					return refuseCommand(cmd.Root(), args)
				}
				return about.Help()
			}
			return refuseArguments(cmd, args[1:])
		},
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { p.printHelp(cmd.Root(), nil) })
	return cmd
}

// printHelp writes the help of cmd. That of the root command and of run lists the variables, too.
func (p *program) printHelp(cmd *cobra.Command, _ []string) {
	if cmd.Name() == defaultCommand {
		cmd = cmd.Root()
	}
	var text bytes.Buffer
	writeHelp(&text, cmd)
	if !cmd.HasParent() {
		config.WriteHelp(&text)
	}
	if _, err := text.WriteTo(p.Stdout); err != nil {
		p.code = cli.ExitFailed
	}
}

// writeHelp writes the description and the usage of cmd.
func writeHelp(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(w, "%s\n\n", cmp.Or(cmd.Long, cmd.Short+"."))
	writeUsage(w, cmd)
}

// writeUsage writes the usage line, commands, flags and examples of cmd.
func writeUsage(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(w, "Usage:\n  %s\n", cmd.UseLine())
	for _, group := range cmd.Groups() {
		fmt.Fprintf(w, "\n%s\n", group.Title)
		for _, c := range cmd.Commands() {
			if c.GroupID == group.ID {
				fmt.Fprintf(w, "  %-*s  %s\n", cmd.NamePadding(), c.Name(), c.Short)
			}
		}
	}
	cmd.InitDefaultHelpFlag()
	fmt.Fprintf(w, "\nFlags:\n%s", cmd.LocalFlags().FlagUsagesWrapped(safetext.Columns))
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
}
