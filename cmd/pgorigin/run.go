package main

import (
	"context"
	"flag"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/sidecar"
)

func runRun(ctx context.Context, p process) int {
	if code, done := p.parseFlags("run", func(*flag.FlagSet) {}); done {
		return code
	}
	return sidecar.Run(ctx, p.Process)
}
