package main

import "github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"

// defaultCommand is the name of the command that runs if none is given.
const defaultCommand = "run"

// program is one run of pgorigin. A command stores its exit code and returns nil. An error of a command means
// that the command line is wrong.
type program struct {
	cli.Process
	code int
}
