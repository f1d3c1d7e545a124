package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/inject"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

const injectHelp = `inject reads Kubernetes objects as YAML or JSON. It adds pgorigin to the pods of
every Pod and of every kind with a pod template, also in a List. Such kinds are
Deployment, StatefulSet, DaemonSet, Job, CronJob and, for example, a Rollout.
pgorigin becomes a native sidecar (Kubernetes 1.29 and later), the first of the
init containers. Everything else stays as it is, byte for byte.

A container without any of PGHOST, PGHOSTADDR, PGPORT and PGSSLMODE gets PGHOST,
PGPORT and PGSSLMODE, which lead it to the sidecar. With --intercept, the name
of the database itself leads there, and no container gets these variables.

A second inject replaces what the first one added. "pgorigin uninject" removes
it. Both leave alone what has changed since, and a sidecar of the library chart.

inject skips a pod template with the label pgorigin/inject: "false". An
annotation pgorigin/NAME of a pod template overrides the flag --NAME, except for
--image and --image-pull-policy.

Standard error has a line for each object. It also has a line for each container
that bypasses pgorigin, for example by a URL with another host.

--check is for the pipeline of a repository with injected manifests. It fails if
inject would change a manifest, or if a container bypasses pgorigin.

` + injectCodes

const injectCodes = `Exit codes: 0 done, 1 an object or the text is wrong, and nothing was written;
2 wrong usage.`

const injectExample = `  pgorigin inject -f shop.yaml --upstream pgbouncer.prod.svc:6432 \
    --ca-secret pgbouncer-ca | kubectl apply -f -`

// releases matches the versions for which there is an image.
var releases = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+$`)

func newInjectCommand(p *program) *cobra.Command {
	injector := new(inject.Injector)
	if v := p.Build.Version; releases.MatchString(v) {
		_ = injector.Set("image", "ghcr.io/pgorigin/pgorigin:"+v) // a version is a valid tag
	}
	var files []string
	var check bool
	cmd := &cobra.Command{
		Use:     "inject [flags] [-f FILE]",
		Short:   "Put pgorigin into the pods of Kubernetes manifests",
		Long:    injectHelp,
		Example: injectExample,
		RunE: func(cmd *cobra.Command, _ []string) error {
			problems := injector.Check(func(word string) string { return "--" + word }, fmt.Sprintf(
				"--image is not set: pgorigin %s has no published image; "+
					"build one, and write for example --image registry.example.com/pgorigin:v0.1.0", p.Build.Version))
			if len(problems) > 0 {
				return errors.New(strings.Join(problems, "; "))
			}
			if check {
				return p.editManifests(cmd, files, injector.CheckInjected)
			}
			return p.editManifests(cmd, files, injector.Inject)
		},
	}
	addFilenameFlag(cmd, &files)
	cmd.Flags().BoolVar(&check, "check", false,
		"write no manifests; exit 1 if inject would change or refuse one, or a container bypasses pgorigin")
	for _, word := range inject.Words() {
		cmd.Flags().Var(&wordFlag{injector, word.Name}, word.Name, word.Meaning)
		if len(word.Values) > 0 {
			complete := cobra.FixedCompletions(word.Values, cobra.ShellCompDirectiveNoFileComp)
			_ = cmd.RegisterFlagCompletionFunc(word.Name, complete) // the flag exists
		}
	}
	return cmd
}

const uninjectHelp = `uninject removes what "pgorigin inject" added to manifests. It turns the output
of inject into the input of inject, byte for byte. It leaves alone what has
changed since, and says so.

` + injectCodes

func newUninjectCommand(p *program) *cobra.Command {
	var files []string
	cmd := &cobra.Command{
		Use:   "uninject [-f FILE]",
		Short: "Remove what inject added to Kubernetes manifests",
		Long:  uninjectHelp,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.editManifests(cmd, files, inject.Uninject)
		},
	}
	addFilenameFlag(cmd, &files)
	return cmd
}

// wordFlag is a flag that sets one of the injector's defaults.
type wordFlag struct {
	injector *inject.Injector
	name     string
}

// Set checks and sets the value.
func (f *wordFlag) Set(value string) error { return f.injector.Set(f.name, value) }

// String returns nothing, so that help shows no default: the meaning of a word says what happens without it.
func (f *wordFlag) String() string { return "" }

// Type returns what help shows for the value.
func (f *wordFlag) Type() string { return "string" }

// addFilenameFlag adds -f, which may be given more than once.
func addFilenameFlag(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVarP(files, "filename", "f", nil,
		"read `FILE`; may be given more than once; - is standard input (default -)")
	_ = cmd.MarkFlagFilename("filename", "yaml", "yml", "json") // the flag exists
}

// editManifests prints the files after edit, or only what is wrong with them. An error is about usage.
func (p *program) editManifests(cmd *cobra.Command, files []string, edit inject.Edit) error {
	for _, file := range files {
		if file == "" {
			return errors.New("--filename: expected the name of a file, or - for standard input")
		}
	}
	out, notes, err := inject.Files(files, cmd.InOrStdin(), edit)
	for _, note := range notes {
		fmt.Fprintf(p.Stderr, "%s: %s\n", safetext.Printable(note.Object), safetext.Printable(note.Text))
	}
	if err == nil {
		_, err = p.Stdout.Write(out)
	}
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(p.Stderr, "pgorigin: %s: %s\n", cmd.Name(), safetext.Printable(line))
		}
		p.code = cli.ExitFailed
	}
	return nil
}
