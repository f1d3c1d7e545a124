package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
)

// Set by the linker (-X main.version=v1.2.3), because a build that embeds nothing of the repository that it is made in is the
// same everywhere; otherwise what Go embeds is used. The date is the commit's.
//
//nolint:gochecknoglobals // the linker can set nothing else
var version, revision, date string

const versionHelp = `
  --json             with revision, date, Go version and platform, as JSON
`

func runVersion(_ context.Context, p process) int {
	var asJSON bool
	code, done := p.parseFlags("version", func(flags *flag.FlagSet) {
		flags.BoolVar(&asJSON, "json", false, "")
	})
	if done {
		return code
	}
	b := p.Build
	if asJSON {
		if err := json.NewEncoder(p.Stdout).Encode(b); err != nil {
			return cli.ExitFailed
		}
		return cli.ExitOK
	}
	revision, date := orUnknown(b.Revision), orUnknown(b.Date)
	fmt.Fprintf(p.Stdout, "pgorigin %s (revision %s, %s, %s, %s)\n", b.Version, revision, date, b.Go, b.Platform)
	return cli.ExitOK
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
