package main

import (
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
)

func TestExplain(t *testing.T) {
	for _, row := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"cert_name_mismatch"}, cli.ExitOK, "Set PGORIGIN_TLS_SERVER_NAME to a name"},
		{[]string{"PGORIGIN_TLS_SERVER_NAME"}, cli.ExitOK, "cert_name_mismatch"},
		{[]string{"cert_expird"}, cli.ExitUsage, "did you mean cert_expired?"},
		{nil, cli.ExitUsage, "give one reason"},
		{[]string{"cert_expired", "cert_usage"}, cli.ExitUsage, "unexpected argument"},
	} {
		got := runWith(t, nil, append([]string{"explain"}, row.args...)...)
		if got.code != row.code || (got.stderr == "") != (row.code == cli.ExitOK) {
			t.Errorf("explain %v: %+v", row.args, got)
		}
		cmdtest.Contains(t, got.stdout+got.stderr, row.want)
	}
}
