package main

import (
	"github.com/spf13/cobra"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/sidecar"
)

func newRunCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:        defaultCommand,
		Short:      "Relay clients to the upstream (the default command)",
		SuggestFor: []string{"serve", "start"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			p.code = sidecar.Run(cmd.Context(), p.Process)
			return nil
		},
	}
}
