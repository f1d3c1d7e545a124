package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

// reportUsage says what is wrong with the command line of cmd, and returns the exit code for that.
func reportUsage(w io.Writer, cmd *cobra.Command, err error) int {
	name := ""
	if cmd.HasParent() {
		name = cmd.Name() + ": "
	}
	text := safetext.Printable(name + err.Error())
	fmt.Fprintf(w, "pgorigin: %s\nRun \"pgorigin help\" for commands and variables.\n", text)
	return cli.ExitUsage
}

// refuseArguments is for commands without arguments.
func refuseArguments(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("unexpected argument %s", safetext.Quote(args[0]))
}

// refuseCommand is for the root command, whose only arguments are names of commands that do not exist.
func refuseCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := "there is no command " + safetext.Quote(args[0])
	names := []string{defaultCommand} // the likeliest one, if several are as near
	for _, cmd := range root.Commands() {
		names = append(names, cmd.Name())
	}
	near := config.Nearest(args[0], names)
	if others := root.SuggestionsFor(args[0]); near == "" && len(others) > 0 {
		near = others[0] // also what SuggestFor says
	}
	if near != "" && args[0] != "" && near != args[0] {
		text += "; did you mean " + near + "?"
	}
	return errors.New(text)
}

// explainFlagError says what is wrong with a flag, and which flag or variable was probably meant.
func explainFlagError(cmd *cobra.Command, err error) error {
	if !cmd.HasParent() && cmd.Flags().NArg() > 0 { // the flag belongs to a command that does not exist
		return refuseCommand(cmd, cmd.Flags().Args())
	}
	if invalid := new(pflag.InvalidValueError); errors.As(err, &invalid) {
		return fmt.Errorf("--%s: %w", invalid.GetFlag().Name, invalid.Unwrap())
	}
	unknown := new(pflag.NotExistError)
	if !errors.As(err, &unknown) {
		return err
	}
	typed, dashed := unknown.GetSpecifiedName(), "--"+unknown.GetSpecifiedName()
	if letters := unknown.GetSpecifiedShortnames(); letters != "" {
		typed, dashed = letters, "-"+letters
	}
	var flags []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
	text := "there is no flag " + safetext.Quote(dashed)
	if near := config.Nearest(typed, flags); near != "" {
		return errors.New(text + "; did you mean --" + near + "?")
	}
	if cmd.HasParent() && cmd.Name() != defaultCommand {
		return errors.New(text)
	}
	text += "; settings are environment variables"
	variable := config.Prefix + strings.ToUpper(strings.ReplaceAll(typed, "-", "_"))
	if near := config.Nearest(variable, config.Names()); near != "" {
		text += "; did you mean " + near + "?"
	}
	return errors.New(text)
}

// durationFlag is a flag whose value is a duration, as variables have them.
type durationFlag struct{ *time.Duration }

// Set reads the value.
func (f durationFlag) Set(value string) (err error) {
	*f.Duration, err = config.ParseDuration(value)
	return err
}

// String is for the help, which shows no default if it is empty.
func (f durationFlag) String() string {
	if f.Duration == nil || *f.Duration == 0 {
		return ""
	}
	return f.Duration.String()
}

// Type is the word for the value in the help.
func (durationFlag) Type() string { return "duration" }

// acceptSingleDash turns -name into --name for every flag that exists, as Go's own package flag does.
func acceptSingleDash(root *cobra.Command, args []string) []string {
	names := map[string]bool{"help": true}
	for _, cmd := range append(root.Commands(), root) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names[f.Name] = true })
	}
	out := make([]string, 0, len(args))
	for i, arg := range args {
		if arg == "--" || i > 0 && args[0] == execCommand && isCommand(args[i-1], arg) {
			return append(out, args[i:]...) // what follows is for another command
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if len(name) > 1 && names[name] && strings.HasPrefix(arg, "-") {
			arg = "-" + arg
		}
		out = append(out, arg)
	}
	return out
}

// isCommand reports whether arg, which follows before, is the command of "pgorigin exec": neither a flag nor the
// value of one.
func isCommand(before, arg string) bool {
	return !strings.HasPrefix(arg, "-") && (!strings.HasPrefix(before, "-") || strings.Contains(before, "="))
}

// flagsToCommands makes a first argument --help or --version the command of that name, so that what follows
// means the same: "pgorigin --version --json", "pgorigin --help check".
func flagsToCommands(args []string) []string {
	if len(args) == 0 {
		return args
	}
	switch args[0] {
	case "-h", "--help":
		return append([]string{"help"}, args[1:]...)
	case "--version":
		return append([]string{"version"}, args[1:]...)
	}
	return args
}
