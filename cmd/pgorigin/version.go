package main

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
)

// The linker sets these (-X main.version=v1.2.3), so that a build does not depend on the repository that it
// is made in. If they are empty, pgorigin shows what Go embeds. The date is the commit's.
//
//nolint:gochecknoglobals // the linker can set nothing else
var version, revision, date string

func newVersionCommand(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version [--json]",
		Short: "Print the version",
		RunE: func(*cobra.Command, []string) error {
			if !asJSON {
				p.printVersion()
			} else if err := json.NewEncoder(p.Stdout).Encode(p.Build); err != nil {
				p.code = cli.ExitFailed
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print revision, date, Go version and platform, too, as JSON")
	return cmd
}

func (p *program) printVersion() {
	b := p.Build
	fmt.Fprintf(p.Stdout, "pgorigin %s (revision %s, %s, %s, %s)\n",
		b.Version, cmp.Or(b.Revision, "unknown"), cmp.Or(b.Date, "unknown"), b.Go, b.Platform)
}
