package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/inject"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

// maxStream bounds a file for inject: all of it is in memory.
const maxStream = 64 << 20

const injectHelp = `
  Reads Kubernetes objects as YAML or JSON and writes them with pgorigin in every Pod, Deployment, StatefulSet, DaemonSet,
  ReplicaSet, Job and CronJob, also in a List: as a native sidecar (Kubernetes 1.29 and later), the first of the init containers.
  Containers without PGHOST, PGHOSTADDR, PGPORT and PGSSLMODE get these, pointing at it. All else stays byte for byte as it is.
  Injecting again replaces what was injected before; "pgorigin uninject" takes it out again. A pod template with the label
  pgorigin/inject: "false" is left alone. An annotation pgorigin/NAME on a pod template wins over the flag --NAME; image and
  image-pull-policy are flags only.

    pgorigin inject -f shop.yaml --upstream pgbouncer.prod.svc:6432 --ca-secret pgbouncer-ca | kubectl apply -f -

  -f FILE             read this file; may be given more than once; - and none at all are standard input
`

const injectCodes = `
  Exit codes: 0 done, 1 an object or the text is not fit for it, and nothing was written; 2 wrong usage.
`

const uninjectHelp = `
  Takes out what "pgorigin inject" or the webhook has put in: of what inject writes it makes what inject read, byte for byte.

  -f FILE             read this file; may be given more than once; - and none at all are standard input
` + injectCodes

// injectDetails is the help with the vocabulary.
func injectDetails() string {
	var out strings.Builder
	out.WriteString(injectHelp)
	for _, word := range inject.Words() {
		fmt.Fprintf(&out, "  --%-18s%s\n", word.Name, word.Meaning)
	}
	out.WriteString(injectCodes)
	return out.String()
}

// newInjector checks upstreams as run does.
func newInjector() *inject.Injector {
	return &inject.Injector{CheckUpstream: new(config.UpstreamAddrs).Decode}
}

// releases matches the versions for which there is an image.
var releases = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+$`)

func runInject(_ context.Context, p process) int {
	injector := newInjector()
	if about := p.Build; releases.MatchString(about.Version) {
		injector.Defaults.Image = "ghcr.io/pgorigin/pgorigin:" + about.Version
	}
	var files fileList
	code, done := p.parseFlags("inject", func(flags *flag.FlagSet) {
		flags.Var(&files, "f", "")
		for _, word := range inject.Words() {
			flags.Func(word.Name, "", func(value string) error { return injector.Set(word.Name, value) })
		}
	})
	if done {
		return code
	}
	if problems := injector.Check(func(word string) string { return "--" + word }); len(problems) > 0 {
		return p.misused("inject: %s", strings.Join(problems, "; "))
	}
	return p.transform("inject", files, injector.Inject)
}

func runUninject(_ context.Context, p process) int {
	var files fileList
	code, done := p.parseFlags("uninject", func(flags *flag.FlagSet) { flags.Var(&files, "f", "") })
	if done {
		return code
	}
	return p.transform("uninject", files, inject.Uninject)
}

// fileList collects a flag that may be given more than once.
type fileList []string

func (f *fileList) String() string { return strings.Join(*f, " ") }

// Set adds one.
func (f *fileList) Set(name string) error {
	if name == "" {
		return errors.New("expected the name of a file, or - for standard input")
	}
	*f = append(*f, name)
	return nil
}

// transform writes what change makes of the files, or, if anything is wrong with any, only what that is.
func (p process) transform(name string, files fileList, change func([]byte) ([]byte, []inject.Note, error)) int {
	if len(files) == 0 {
		files = fileList{"-"}
	}
	var out bytes.Buffer
	code := cli.ExitOK
	for _, file := range files {
		text, notes, err := transformFile(file, change)
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				fmt.Fprintf(p.Stderr, "pgorigin: %s: %s\n", name, safetext.Printable(line))
			}
			code = cli.ExitFailed
			continue
		}
		for _, note := range notes {
			fmt.Fprintf(p.Stderr, "%s: %s\n", safetext.Printable(note.Object), safetext.Printable(note.Text))
		}
		joinStream(&out, text)
	}
	if code != cli.ExitOK {
		return code
	}
	if _, err := p.Stdout.Write(out.Bytes()); err != nil {
		fmt.Fprintf(p.Stderr, "pgorigin: %s: write: %v\n", name, err)
		return cli.ExitFailed
	}
	return cli.ExitOK
}

func transformFile(name string, change func([]byte) ([]byte, []inject.Note, error)) ([]byte, []inject.Note, error) {
	file := os.Stdin
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil { //nolint:gosec // the user's own choice
			return nil, nil, err
		}
		defer func() { _ = file.Close() }()
	}
	text, err := io.ReadAll(io.LimitReader(file, maxStream+1))
	if err != nil {
		return nil, nil, err
	}
	if len(text) > maxStream {
		return nil, nil, fmt.Errorf("%s: expected at most %d MiB; split it", name, maxStream>>20)
	}
	changed, notes, err := change(text)
	if refused := new(inject.Refusal); err != nil && !errors.As(err, &refused) {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return changed, notes, err
}

// joinStream adds a YAML stream to another, as a document of its own.
func joinStream(out *bytes.Buffer, text []byte) {
	if out.Len() > 0 {
		if !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
			out.WriteByte('\n')
		}
		if !bytes.HasPrefix(text, []byte("---")) {
			out.WriteString("---\n")
		}
	}
	out.Write(text)
}
