// Package cli is what all commands of pgorigin share: their process, their exit codes and the build.
package cli

import (
	"io"
	"runtime"
	"runtime/debug"
)

// Exit codes. 78 is EX_CONFIG of sysexits.h. It tells a supervisor that another try will fail, too.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
	ExitConfig = 78
)

// Process is what a command has from outside.
type Process struct {
	Env []string // as os.Environ returns it
	// Names has what the user calls a variable, by its name in Env. A variable that is not there has one name.
	Names          map[string]string
	Stdout, Stderr io.Writer
	Build          Build
}

// Build says what this program was made from. An unknown part is empty.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Date     string `json:"date"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// ReadBuild completes what the linker has set with the build information that Go embeds.
func ReadBuild(version, revision, date string) Build {
	b := Build{
		Version: version, Revision: revision, Date: date,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		if b.Version == "" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				b.Revision = s.Value + b.Revision
			case s.Key == "vcs.modified" && s.Value == "true":
				b.Revision += "+changes"
			case s.Key == "vcs.time":
				b.Date = s.Value
			}
		}
	}
	if b.Version == "" {
		b.Version = "(devel)"
	}
	return b
}
