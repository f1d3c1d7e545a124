//go:build stacks

package stacks

import (
	"context"
	"os"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

// shared is what all tests use.
var shared struct {
	lab    *servers.Lab
	binary string // pgorigin
}

func TestMain(m *testing.M) {
	os.Exit(servers.RunSuite(m, func(ctx context.Context, lab *servers.Lab) (err error) {
		shared.lab = lab
		shared.binary, err = lab.Build(ctx)
		return err
	}))
}
