package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// process is what a command may touch of the world.
type process struct {
	cli.Process
	args []string // behind the command's name
}

// command is one subcommand. Its run returns an exit code.
type command struct {
	name, usage, summary string
	details              string // what "pgorigin help NAME" adds; a flag begins its line there, see flagsIn
	run                  func(ctx context.Context, p process) int
}

func commands() []command {
	return []command{
		{"run", "run", "relay clients to the upstream (the default)", "", runRun},
		{"check", "check [flags]", "walk the way to the upstream and say what is wrong with it; \"pgorigin help check\" lists flags", checkHelp, runCheck},
		{"explain", "explain REASON|VARIABLE", "print what a reason or a variable means, and what to do", explainHelp, runExplain},
		{"healthcheck", "healthcheck [--ready]", "ask a running pgorigin whether it is alive, or ready", healthcheckHelp, runHealthcheck},
		{"wait", "wait [--timeout 60s]", "wait until a pgorigin is up, even one that is yet to start", waitHelp, runWait},
		{"shutdown", "shutdown [--wait 30s]", "tell a running pgorigin to drain and end", shutdownHelp, runShutdown},
		{"config", "config [--json]", "print the effective settings, and where each comes from", configHelp, runConfig},
		{"env", "env", "print an environment file with every variable, commented", envHelp, runEnv},
		{"inject", "inject [flags] [-f FILE]", "put pgorigin into the pods of Kubernetes manifests", injectDetails(), runInject},
		{"uninject", "uninject [-f FILE]", "take it out again", uninjectHelp, runUninject},
		{"webhook", "webhook", "put pgorigin into new pods of a cluster that ask for it", webhookDetails(), runWebhook},
		{"completion", "completion bash|zsh|fish", "print what makes a shell complete commands and flags", completionHelp, runCompletion},
		{"version", "version [--json]", "print the version", versionHelp, runVersion},
		{"help", "help [command]", "print this help", "", runHelp},
	}
}

// run executes the command line and returns the exit code. The end of ctx means the same as SIGTERM.
func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	p := process{args: args, Process: cli.Process{Env: env, Stdout: stdout, Stderr: stderr, Build: cli.ReadBuild(version, revision, date)}}
	name := "run"
	if len(args) > 0 {
		name, p.args = args[0], args[1:]
	}
	switch name {
	case "-h", "-help", "--help":
		name = "help"
	case "-version", "--version":
		name = "version"
	}
	if c := findCommand(name); c != nil {
		return c.run(ctx, p)
	}
	if strings.HasPrefix(name, "-") {
		return p.misused("there is no flag %s; settings are environment variables", safetext.Quote(name))
	}
	if near := config.Nearest(name, commandNames()); near != "" {
		return p.misused("there is no command %s; did you mean %s?", safetext.Quote(name), near)
	}
	return p.misused("there is no command %s", safetext.Quote(name))
}

// findCommand returns nil for a name that no command has.
func findCommand(name string) *command {
	all := commands()
	if i := slices.IndexFunc(all, func(c command) bool { return c.name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

func commandNames() []string {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return names
}

// parseFlags reads the flags of command name, for which define adds them, and allows no further arguments. If done,
// the command is over with that exit code.
func (p process) parseFlags(name string, define func(*flag.FlagSet)) (code int, done bool) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	define(flags)
	switch err := flags.Parse(p.args); {
	case errors.Is(err, flag.ErrHelp):
		return printHelp(p, name), true
	case err != nil:
		return p.misused("%s: %v", name, err), true
	case flags.NArg() > 0:
		return p.misused("%s: unexpected argument %s", name, safetext.Quote(flags.Arg(0))), true
	}
	return cli.ExitOK, false
}

// misused complains about the command line, with a hint, and returns the exit code for that.
func (p process) misused(format string, args ...any) int {
	fmt.Fprintf(p.Stderr, "pgorigin: "+format+"\nRun \"pgorigin help\" for commands and variables.\n", args...)
	return cli.ExitUsage
}
