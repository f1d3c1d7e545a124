package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/pgwire/pgclient"
)

const (
	// checkUser is who a check says it is unless PGUSER is set.
	checkUser = "pgorigin_check"
	// checkApplication is its application_name.
	checkApplication = "pgorigin check"
)

// talk opens a verified connection of its own to addr and has talked use it, for no longer than a login may take.
func (c *originChecker) talk(ctx context.Context, addr net.Addr, talked func(pgwire.Upstream) error) error {
	conn, err := c.dialer.Dial(ctx, addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	deadline := time.Now().Add(time.Duration(c.settings.LoginTimeout))
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return fmt.Errorf("limit login: %w", err)
	}
	return talked(conn)
}

// askAuthentication returns how the server on conn, which must be verified, wants to be logged in to. Nothing secret is
// sent, and the login ends there.
func askAuthentication(conn pgwire.Upstream, user, database string) ([]string, error) {
	client, err := pgclient.Greet(conn, user, database, checkApplication)
	if err != nil {
		return nil, err
	}
	client.Terminate()
	return client.Methods(), nil
}

// talkFailure returns the reason and the sentence for a failure behind verification.
func talkFailure(err error) (reason, text string) {
	if word, sentence := reasonOf(err); word != "" {
		return word, sentence
	}
	var refused *pgclient.ServerError
	if errors.As(err, &refused) {
		return string(pgwire.ReasonAuthRejected), serverSays(refused)
	}
	var timedOut net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timedOut) && timedOut.Timeout() {
		return string(pgwire.ReasonLoginTimeout), "the server did not answer in time"
	}
	return string(pgwire.ReasonUpstreamGone), "the server ended the connection before the login was over: " + safetext.Printable(err.Error())
}

// serverSays repeats the words of a verified server.
func serverSays(e *pgclient.ServerError) string {
	return fmt.Sprintf("the server says %s (%s): %s", safetext.Printable(e.Severity), safetext.Printable(e.Code), safetext.Quote(safetext.Printable(e.Message)))
}

// noSuchAccount reports whether e only means that the made-up user or database of a check does not exist, or may not
// come in: PostgreSQL says 28000, 28P01 or 3D000, pgbouncer 08P01 for all of these.
func noSuchAccount(e *pgclient.ServerError) bool {
	return strings.HasPrefix(e.Code, "28") || strings.HasPrefix(e.Code, "3D") || e.Code == "08P01"
}

// judgeOffer says what an offer means for clients of pgorigin, with the settings in force.
func (c *originChecker) judgeOffer(stage *Stage, methods []string) {
	var free, bound []string
	allowed := c.origin.AuthMethods()
	for _, method := range methods {
		if !allowed.Allows(method) {
			continue // clients are not shown it
		}
		if strings.HasSuffix(method, "-PLUS") {
			bound = append(bound, method)
		} else {
			free = append(free, method)
		}
	}
	binding := c.origin.Auth.ChannelBinding.String()
	if len(free)+len(bound) == 0 {
		stage.fail(c.origin, "auth_rejected", fmt.Sprintf("the server asks for %s, and only these methods are allowed: %v",
			strings.Join(methods, ", "), allowed))
		return
	}
	if len(free) == 0 && binding == "strip" {
		stage.fail(c.origin, "auth_channel_binding", "the server offers nothing but "+strings.Join(bound, ", ")+
			", which a client without TLS of its own cannot use")
		return
	}
	stage.Text = strings.Join(methods, ", ")
	switch {
	case stage.Text == "none":
		stage.Text = "none: the server lets this user in without a password"
	case len(bound) > 0:
		stage.Text += fmt.Sprintf(" (%s=%s)", c.origin.Variable("AUTH_CHANNEL_BINDING"), binding)
	}
}
