package execute

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

// findCommand returns the path of the program, as a shell finds it.
func findCommand(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case err == nil, errors.Is(err, exec.ErrDot): // PATH has the folder on purpose
		return path, nil
	case errors.Is(err, exec.ErrNotFound) && !strings.ContainsRune(name, filepath.Separator) && isInPath(name):
		return "", fs.ErrPermission
	}
	return "", err
}

// isInPath reports whether a folder of PATH has a file of that name. LookPath does not tell those that cannot
// be executed.
func isInPath(name string) bool {
	if name == "" {
		return false
	}
	for _, folder := range filepath.SplitList(os.Getenv("PATH")) {
		if info, err := os.Stat(filepath.Join(folder, name)); err == nil && !info.IsDir() {
			return true
		}
	}
	return false
}

// reportCommand says why the command cannot be started, and returns the exit code that shells have for that.
func reportCommand(p cli.Process, name string, err error) int {
	code, text := exitCannotStart, ""
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist) && !exists(name):
		code, text = exitNotFound, "there is no such command; check its name and PATH"
		if strings.ContainsAny(name, " \t") {
			text += "; write the command and its arguments as separate words, without quotes around them all"
		}
	case errors.Is(err, fs.ErrNotExist):
		text = "the interpreter in its first line, or its dynamic linker, does not exist"
	case errors.Is(err, fs.ErrPermission) && !isDirectory(name):
		text = "it cannot be executed; check its file mode"
	case isDirectory(name):
		text = "it is a folder"
	case isFormatError(err):
		text = "the system cannot execute this kind of file; a script needs #!/bin/sh as its first line, " +
			"and a program must be built for this machine"
	default:
		text = err.Error()
	}
	fmt.Fprintf(p.Stderr, "pgorigin: exec: %s: %s\n", safetext.Quote(name), safetext.Printable(text))
	return code
}

func isDirectory(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// exists reports whether a file of that name is there, or is in PATH.
func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil && strings.ContainsRune(name, filepath.Separator) || isInPath(name)
}
