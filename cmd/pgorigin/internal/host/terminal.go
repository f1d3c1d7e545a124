package host

import (
	"io"
	"os"
)

// IsTerminal takes a character device for a terminal. That /dev/null is one, too, does no harm.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// WantsColour follows no-color.org and bixense.com/clicolors: NO_COLOR wins, then CLICOLOR_FORCE, then the
// terminal.
func WantsColour(terminal bool, env []string) bool {
	switch {
	case Lookup(env, "NO_COLOR") != "":
		return false
	case Lookup(env, "CLICOLOR_FORCE") != "" && Lookup(env, "CLICOLOR_FORCE") != "0":
		return true
	}
	return terminal && Lookup(env, "TERM") != "dumb"
}
