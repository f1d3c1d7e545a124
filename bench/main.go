// Command bench is "make bench": pgorigin side by side with a direct TLS connection, stunnel, pgbouncer as a sidecar and a
// naive relay, over a real PostgreSQL and a real pgbouncer on loopback. Every round measures every row, in another order
// each time; tables and plots show medians of the rounds. docs/performance.md is its work.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	rounds  int
	only    []string // names of figures; empty means all
	rows    []string // names of rows; empty means all
	quick   bool
	origins []origin // of pgorigin; empty means: build one
	json    string
	update  bool
	render  bool
}

func parse(args []string, usage io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(usage)
	list := func(target *[]string) func(string) error {
		return func(text string) error {
			*target = strings.Split(text, ",")
			return nil
		}
	}
	flags.IntVar(&o.rounds, "rounds", 7, "how often every row is measured")
	flags.BoolVar(&o.quick, "quick", false, "measure for moments only: shows that the benchmarks work, not what they find")
	flags.StringVar(&o.json, "json", "", "`file` to write the samples to")
	flags.BoolVar(&o.update, "update", false, "write docs/performance.md and what belongs to it")
	flags.BoolVar(&o.render, "render", false, "measure nothing: write docs/performance.md anew from docs/performance.json")
	names := collect(figures(), func(f figure) string { return f.name })
	flags.Func("only", "`figures` to measure, with commas: "+strings.Join(names, ","), list(&o.only))
	flags.Func("rows", "`rows` to measure, with commas: direct,pgorigin,stunnel,pgbouncer,naive Go; a pgorigin with all its variants", list(&o.rows))
	flags.Func("pgorigin", "`[label=]path` of a binary to measure; repeat it to compare builds", func(text string) error {
		label, path, ok := strings.Cut(text, "=")
		if !ok {
			label, path = "pgorigin", text
		}
		path, err := filepath.Abs(path)
		o.origins = append(o.origins, origin{label: label, path: path})
		return err
	})
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("read flags: %w", err)
	}
	if o.update && len(o.rows) > 0 {
		return o, errors.New("read flags: -update takes all rows, without -rows")
	}
	for _, name := range o.only {
		if !slices.Contains(names, name) {
			return o, fmt.Errorf("read flags: there is no figure %q", name)
		}
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	top, err := servers.Repository()
	if err != nil {
		return err
	}
	past, err := readHistory(top)
	if err != nil {
		return err
	}
	if o.render {
		return past.write(top)
	}
	out, err := measure(ctx, o, stderr)
	if out != nil { // after Ctrl-C, what there is
		out.write(stdout)
		err = errors.Join(err, out.save(o.json))
	}
	if err != nil {
		return err
	}
	if o.update {
		past.add(out)
		if err := past.write(top); err != nil {
			return err
		}
	}
	if len(out.Failures) > 0 {
		return fmt.Errorf("%d measurements failed, see above", len(out.Failures))
	}
	return nil
}

// measure runs all rounds. With an error it returns what was measured before, if anything was.
func measure(ctx context.Context, o options, progress io.Writer) (out *report, err error) {
	if err := raiseLimit(); err != nil {
		return nil, err
	}
	lab, err := servers.NewLab(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	s, err := newStage(ctx, lab, o)
	if err != nil {
		return nil, err
	}
	out = &report{Rounds: o.rounds, Quick: o.quick, Rows: collect(s.rows, func(r row) string { return r.name })}
	for _, each := range s.origins {
		out.Origins = append(out.Origins, each.label)
	}
	if out.Machine, err = s.describeMachine(ctx); err != nil {
		return nil, err
	}
	for round := range o.rounds {
		for _, f := range figures() {
			if len(o.only) > 0 && !slices.Contains(o.only, f.name) || f.most > 0 && round >= f.most {
				continue
			}
			fmt.Fprintf(progress, "%s  round %d of %d: %s\n", time.Now().Format(time.TimeOnly), round+1, o.rounds, f.name)
			if err := f.round(ctx, s, out); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

// write prints budgets and tables.
func (r *report) write(w io.Writer) {
	var b strings.Builder
	(&history{Runs: []*report{r}}).writeBudgets(&b)
	for _, f := range figures() {
		if len(r.situations(f)) > 0 {
			fmt.Fprintf(&b, "## %s\n\n", f.title)
			r.writeFigure(&b, f)
		}
	}
	r.writeFailures(&b)
	fmt.Fprint(w, b.String())
}

// save writes the samples to a file, unless path is empty.
func (r *report) save(path string) error {
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("write samples: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write samples: %w", err)
	}
	return nil
}
