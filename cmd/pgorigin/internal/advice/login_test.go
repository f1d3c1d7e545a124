package advice

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/pgwire"
)

func TestFindLogin(t *testing.T) {
	c := NewCures(new(config.Origin))
	for name, row := range map[string]struct {
		err          error
		reason, text string
	}{
		"said so by a leaf": {
			&pgwire.Error{Kind: pgwire.ReasonUpstreamProtocol, Text: "nonsense"}, "upstream_protocol",
			"nonsense",
		},
		"deadline of a read": {
			fmt.Errorf("read message: %w", os.ErrDeadlineExceeded), "login_timeout",
			"the server did not answer the login in time",
		},
		"deadline of a dial": {
			fmt.Errorf("dial upstream: %w", context.DeadlineExceeded), "login_timeout",
			"the server did not answer the login in time",
		},
		"end of the connection": {
			fmt.Errorf("read message: %w", io.EOF), "upstream_gone",
			"the server ended the connection before the login was over: read message: EOF",
		},
	} {
		if found := c.FindLogin(row.err); found.Reason != row.reason || found.Text != row.text {
			t.Errorf("%s: %s, %s; want %s, %s", name, found.Reason, found.Text, row.reason, row.text)
		}
	}
}
