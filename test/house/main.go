// Command house prints the rooms of the product: their lines, their files, and the arrows among them. Given the folder
// of one package, it prints that package's files in the order of reading, and the uses against it. The tests of this
// package hold the rules for imports.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/pgorigin/pgorigin/test/servers"
)

func main() {
	if err := run(context.Background(), os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "house:", err)
		os.Exit(1)
	}
}

// run prints one row a package, and what breaks the rules. Folders ask for the files of these packages instead.
func run(ctx context.Context, w io.Writer, folders []string) error {
	top, err := servers.Repository()
	if err != nil {
		return err
	}
	found, err := readImports(top)
	if err != nil {
		return err
	}
	packages, exports, err := list(ctx, top)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "package\tlines\tfiles\tuses\tupward\tin circles\timports")
	used := reachable(found, command)
	var product, helpers row
	for _, p := range packages {
		g, lines, err := uses(p, exports)
		if err != nil {
			return err
		}
		folder := strings.TrimPrefix(p.ImportPath, module+"/")
		if slices.Contains(folders, folder) {
			fmt.Fprintf(w, "%s\nupward:\n%s\n", strings.Join(g.order(), "\n"), strings.Join(g.upward(), "\n"))
		}
		r := newRow(g, lines)
		if used[folder] {
			product = product.plus(r)
		} else {
			helpers = helpers.plus(r)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", folder, r, strings.Join(ownImports(found[folder]), " "))
	}
	if len(folders) > 0 {
		return nil
	}
	fmt.Fprintf(table, "product\t%s\t\nhelpers of tests\t%s\t\n", product, helpers)
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	fmt.Fprint(w, legend)
	problems := violations(house(), found)
	for _, problem := range problems {
		fmt.Fprintln(w, problem)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%d imports or rows break the rules", len(problems))
	}
	return nil
}

// reachable returns the packages that a package imports, by way of others too, and the package itself.
func reachable(found imports, folder string) map[string]bool {
	used := map[string]bool{folder: true}
	for queue := []string{folder}; len(queue) > 0; queue = queue[1:] {
		for _, next := range ownImports(found[queue[0]]) {
			if !used[next] {
				used[next] = true
				queue = append(queue, next)
			}
		}
	}
	return used
}

const legend = `
Lines are those of Go files for this system, without tests and generated files.
A use is a pair of files of one package: the first uses names of the second.
It runs upward when the second stands before the first, in the order that puts users first as far as possible.
A file is in a circle when it uses itself by way of others. Between packages, Go allows no circle.
Helpers of tests are the packages that the command does not import, directly or by way of others.
`

// row is what one package counts.
type row struct{ lines, files, uses, upward, inCircles int }

func newRow(g graph, lines int) row {
	r := row{lines: lines, files: len(g), uses: g.count(), upward: len(g.upward())}
	for _, circle := range g.circles() {
		r.inCircles += len(circle)
	}
	return r
}

func (r row) plus(o row) row {
	return row{r.lines + o.lines, r.files + o.files, r.uses + o.uses, r.upward + o.upward, r.inCircles + o.inCircles}
}

// String is the row with tabs between the numbers.
func (r row) String() string {
	return fmt.Sprintf("%d\t%d\t%d\t%d\t%d", r.lines, r.files, r.uses, r.upward, r.inCircles)
}

// ownImports returns the packages of this repository among paths, without the module.
func ownImports(paths []string) (own []string) {
	for _, path := range paths {
		if folder, ok := strings.CutPrefix(path, module+"/"); ok {
			own = append(own, folder)
		}
	}
	return own
}
