package main

import (
	"context"
	"flag"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/check"
)

func checkFlags(flags *flag.FlagSet, o *check.Options) {
	flags.BoolVar(&o.JSON, "json", false, "")
	flags.BoolVar(&o.Login, "login", false, "")
	flags.BoolVar(&o.NoStartup, "no-startup", false, "")
	flags.StringVar(&o.PasswordFile, "password-file", "", "")
	flags.DurationVar(&o.Timeout, "timeout", 15*time.Second, "")
}

const checkHelp = `
  Walks configuration, files, DNS, TCP, SSLRequest, TLS, chain, name, client certificate, key exchange and the
  server's authentication offer, for every address of every origin, and names the first stage that fails and the
  setting that cures it. Nothing but SSLRequest and TLS leaves before the server is verified.

  --json             the same facts as JSON
  --timeout 15s      for everything together; one connection never takes longer than PGORIGIN_DIAL_TIMEOUT
  --no-startup       stop after TLS. Otherwise a startup packet for PGUSER (else pgorigin_check) and PGDATABASE
                     asks the verified server how it wants to be logged in to, and the connection is ended there;
                     the server may log that as an aborted login
  --login            log in, too: as PGUSER to PGDATABASE, with the password from PGPASSFILE or ~/.pgpass
  --password-file F  with the password in file F instead; not with several origins. PGPASSWORD is never read

  Exit codes: 0 all good, 1 a check failed, 2 wrong usage, 78 wrong configuration.
`

func runCheck(ctx context.Context, p process) int {
	var o check.Options
	code, done := p.parseFlags("check", func(flags *flag.FlagSet) { checkFlags(flags, &o) })
	if done {
		return code
	}
	switch {
	case o.Timeout <= 0:
		return p.misused("check: --timeout must be above zero, such as 15s")
	case o.Login && o.NoStartup:
		return p.misused("check: --login and --no-startup exclude each other")
	case o.PasswordFile != "" && !o.Login:
		return p.misused("check: --password-file is for --login")
	}
	return check.Run(ctx, o, p.Process)
}
