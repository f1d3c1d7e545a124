package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/pgwire/pgclient"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// checkApplication is the application_name of a startup packet.
const checkApplication = "pgorigin check"

// pings is how many round trips are measured; the shortest counts.
const pings = 5

// checkAuthentication asks a verified address which authentication it wants. With --login, it logs in, too.
func (c *originChecker) checkAuthentication(ctx context.Context, address *Address, addr *tlsorigin.Addr) {
	began := time.Now()
	user, database := c.account.startupNames()
	err := c.withConnection(ctx, c.dialer, addr, func(conn pgwire.Upstream) (err error) {
		address.Authentication, err = askAuthentication(ctx, conn, user, database)
		return err
	})
	stage := newStage(advice.StageAuthentication, time.Since(began), "")
	if err != nil {
		found := c.cures.FindLogin(err)
		if stage.fail(found); c.ofMadeUpUser(err, found) {
			stage.notKnown()
		}
	} else {
		c.describeOffer(&stage, address.Authentication)
	}
	address.Stages = append(address.Stages, stage)
	if c.options.Login && stage.Result != resultFailed {
		c.checkLogin(ctx, address, addr)
	}
}

// checkLogin logs in to a verified address.
func (c *originChecker) checkLogin(ctx context.Context, address *Address, addr *tlsorigin.Addr) {
	began := time.Now()
	a := c.account
	own := a.passwordFile == "" && c.origin.Password() != nil
	if own { // sessions log in with that
		a.own = c.origin.Password()
	}
	err := c.withConnection(ctx, c.dialer, addr, func(conn pgwire.Upstream) (err error) {
		address.Login, err = a.login(ctx, conn, addr.Host, c.origin.AuthMethods())
		return err
	})
	stage := newStage(advice.StageLogin, time.Since(began), "")
	if err != nil {
		var refused *pgwire.Error
		if own && errors.As(err, &refused) {
			refused.OfOwnPassword()
		}
		stage.fail(c.cures.FindLogin(err))
	} else {
		stage.Text = address.Login.text()
	}
	address.Stages = append(address.Stages, stage)
}

// demandsCertificate reports whether a login by dialer is refused for want of a client certificate. A server may
// say so only when it knows the user.
func (c *originChecker) demandsCertificate(
	ctx context.Context, dialer *tlsorigin.Dialer, addr *tlsorigin.Addr,
) bool {
	user, database := c.account.startupNames()
	err := c.withConnection(ctx, dialer, addr, func(conn pgwire.Upstream) error {
		_, err := askAuthentication(ctx, conn, user, database)
		return err
	})
	failure, ok := pgwire.AsFailure(err)
	return ok && failure.Reason() == string(pgwire.ReasonClientCertRequired)
}

// withConnection calls use with a new verified connection to addr, and closes it. use has the time of a
// login.
func (c *originChecker) withConnection(
	ctx context.Context, dialer *tlsorigin.Dialer, addr net.Addr, use func(pgwire.Upstream) error,
) error {
	conn, err := dialer.Dial(ctx, addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	deadline := time.Now().Add(c.settings.LoginTimeout)
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return fmt.Errorf("limit login: %w", err)
	}
	return use(conn)
}

// askAuthentication returns the methods that the upstream asks for. It sends nothing secret and ends the
// login there. An upstream that asks for nothing may still refuse the login, so it is asked for its last
// word. The connection must be verified.
func askAuthentication(
	ctx context.Context, conn pgwire.Upstream, user, database string,
) ([]string, error) {
	client, err := pgclient.Greet(conn, user, database, checkApplication)
	if err != nil {
		return nil, err
	}
	methods := client.Methods()
	if asksForNothing(methods) {
		if err := client.Login(ctx, "", pgwire.AuthMethods(0)); err != nil {
			return methods, err
		}
	}
	client.Terminate()
	return methods, nil
}

func asksForNothing(methods []string) bool { return slices.Equal(methods, []string{"none"}) }

// login logs in to upstream over conn, and asks the server about itself. The connection must be verified.
func (a account) login(
	ctx context.Context, conn pgwire.Upstream, upstream string, allowed pgwire.AuthMethods,
) (*LoginFacts, error) {
	password, err := a.password(upstream)
	if err != nil {
		return nil, fmt.Errorf("read password: %w", err)
	}
	client, err := pgclient.Greet(conn, a.user, a.database, checkApplication)
	if err != nil {
		return nil, err
	}
	if err := client.Login(ctx, password, allowed); err != nil {
		return nil, err
	}
	defer client.Terminate()
	recovery, err := client.Query("SELECT pg_catalog.pg_is_in_recovery()")
	if err != nil {
		return nil, err
	}
	var shortest time.Duration
	for range pings {
		began := time.Now()
		if _, err := client.Query("SELECT 1"); err != nil {
			return nil, err
		}
		if took := time.Since(began); shortest == 0 || took < shortest {
			shortest = took
		}
	}
	return &LoginFacts{
		User: safetext.Printable(a.user), Database: safetext.Printable(a.database),
		ServerVersion: safetext.Printable(client.ServerVersion()), InRecovery: recovery == "t",
		Mechanism: client.Mechanism(), RoundTrip: milliseconds(shortest),
	}, nil
}

func (f *LoginFacts) text() string {
	role, by := "a primary", ""
	if f.InRecovery {
		role = "in recovery (read-only)"
	}
	if f.Mechanism != "" {
		by = ", by " + f.Mechanism
	}
	return fmt.Sprintf("server %s, %s, round trip %s%s",
		f.ServerVersion, role, inMilliseconds(f.RoundTrip), by)
}

// notKnown turns a refusal of the made-up user into a warning.
func (s *Stage) notKnown() {
	s.Text = fmt.Sprintf("not known: %s, for the made-up user %s; set PGUSER and PGDATABASE to real ones",
		s.Text, checkUser)
	s.Result, s.Reason, s.Cure = resultWarning, "", ""
}

// ofMadeUpUser reports whether a refusal says nothing of real users, because there is no such account as the
// made-up one, or because the client certificate is for another one.
func (c *originChecker) ofMadeUpUser(err error, found advice.Finding) bool {
	var refused *pgwire.Error
	if c.account.user != "" || !errors.As(err, &refused) {
		return false
	}
	betweenPoolerAndServer := []pgwire.Case{
		pgwire.CasePoolerTLS, pgwire.CasePoolerServerPassword, pgwire.CasePoolerConfig,
	}
	if slices.Contains(betweenPoolerAndServer, refused.Case) {
		return false
	}
	return refused.Kind == pgwire.ReasonAuthRejected && !found.Everybody ||
		refused.Kind == pgwire.ReasonClientCertRequired && c.origin.TLS.CertFile != ""
}

// describeOffer completes stage: what an offer of methods means for clients of pgorigin, with its settings.
func (c *originChecker) describeOffer(stage *Stage, methods []string) {
	var free, bound []string
	allowed := c.origin.AuthMethods()
	for _, method := range methods {
		switch {
		case !allowed.Allows(method): // clients are not shown it
		case strings.HasSuffix(method, "-PLUS"):
			bound = append(bound, method)
		default:
			free = append(free, method)
		}
	}
	switch {
	case len(free)+len(bound) == 0:
		stage.fail(c.cures.FindLogin(allowed.Refusal(methods)))
		return
	case len(free) == 0 && c.origin.ChannelBinding() == pgwire.StripChannelBinding:
		stage.fail(c.cures.FindLogin(pgwire.OnlyBound()))
		return
	}
	stage.Text = strings.Join(methods, ", ")
	switch {
	case asksForNothing(methods):
		stage.Text += ": the server lets this user in without a password"
	case len(bound) > 0:
		stage.Text += " (" + c.origin.Fill("{AUTH_CHANNEL_BINDING}=") + c.origin.Auth.ChannelBinding + ")"
		c.warnOfTLS(stage)
	}
}

// warnOfTLS warns that clients with TLS of their own cannot log in to a server with channel binding. libpq is one
// with sslmode=require, and it may be the only client.
func (c *originChecker) warnOfTLS(stage *Stage) {
	o := c.origin
	if o.ChannelBinding() == pgwire.BridgeChannelBinding || !o.ListensSelfSigned() && !o.ListensWithFiles() {
		return
	}
	stage.Result = resultWarning
	stage.Text += o.Fill(": {LISTEN_TLS} is on, and clients with TLS that could bind, such as libpq, are refused; " +
		"set {own:AUTH_CHANNEL_BINDING}=bridge")
}
