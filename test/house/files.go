package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// graph says which files of one package use which others: a name that another file declares.
type graph map[string]map[string]bool

// listed is one package as "go list" describes it.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

// list asks the go command for the product's packages and for what they import, compiled.
func list(ctx context.Context, top string) (own []listed, exports map[string]string, err error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles",
		"./cmd/...", "./pgwire/...", "./tlsorigin/...", "./health/...")
	cmd.Dir, cmd.Stderr = top, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("list packages: %w", err)
	}
	exports = map[string]string{}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, nil, fmt.Errorf("read list of packages: %w", err)
		}
		exports[p.ImportPath] = p.Export
		if strings.HasPrefix(p.ImportPath, module+"/") {
			own = append(own, p)
		}
	}
	slices.SortFunc(own, func(a, b listed) int { return cmp.Compare(a.ImportPath, b.ImportPath) })
	return own, exports, nil
}

// uses type-checks a package for this system and returns which of its files use which.
func uses(p listed, exports map[string]string) (graph, int, error) {
	set, lines := token.NewFileSet(), 0
	var files []*ast.File
	g := graph{}
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, 0, fmt.Errorf("parse: %w", err)
		}
		files = append(files, file)
		if !ast.IsGenerated(file) {
			lines += set.File(file.FileStart).LineCount()
		}
		g[name] = map[string]bool{}
	}
	open := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	info := types.Info{Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: importer.ForCompiler(set, "gc", open)}
	pkg, err := conf.Check(p.ImportPath, set, files, &info)
	if err != nil {
		return nil, 0, fmt.Errorf("type-check: %w", err)
	}
	for ident, object := range info.Uses {
		from, to := fileOf(set, ident.Pos()), fileOf(set, object.Pos())
		if object.Pkg() == pkg && from != to {
			g[from][to] = true
		}
	}
	return g, lines, nil
}

func fileOf(set *token.FileSet, pos token.Pos) string {
	return filepath.Base(set.Position(pos).Filename)
}

// count returns how many pairs of files there are in which one uses the other.
func (g graph) count() (n int) {
	for _, to := range g {
		n += len(to)
	}
	return n
}

// upward returns the uses against the order of reading, as "user > used".
func (g graph) upward() (found []string) {
	place := map[string]int{}
	for i, file := range g.order() {
		place[file] = i
	}
	for _, from := range slices.Sorted(maps.Keys(g)) {
		for _, to := range slices.Sorted(maps.Keys(g[from])) {
			if place[to] < place[from] {
				found = append(found, from+" > "+to)
			}
		}
	}
	return found
}

// order returns the files in an order that puts users first as far as possible. It is found greedily (Eades, Lin and
// Smyth), so a better one may exist.
func (g graph) order() []string {
	left := slices.Sorted(maps.Keys(g))
	var first, last []string
	for len(left) > 0 {
		degree := func(file string) (out, in int) {
			for _, other := range left {
				if g[file][other] {
					out++
				}
				if g[other][file] {
					in++
				}
			}
			return out, in
		}
		next, toFront, best := left[0], true, -len(g)-1
		for _, file := range left {
			out, in := degree(file)
			if out == 0 {
				next, toFront = file, false
				break
			}
			if out-in > best {
				next, best = file, out-in
			}
		}
		left = slices.DeleteFunc(left, func(file string) bool { return file == next })
		if toFront {
			first = append(first, next)
		} else {
			last = append([]string{next}, last...)
		}
	}
	return append(first, last...)
}

// circles returns the groups of files of which each uses, by way of others, itself.
func (g graph) circles() (groups [][]string) {
	reach := map[string]map[string]bool{}
	for file := range g {
		reach[file] = map[string]bool{}
		g.walk(file, reach[file])
	}
	seen := map[string]bool{}
	for _, file := range slices.Sorted(maps.Keys(g)) {
		if seen[file] || !reach[file][file] {
			continue
		}
		var group []string
		for _, other := range slices.Sorted(maps.Keys(g)) {
			if reach[file][other] && reach[other][file] {
				seen[other] = true
				group = append(group, other)
			}
		}
		groups = append(groups, group)
	}
	return groups
}

func (g graph) walk(file string, reached map[string]bool) {
	for next := range g[file] {
		if !reached[next] {
			reached[next] = true
			g.walk(next, reached)
		}
	}
}
