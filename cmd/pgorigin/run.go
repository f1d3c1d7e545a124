package main

import (
	"context"
	"flag"
)

func runRun(ctx context.Context, p process) int {
	if code, done := p.parseFlags("run", func(*flag.FlagSet) {}); done {
		return code
	}
	return runSidecar(ctx, p.Process)
}
