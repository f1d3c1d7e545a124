package servers

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// postgresGlob is where Debian keeps the programs of each PostgreSQL version. The psql on the PATH is a wrapper there,
// which costs time and keeps signals from psql itself.
const postgresGlob = "/usr/lib/postgresql/*/bin"

// findBinaries looks for the newest PostgreSQL and for pgbouncer.
func findBinaries() (binaries, error) {
	var bin binaries
	folders, _ := filepath.Glob(postgresGlob) // the pattern is fine
	slices.SortFunc(folders, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
	var problems []error
	for name, target := range map[string]*string{
		"initdb": &bin.initdb, "postgres": &bin.postgres, "psql": &bin.psql, "pgbench": &bin.pgbench,
	} {
		path, err := lookIn(folders, name)
		*target = path
		problems = append(problems, err)
	}
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		// Debian's place, which is often missing from the PATH of people who are not root.
		path, err = lookIn([]string{"/usr/sbin"}, "pgbouncer")
	}
	bin.pgbouncer = path
	if err := errors.Join(append(problems, err)...); err != nil {
		return bin, fmt.Errorf("%w\n(test/install installs what is missing)", err)
	}
	return bin, nil
}

// version reads 15 from /usr/lib/postgresql/15/bin.
func version(folder string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
	return n
}

func lookIn(folders []string, name string) (string, error) {
	for _, folder := range folders {
		path := filepath.Join(folder, name)
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s: not installed", name)
}
