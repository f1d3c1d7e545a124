package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
)

const explainHelp = `
  Prints what a reason word means, when it occurs and what to do about it; or what
  a variable means, and for which reasons it is a cure.
`

func runExplain(_ context.Context, p process) int {
	if len(p.args) != 1 || strings.HasPrefix(p.args[0], "-") {
		if code, done := p.parseFlags("explain", func(*flag.FlagSet) {}); done && len(p.args) == 1 {
			return code
		}
		return p.misused("explain: give one reason, such as cert_expired, or one variable")
	}
	err := advice.Explain(p.Stdout, p.args[0])
	var unknown *advice.UnknownWordError
	switch {
	case errors.As(err, &unknown):
		return p.misused("explain: %v", err)
	case err != nil:
		fmt.Fprintf(p.Stderr, "pgorigin: %v\n", err)
		return cli.ExitFailed
	}
	return cli.ExitOK
}
