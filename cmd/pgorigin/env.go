package main

import (
	"github.com/spf13/cobra"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
)

const envHelp = `env prints a file for "docker run --env-file", for env_file of compose and for
EnvironmentFile of systemd. Each line except the required one is a comment. A
line has the default of its variable, if there is one.`

func newEnvCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "Print a commented environment file with every variable",
		Long:  envHelp,
		RunE: func(*cobra.Command, []string) error {
			config.WriteEnvFile(p.Stdout, p.Build.Version)
			return nil
		},
	}
}
