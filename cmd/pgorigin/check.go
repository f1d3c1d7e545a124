package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/check"
)

const checkHelp = `check tests the path to the upstream, stage by stage: configuration, files,
ports, DNS, TCP, SSLRequest, TLS, chain, name, client certificate, key exchange
and authentication. It tests every address of every origin. It also connects
once as for a client, and its result is that of this connection. If it fails,
the report names the stage that fails, and the cure. If it works although an
address or a ClientHello failed, the result is "degraded": the report has a
warning, and the exit code is 0.

check never waits for an upstream that is away. It says whether clients would
wait, and which of several addresses they would use.

With HOST:PORT or a connection URL, check tests that upstream and needs no
variables. A URL means the same as in PGORIGIN_UPSTREAM_URL: sslmode=require
verifies in full. It may also have several hosts and relative paths. check does
not use a password in the URL. Variables that begin with PGORIGIN_TLS_ still
hold, unless the URL says otherwise.

With --clients, the report also says which TLS stacks of applications cannot
connect to the upstream without pgorigin, and why. For that, check sends more
ClientHellos. The server may log them as failed handshakes. --clients needs no
trusted certificate.

After a failure, check changes one thing at a time and tries again: settings of
TLS, the name, the client certificate, the other usual port of the same host.
With a cure that says "tried", check has connected. A trial verifies the server
as a connection does.

check sends nothing but SSLRequest and TLS before it has verified the server.
Then it sends a startup packet for PGUSER and PGDATABASE, reads how the server
wants clients to log in, and disconnects. The server may log an aborted login.
Without PGUSER, the user is pgorigin_check. check never reads PGPASSWORD.

Exit codes: 0 a client gets a connection, 1 it gets none, 2 wrong usage,
78 wrong configuration, also in the URL.`

func newCheckCommand(p *program) *cobra.Command {
	o := check.Options{Timeout: 15 * time.Second}
	cmd := &cobra.Command{
		Use:   "check [HOST:PORT|URL] [flags]",
		Short: "Test the path to the upstream and say what is wrong",
		Long:  checkHelp,
		Example: "  pgorigin check\n  pgorigin check db.example.com:5432 --clients\n" +
			"  pgorigin check 'postgres://app@db.example.com/app?sslrootcert=ca.crt'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("give one upstream; several addresses are one argument, with commas")
			}
			return nil
		},
		SuggestFor: []string{"doctor", "test", "verify"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Target = &args[0]
			}
			if o.Clients && !cmd.Flags().Changed("timeout") {
				o.Timeout *= 2
			}
			switch {
			case o.Login && o.NoStartup:
				return errors.New("--login and --no-startup exclude each other")
			case o.PasswordFile != "" && !o.Login:
				return errors.New("--password-file is for --login")
			}
			p.code = check.Run(cmd.Context(), o, p.Process)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.JSON, "json", false, "print the report as JSON")
	flags.Var(durationFlag{&o.Timeout}, "timeout",
		"time for the whole check; PGORIGIN_DIAL_TIMEOUT limits each connection, too")
	flags.BoolVar(&o.Clients, "clients", false,
		"say which TLS stacks of applications cannot connect; doubles --timeout unless that is set")
	flags.BoolVar(&o.NoStartup, "no-startup", false, "stop after TLS, without a startup packet")
	flags.BoolVar(&o.Login, "login", false,
		"log in as PGUSER to PGDATABASE, with the password from PGORIGIN_AUTH_PASSWORD_FILE, "+
			"PGPASSFILE or ~/.pgpass")
	flags.StringVar(&o.PasswordFile, "password-file", "",
		"read the password for --login from `FILE`; not with several origins")
	_ = cmd.MarkFlagFilename("password-file") // the flag exists
	return cmd
}
