package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
)

// Set by the linker (-X main.version=v1.2.3), because a build that embeds nothing of the repository that it is made in is the
// same everywhere; otherwise what Go embeds is used. The date is the commit's.
//
//nolint:gochecknoglobals // the linker can set nothing else
var version, revision, date string

// build says what this program was made from. Unknown parts are empty.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Date     string `json:"date"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// readBuild asks the linker and the build information that Go embeds.
func readBuild() build {
	b := build{
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

const versionHelp = `
  --json             with revision, date, Go version and platform, as JSON
`

func runVersion(_ context.Context, p process) int {
	var asJSON bool
	code, done := p.parseFlags("version", func(flags *flag.FlagSet) {
		flags.BoolVar(&asJSON, "json", false, "")
	})
	if done {
		return code
	}
	b := readBuild()
	if asJSON {
		if err := json.NewEncoder(p.Stdout).Encode(b); err != nil {
			return cli.ExitFailed
		}
		return cli.ExitOK
	}
	revision, date := orUnknown(b.Revision), orUnknown(b.Date)
	fmt.Fprintf(p.Stdout, "pgorigin %s (revision %s, %s, %s, %s)\n", b.Version, revision, date, b.Go, b.Platform)
	return cli.ExitOK
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
