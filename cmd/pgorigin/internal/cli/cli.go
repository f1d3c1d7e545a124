// Package cli is what every command of pgorigin shares: its process and its exit codes.
package cli

import "io"

// Exit codes. 78 is EX_CONFIG of sysexits.h: a supervisor can tell "will never work" from "try again".
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
	ExitConfig = 78
)

// Process is what a command may touch of the world.
type Process struct {
	Env            []string // as os.Environ returns it
	Stdout, Stderr io.Writer
}
