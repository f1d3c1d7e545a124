package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

const helpHead = `pgorigin takes plaintext Postgres clients on localhost to pgbouncer or PostgreSQL inside verified TLS.

Usage:
`

const helpTail = `
Examples:
  PGORIGIN_UPSTREAM_ADDR=pgbouncer.prod.svc:6432 PGORIGIN_TLS_CA_FILE=/etc/pgorigin/ca.crt pgorigin
  psql "host=127.0.0.1 port=6432 sslmode=disable dbname=app user=app"

The upstream's certificate chain and name are always verified; there is no setting to turn that off.
Exit codes: 0 clean end, 1 failure or drain cut short, 2 wrong usage, 78 wrong configuration.
Documentation: https://github.com/pgorigin/pgorigin
`

func runHelp(_ context.Context, p process) int {
	if len(p.args) == 1 && !strings.HasPrefix(p.args[0], "-") {
		if findCommand(p.args[0]) == nil {
			return p.misused("there is no command %s", safetext.Quote(p.args[0]))
		}
		return printHelp(p, p.args[0])
	}
	if code, done := p.parseFlags("help", func(*flag.FlagSet) {}); done {
		return code
	}
	return printHelp(p, "help")
}

// printHelp writes the help of a command; that of run and help is about everything.
func printHelp(p process, name string) int {
	if name != "run" && name != "help" {
		c := findCommand(name)
		fmt.Fprintf(p.Stdout, "pgorigin %s\n  %s\n%s", c.usage, c.summary, c.details)
		return cli.ExitOK
	}
	fmt.Fprintf(p.Stdout, "%s", helpHead)
	table := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
	for _, c := range commands() {
		fmt.Fprintf(table, "  pgorigin %s\t%s\n", c.usage, c.summary)
	}
	fmt.Fprintf(table, "\nEnvironment variables, with what they are when unset. First those that an origin in %sORIGINS has, too, with its\n"+
		"name: reporting has PGORIGIN_REPORTING_UPSTREAM_ADDR and so on. Unset ones are then taken from here, addresses excepted:\n", config.Prefix)
	ofOrigin := true
	for _, v := range config.Variables(new(config.Config)) {
		if ofOrigin && !v.Origin {
			fmt.Fprintf(table, "\nFor the whole process:\n")
			ofOrigin = false
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\n", v.Name, v.Unset, v.Meaning)
	}
	if err := table.Flush(); err != nil {
		return cli.ExitFailed
	}
	fmt.Fprintf(p.Stdout, "%s", helpTail)
	return cli.ExitOK
}
