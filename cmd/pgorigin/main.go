package main

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/sidecar"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run executes the command line and returns the exit code. The end of ctx means the same as SIGTERM.
func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	p := &program{Process: cli.Process{
		Env: env, Stdout: stdout, Stderr: stderr, Build: cli.ReadBuild(version, revision, date),
	}}
	root := newRootCommand(p)
	root.SetArgs(flagsToCommands(acceptSingleDash(root, args)))
	root.SetOut(stdout)
	root.SetErr(stderr)
	if cmd, err := root.ExecuteContextC(ctx); err != nil {
		return reportUsage(stderr, cmd, err)
	}
	return p.code
}

// The groups of commands, in the order of help.
const (
	groupServe      = "serve"
	groupDiagnose   = "diagnose"
	groupKubernetes = "kubernetes"
	groupOther      = "other"
)

func newRootCommand(p *program) *cobra.Command {
	var showVersion bool
	root := &cobra.Command{
		Use:                        "pgorigin [command]",
		DisableFlagsInUseLine:      true,
		Short:                      "Connect plaintext Postgres clients over verified TLS",
		Long:                       rootHelp,
		Example:                    rootExample,
		Args:                       refuseCommand,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 1,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if showVersion {
				p.printVersion()
				return nil
			}
			p.code = sidecar.Run(cmd.Context(), p.Process)
			return nil
		},
	}
	root.Flags().BoolVar(&showVersion, "version", false, "print the version")
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.SetFlagErrorFunc(explainFlagError)
	root.SetHelpFunc(p.printHelp)
	root.AddGroup(
		&cobra.Group{ID: groupServe, Title: "Serve and control:"},
		&cobra.Group{ID: groupDiagnose, Title: "Configure and diagnose:"},
		&cobra.Group{ID: groupKubernetes, Title: "Kubernetes:"},
		&cobra.Group{ID: groupOther, Title: "Other:"},
	)
	addCommands(root, groupServe,
		newRunCommand(p), newExecCommand(p), newWaitCommand(p), newHealthcheckCommand(p), newShutdownCommand(p))
	addCommands(root, groupDiagnose,
		newCheckCommand(p), newExplainCommand(p), newConfigCommand(p), newEnvCommand(p))
	addCommands(root, groupKubernetes, newInjectCommand(p), newUninjectCommand(p), newWebhookCommand(p))
	addCommands(root, groupOther, newCompletionCommand(p), newVersionCommand(p))
	root.SetHelpCommand(newHelpCommand(p))
	root.SetHelpCommandGroupID(groupOther)
	return root
}

// addCommands adds commands to a group of root. Commands take no arguments unless they say so.
func addCommands(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.GroupID = group
		cmd.DisableFlagsInUseLine = true
		cmd.Flags().SortFlags = false
		if cmd.Args == nil {
			cmd.Args = refuseArguments
		}
		root.AddCommand(cmd)
	}
}
