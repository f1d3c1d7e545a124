package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// checkOptions are the flags of check.
type checkOptions struct {
	json, login, noStartup bool
	passwordFile           string
	timeout                time.Duration
}

func checkFlags(flags *flag.FlagSet, o *checkOptions) {
	flags.BoolVar(&o.json, "json", false, "")
	flags.BoolVar(&o.login, "login", false, "")
	flags.BoolVar(&o.noStartup, "no-startup", false, "")
	flags.StringVar(&o.passwordFile, "password-file", "", "")
	flags.DurationVar(&o.timeout, "timeout", 15*time.Second, "")
}

const checkHelp = `
  Walks configuration, files, DNS, TCP, SSLRequest, TLS, chain, name, client certificate, key exchange and the
  server's authentication offer, for every address of every origin, and names the first stage that fails and the
  setting that cures it. Nothing but SSLRequest and TLS leaves before the server is verified.

  --json             the same facts as JSON
  --timeout 15s      for everything together; one connection never takes longer than PGORIGIN_DIAL_TIMEOUT
  --no-startup       stop after TLS. Otherwise a startup packet for PGUSER (else pgorigin_check) and PGDATABASE
                     asks the verified server how it wants to be logged in to, and the connection is ended there;
                     the server may log that as an aborted login
  --login            log in, too: as PGUSER to PGDATABASE, with the password from PGPASSFILE or ~/.pgpass
  --password-file F  with the password in file F instead; not with several origins. PGPASSWORD is never read

  Exit codes: 0 all good, 1 a check failed, 2 wrong usage, 78 wrong configuration.
`

// runCheck diagnoses the way to the upstream with the settings that run would use.
func runCheck(ctx context.Context, p process) int {
	var o checkOptions
	code, done := p.parseFlags("check", func(flags *flag.FlagSet) { checkFlags(flags, &o) })
	if done {
		return code
	}
	switch {
	case o.timeout <= 0:
		return p.misused("check: --timeout must be above zero, such as 15s")
	case o.login && o.noStartup:
		return p.misused("check: --login and --no-startup exclude each other")
	case o.passwordFile != "" && !o.login:
		return p.misused("check: --password-file is for --login")
	}
	c := &checker{options: o, account: newAccount(p.env, o.passwordFile)}
	problems := c.configure(p.env)
	if len(problems) == 0 {
		ctx, cancel := context.WithTimeout(ctx, o.timeout)
		defer cancel()
		c.walk(ctx)
	}
	c.report.judge()
	if err := c.report.write(p, o.json); err != nil {
		return exitFailed
	}
	switch {
	case len(problems) > 0:
		report(p.stderr, problems)
		return exitConfig
	case c.report.Failed != nil:
		return exitFailed
	}
	return exitOK
}

// checker makes one report.
type checker struct {
	options  checkOptions
	account  account
	settings settings
	origins  []originChecker
	report   checkReport
}

// originChecker walks the way to one origin.
type originChecker struct {
	*checker
	origin *OriginSettings
	dialer *tlsorigin.Dialer
}

// configure does what run does before it listens. The problems are all there are.
func (c *checker) configure(env []string) []problem {
	var warnings, all []problem
	c.settings, warnings, all = load(env)
	found, doubts := all, c.settings.doubts()
	for _, o := range c.settings.origins() {
		dialer, err := tlsorigin.NewDialer(c.settings.dialerConfig(o, nil))
		all = o.join(all, o.dialerProblems(err, found))
		if err == nil {
			c.origins = append(c.origins, originChecker{c, o, dialer})
			doubts = append(doubts, (&origin{settings: o, dialer: dialer}).doubts()...)
		}
	}
	if c.options.login {
		all = append(all, c.account.problems()...)
		if c.options.passwordFile != "" && len(c.settings.named) > 0 {
			all = append(all, problem{
				variable: "--password-file", value: c.options.passwordFile,
				text: "it has one password, and there are several origins; put one for each host into PGPASSFILE instead",
			})
		}
	}
	sortProblems(all)
	for _, w := range warnings {
		c.report.Warnings = append(c.report.Warnings, w.String())
	}
	for _, d := range doubts {
		c.report.Warnings = append(c.report.Warnings, d.String())
	}
	c.judgeConfiguration(all)
	return all
}

// judgeConfiguration makes the first two stages.
func (c *checker) judgeConfiguration(all []problem) {
	configured, files := checkStage{Stage: "config"}, checkStage{Stage: "files", Text: c.settings.fileNames()}
	for _, wrong := range all {
		c.report.Problems = append(c.report.Problems, checkProblem{wrong.variable, shownValue(wrong), wrong.text})
		stage := &configured
		if isFileVariable(wrong.variable) {
			stage = &files
		}
		if stage.Result == "" { // the first of several; all are in Problems
			stage.Result, stage.Text = resultFailed, wrong.String()
		}
	}
	if configured.Result == resultFailed && files.Result == "" {
		files.Result = resultSkipped // what was not configured cannot be read
	}
	c.report.Stages = []checkStage{configured.done(), files.done()}
}

// shownValue is the value of a problem as far as it may be repeated.
func shownValue(p problem) string {
	if p.value == "" {
		return ""
	}
	return strings.Trim(shown(p.value), `"`)
}

// isFileVariable reports whether a problem with a variable is about what a file holds.
func isFileVariable(variable string) bool {
	return strings.HasSuffix(variable, "_FILE") || strings.HasSuffix(variable, "_PEM") ||
		variable == "PGPASSFILE" || variable == "--password-file"
}

// fileNames lists the variables that name what was read.
func (s *settings) fileNames() string {
	var set []string
	for _, o := range s.origins() {
		for _, v := range o.variables() {
			if isFileVariable(v.name) && v.value != "" && !slices.Contains(set, o.rename(v.name)) {
				set = append(set, o.rename(v.name))
			}
		}
	}
	if len(set) == 0 {
		return "none set; trusting the system roots"
	}
	return strings.Join(set, ", ")
}

// walk diagnoses every address of every origin, all origins at once, and then talks to those that were verified.
func (c *checker) walk(ctx context.Context) {
	diagnoses := make([][]tlsorigin.UpstreamDiagnosis, len(c.origins))
	var diagnosing sync.WaitGroup
	for i, o := range c.origins {
		diagnosing.Go(func() { diagnoses[i] = o.dialer.Diagnose(ctx, tlsorigin.DiagnoseOptions{}) })
	}
	diagnosing.Wait()
	for i, o := range c.origins {
		o.walk(ctx, diagnoses[i])
		_ = o.dialer.Close()
	}
}

// walk reports what was found out about an origin.
func (c *originChecker) walk(ctx context.Context, diagnoses []tlsorigin.UpstreamDiagnosis) {
	for i := range diagnoses {
		d := &diagnoses[i]
		upstream := newCheckUpstream(c.origin.name, d)
		for j := range d.Addresses {
			address := c.newCheckAddress(&d.Addresses[j], d)
			if !c.options.noStartup && address.verified() {
				c.converse(ctx, address, d.Addresses[j].Addr)
			}
			upstream.Addresses = append(upstream.Addresses, *address)
		}
		upstream.forgiveFamily()
		upstream.rename(c.origin.rename)
		c.report.Upstreams = append(c.report.Upstreams, *upstream)
	}
}

// converse asks a verified address how it wants to be logged in to, and logs in if it is to.
func (c *originChecker) converse(ctx context.Context, address *checkAddress, addr *tlsorigin.Addr) {
	began := time.Now()
	stage := checkStage{Stage: "authentication"}
	user, database := c.account.named()
	err := c.talk(ctx, addr, func(conn pgwire.Upstream) (err error) {
		address.Authentication, err = askAuthentication(conn, user, database)
		return err
	})
	stage.took(time.Since(began))
	var refused *pgwire.ServerError
	switch {
	case errors.As(err, &refused) && c.account.user == "" && noSuchAccount(refused):
		stage.Result = resultWarning
		stage.Text = fmt.Sprintf("not known: %s for the made-up user %s; set PGUSER and PGDATABASE to real ones", serverSays(refused), checkUser)
	case err != nil:
		stage.fail(talkFailure(err))
	default:
		c.judgeOffer(&stage, address.Authentication)
	}
	address.Stages = append(address.Stages, stage.done())
	if c.options.login && stage.Result != resultFailed {
		c.logIn(ctx, address, addr)
	}
}

func (c *originChecker) logIn(ctx context.Context, address *checkAddress, addr *tlsorigin.Addr) {
	stage := checkStage{Stage: "login"}
	began := time.Now()
	var result loginResult
	err := c.talk(ctx, addr, func(conn pgwire.Upstream) (err error) {
		result, err = c.account.login(ctx, conn, addr.Host, c.origin.authMethods())
		return err
	})
	stage.took(time.Since(began))
	if err != nil {
		stage.fail(talkFailure(err))
	} else {
		address.Login = &checkLogin{
			User: printable(c.account.user), Database: printable(c.account.database), ServerVersion: result.version,
			InRecovery: result.inRecovery, Mechanism: result.mechanism, RoundTrip: milliseconds(result.roundTrip),
		}
		stage.Text = result.String()
	}
	address.Stages = append(address.Stages, stage.done())
}

// reasonOf returns the reason of err and its sentence, both empty if it has none.
func reasonOf(err error) (reason, text string) {
	var reasoned interface {
		error
		Reason() string
	}
	if !errors.As(err, &reasoned) {
		return "", ""
	}
	return reasoned.Reason(), printable(reasoned.Error())
}
