package host

import (
	"io"
	"os"
)

// IsTerminal reports whether w is a character device. /dev/null is one, too, which does no harm.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// WantsColour follows no-color.org and bixense.com/clicolors. NO_COLOR takes precedence over
// CLICOLOR_FORCE, and both over terminal.
func WantsColour(terminal bool, env []string) bool {
	switch {
	case Getenv(env, "NO_COLOR") != "":
		return false
	case Getenv(env, "CLICOLOR_FORCE") != "" && Getenv(env, "CLICOLOR_FORCE") != "0":
		return true
	}
	return terminal && Getenv(env, "TERM") != "dumb"
}
