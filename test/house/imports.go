package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/pgorigin/pgorigin"

// imports are what each package of the product imports, by folder. They cover the files for every system, and no tests.
type imports map[string][]string

// readImports parses the files below top.
func readImports(top string) (imports, error) {
	found := imports{}
	for _, folder := range []string{"cmd", "charts", "pgwire", "tlsorigin", "health"} {
		err := filepath.WalkDir(filepath.Join(top, folder), func(file string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			return found.add(top, file)
		})
		if err != nil {
			return nil, fmt.Errorf("read imports below %s: %w", folder, err)
		}
	}
	return found, nil
}

func (i imports) add(top, file string) error {
	source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	folder, err := filepath.Rel(top, filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("find folder of %s: %w", file, err)
	}
	folder = filepath.ToSlash(folder)
	paths := i[folder]
	for _, spec := range source.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("read import of %s: %w", file, err)
		}
		if !slices.Contains(paths, name) {
			paths = append(paths, name)
		}
	}
	slices.Sort(paths)
	i[folder] = paths
	return nil
}

// violations returns one sentence for each import that rooms do not grant, and for each row or package without the
// other.
func violations(rooms []room, found imports) []string {
	var problems []string
	for n, r := range rooms {
		if _, ok := found[r.Package]; !ok {
			problems = append(problems, fmt.Sprintf("%s has a row and no Go file", r.Package))
		}
		for _, granted := range r.Rooms {
			here := func(other room) bool { return matches(granted, other.Package) }
			if slices.ContainsFunc(rooms[:n+1], here) || !slices.ContainsFunc(rooms[n+1:], here) {
				problems = append(problems, fmt.Sprintf("the row of %s grants %s, which stands not below it", r.Package, granted))
			}
		}
		for _, granted := range r.grants() {
			if !slices.ContainsFunc(found[r.Package], func(imported string) bool { return covers(granted, imported) }) {
				problems = append(problems, fmt.Sprintf("the row of %s grants %s, which it does not import", r.Package, granted))
			}
		}
		for _, imported := range found[r.Package] {
			if !r.mayImport(imported) {
				problems = append(problems, fmt.Sprintf("%s must not import %s", r.Package, imported))
			}
		}
	}
	for folder := range found {
		if !slices.ContainsFunc(rooms, func(r room) bool { return r.Package == folder }) {
			problems = append(problems, fmt.Sprintf("%s has no row in the table of rooms", folder))
		}
	}
	slices.Sort(problems)
	return problems
}

// grants returns the room's own packages and libraries.
func (r room) grants() []string { return slices.Concat(r.Rooms, r.Libraries) }

// mayImport reports whether the room may import a package.
func (r room) mayImport(imported string) bool {
	if isStandard(imported) && imported != cryptoTLS {
		return true
	}
	return slices.ContainsFunc(r.grants(), func(granted string) bool { return covers(granted, imported) })
}

// covers reports whether a row that grants a room or a library grants this import.
func covers(granted, imported string) bool {
	if own, ok := strings.CutPrefix(imported, module+"/"); ok {
		return matches(granted, own)
	}
	return imported == granted || strings.HasPrefix(imported, granted+"/")
}

// matches reports whether a row that grants a room grants this package.
func matches(granted, folder string) bool {
	tree, ok := strings.CutSuffix(granted, "/...")
	if !ok {
		return granted == folder
	}
	return (folder == tree || strings.HasPrefix(folder, tree+"/")) && !strings.HasSuffix(folder, "test")
}

// isStandard reports whether a package is of the standard library: no dot in the first part of its path.
func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// depguard returns the rules for golangci-lint, which hold the same table in an editor.
func depguard(rooms []room) string {
	var b strings.Builder
	for _, r := range rooms {
		allow := []string{"$gostd"}
		for _, own := range r.Rooms {
			if tree, ok := strings.CutSuffix(own, "/..."); ok {
				allow = append(allow, module+"/"+tree)
			} else {
				allow = append(allow, module+"/"+own+"$")
			}
		}
		for _, library := range r.Libraries {
			if library != cryptoTLS {
				allow = append(allow, library)
			}
		}
		fmt.Fprintf(&b, "        %s:\n", strings.ReplaceAll(r.Package, "/", "-"))
		fmt.Fprintf(&b, "          list-mode: strict\n          files: [\"**/%s/*.go\", \"!$test\"]\n", r.Package)
		fmt.Fprintf(&b, "          allow:\n            - %s\n", strings.Join(allow, "\n            - "))
		if !slices.Contains(r.Libraries, cryptoTLS) {
			fmt.Fprintf(&b, "          deny: [{pkg: %s$, desc: only tlsorigin speaks TLS}]\n", cryptoTLS)
		}
	}
	return b.String()
}
