// Package road measures how far a reader has to go to follow one ordinary case through a package.
//
// Record runs one small test under the coverage tool. Read then reads the functions that ran in the order in
// which a reader meets them: from a start function, and into each function where the text mentions it first.
package road

import (
	"bufio"
	"context"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Road is what Read found.
type Road struct {
	Functions int // that ran in the package, and are read from the start function on
	Files     int // that hold these functions
	Stays     int // contiguous readings of one file
	Returns   int // stays in a file that was left before
	Steps     []Step
}

// Step is one function in the order of reading.
type Step struct{ File, Function string }

// String prints one line for each stay.
func (r Road) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d functions in %d files, %d stays, %d returns", r.Functions, r.Files, r.Stays,
		r.Returns)
	file := ""
	for _, s := range r.Steps {
		if s.File != file {
			file = s.File
			fmt.Fprintf(&b, "\n  %-20s", file)
		}
		b.WriteString(" " + s.Function)
	}
	return b.String()
}

// Walk runs the test and reads the package in dir from start on, a function or a method as in "Dialer.Dial".
// Functions for which skip returns true, and what only they need, are left out.
func Walk(ctx context.Context, dir, test, start string, skip func(file, function string) bool) (Road, error) {
	run, err := Record(ctx, dir, test)
	if err != nil {
		return Road{}, err
	}
	return run.Read(start, skip)
}

// Run is one run of a test in a package.
type Run struct {
	source *source
	ran    []block
}

// Record runs a test of the package in dir.
func Record(ctx context.Context, dir, test string) (*Run, error) {
	profile, err := os.CreateTemp("", "road")
	if err != nil {
		return nil, fmt.Errorf("make profile: %w", err)
	}
	defer func() { _ = os.Remove(profile.Name()) }()
	defer func() { _ = profile.Close() }()
	_, err = goTool(ctx, dir, "test", "-count=1", "-run=^"+test+"$", "-coverprofile="+profile.Name(), ".")
	if err != nil {
		return nil, err
	}
	run := new(Run)
	if run.ran, err = readProfile(profile); err != nil {
		return nil, err
	}
	run.source, err = load(ctx, dir)
	return run, err
}

func goTool(ctx context.Context, dir string, args ...string) (string, error) {
	var out, complaints strings.Builder
	run := exec.CommandContext(ctx, "go", args...)
	run.Dir, run.Stdout, run.Stderr = dir, &out, &complaints
	if err := run.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s%s", args[0], err, out.String(), complaints.String())
	}
	return out.String(), nil
}

// block is a piece of code that ran, by the lines of a file.
type block struct {
	file        string
	first, last int
}

// readProfile returns the blocks that ran.
func readProfile(profile *os.File) ([]block, error) {
	var ran []block
	lines := bufio.NewScanner(profile)
	for lines.Scan() {
		place, rest, ok := strings.Cut(lines.Text(), ":")
		var b block
		var column, statements, count int
		n, err := fmt.Sscanf(rest, "%d.%d,%d.%d %d %d", &b.first, &column, &b.last, &column, &statements,
			&count)
		switch {
		case place == "mode" && ok:
		case err != nil || n != 6:
			return nil, fmt.Errorf("profile line %q: %w", lines.Text(), err)
		case count > 0:
			b.file = filepath.Base(place)
			ran = append(ran, b)
		}
	}
	return ran, lines.Err()
}

// source is a package with its types.
type source struct {
	fset  *token.FileSet
	files []*ast.File
	uses  map[*ast.Ident]types.Object
	decls map[types.Object]*ast.FuncDecl
}

// load parses the package in dir for this system and resolves its names.
func load(ctx context.Context, dir string) (*source, error) {
	list, err := goTool(ctx, dir, "list", "-f", `{{.ImportPath}}{{"\n"}}{{join .GoFiles "\n"}}`, ".")
	if err != nil {
		return nil, err
	}
	exports, err := goTool(ctx, dir, "list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", ".")
	if err != nil {
		return nil, err
	}
	s := &source{fset: token.NewFileSet(), decls: map[types.Object]*ast.FuncDecl{}}
	names := strings.Split(strings.TrimSpace(list), "\n")
	for _, name := range names[1:] {
		file, err := parser.ParseFile(s.fset, filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("parse: %w", err)
		}
		s.files = append(s.files, file)
	}
	compiled := map[string]string{}
	for line := range strings.SplitSeq(exports, "\n") {
		path, export, _ := strings.Cut(line, "=")
		compiled[path] = export
	}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(compiled[path]) }
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: importer.ForCompiler(s.fset, "gc", lookup)}
	if _, err := config.Check(names[0], s.fset, s.files, info); err != nil {
		return nil, fmt.Errorf("resolve names: %w", err)
	}
	s.uses = info.Uses
	for _, file := range s.files {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				s.decls[info.Defs[f.Name]] = f
			}
		}
	}
	return s, nil
}

// Read goes from start into each function that ran, where the text first mentions it.
func (r *Run) Read(start string, skip func(file, function string) bool) (Road, error) {
	s, ran := r.source, r.ran
	var found Road
	seen := map[*ast.FuncDecl]bool{}
	var visit func(f *ast.FuncDecl)
	visit = func(f *ast.FuncDecl) {
		file, name := filepath.Base(s.fset.Position(f.Pos()).Filename), nameOf(f)
		first, last := s.fset.Position(f.Pos()).Line, s.fset.Position(f.End()).Line
		within := func(b block) bool { return b.file == file && first <= b.first && b.last <= last }
		if seen[f] || !slices.ContainsFunc(ran, within) || skip(file, name) {
			return
		}
		seen[f] = true
		found.step(Step{file, name})
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				if called := s.decls[s.uses[id]]; called != nil {
					visit(called)
				}
			}
			return true
		})
	}
	for _, f := range s.decls {
		if nameOf(f) == start {
			visit(f)
		}
	}
	if found.Functions == 0 {
		return found, fmt.Errorf("%s did not run", start)
	}
	return found, nil
}

func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	receiver := f.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	if generic, ok := receiver.(*ast.IndexExpr); ok {
		receiver = generic.X
	}
	if id, ok := receiver.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

// step adds one function to the road.
func (r *Road) step(next Step) {
	known := slices.ContainsFunc(r.Steps, func(s Step) bool { return s.File == next.File })
	if len(r.Steps) == 0 || r.Steps[len(r.Steps)-1].File != next.File {
		r.Stays++
		if known {
			r.Returns++
		}
	}
	if !known {
		r.Files++
	}
	r.Functions++
	r.Steps = append(r.Steps, next)
}
