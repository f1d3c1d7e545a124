package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/execute"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

const execHelp = `exec runs COMMAND with pgorigin beside it, until COMMAND ends. It takes the
connection URL from DATABASE_URL, or from the variables of --url-env. These
variables, PGHOST and PGPORT then lead COMMAND to pgorigin.

pgorigin takes over what the URL says about TLS. It always verifies chain and
name, unless the URL says verify-ca and names a CA. The variables of "pgorigin
run" apply, with other defaults: PGORIGIN_LOG_LEVEL is warn,
PGORIGIN_HEALTH_ADDR is off, PGORIGIN_SHUTDOWN_TIMEOUT is 5s.

pgorigin passes signals to COMMAND, and ends when COMMAND has ended.

Exit codes: that of COMMAND; 128 and the number of the signal that ended it; 126
COMMAND cannot be executed; 127 there is no COMMAND; 1 pgorigin cannot listen; 2
wrong usage; 78 wrong configuration.`

const execExample = `  DATABASE_URL=postgres://app:secret@db.example.com/app?sslmode=require \
  pgorigin exec ./migrate --all
  pgorigin exec --url-env PRIMARY_URL,REPLICA_URL -- node server.js`

func newExecCommand(p *program) *cobra.Command {
	o := execute.Options{URLEnv: []string{"DATABASE_URL"}, Listen: execute.ListenAuto}
	cmd := &cobra.Command{
		Use:     execCommand + " [flags] [--] COMMAND [ARG...]",
		Short:   "Run a command that reaches its database through pgorigin",
		Long:    execHelp,
		Example: execExample,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("expected a command, such as: pgorigin exec -- ./server")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Named = cmd.Flags().Changed("url-env")
			p.code = execute.Run(cmd.Context(), p.Process, o, args)
			return nil
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows COMMAND is for COMMAND
	cmd.Flags().Var(namesFlag{&o.URLEnv}, "url-env", "variables with connection URLs")
	cmd.Flags().Var(listenFlag{&o.Listen}, "listen", "where COMMAND connects: auto, socket or tcp")
	return cmd
}

// execCommand is the name of the command whose arguments are another command.
const execCommand = "exec"

// namesFlag is a comma list of names of variables.
type namesFlag struct{ names *[]string }

// Set reads the value.
func (f namesFlag) Set(value string) error {
	var names []string
	for name := range strings.SplitSeq(value, ",") {
		name = strings.TrimSpace(name)
		switch {
		case strings.Trim(name, "_") == "" || strings.ContainsAny(name, "= \x00"):
			return fmt.Errorf("expected names of variables such as DATABASE_URL,REPLICA_URL; %s is none",
				safetext.Quote(name))
		case slices.Contains(names, name):
			return fmt.Errorf("expected each name once; remove one %s", safetext.Quote(name))
		}
		names = append(names, name)
	}
	*f.names = names
	return nil
}

// String is the default in the help.
func (f namesFlag) String() string {
	if f.names == nil {
		return ""
	}
	return strings.Join(*f.names, ",")
}

// Type is the word for the value in the help.
func (namesFlag) Type() string { return "names" }

// listenFlag is one of the ways to connect.
type listenFlag struct{ listen *execute.Listen }

// Set reads the value.
func (f listenFlag) Set(value string) error {
	switch way := execute.Listen(value); way {
	case execute.ListenAuto, execute.ListenSocket, execute.ListenTCP:
		*f.listen = way
		return nil
	}
	return errors.New("expected auto, socket or tcp")
}

// String is the default in the help.
func (f listenFlag) String() string {
	if f.listen == nil {
		return ""
	}
	return string(*f.listen)
}

// Type is the word for the value in the help.
func (listenFlag) Type() string { return "way" }
