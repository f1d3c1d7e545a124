package check

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// Options are the flags of check.
type Options struct {
	JSON, Login, NoStartup bool
	PasswordFile           string
	Timeout                time.Duration
	Clients                bool    // says which TLS stacks of applications can connect
	Target                 *string // the upstream, as host:port or URL; nil means that of the environment
}

// Run checks the path to every upstream with the settings that "run" would use, and writes a report. It
// returns the exit code.
func Run(ctx context.Context, o Options, p cli.Process) int {
	c := &checker{options: o, env: p.Env}
	problems := c.readTarget()
	if len(problems) == 0 {
		c.account = newAccount(c.env, o.PasswordFile)
		problems = c.configure(c.env)
	}
	if len(problems) == 0 {
		ctx, cancel := context.WithTimeout(ctx, o.Timeout)
		defer cancel()
		if o.Target == nil { // otherwise no pgorigin is to run
			c.report.Stages = append(c.report.Stages, c.checkListen(ctx))
		}
		c.report.concludeStages()
		c.checkOrigins(ctx)
	}
	c.report.conclude()
	if err := c.report.write(p, o.JSON); err != nil {
		return cli.ExitFailed
	}
	switch {
	case len(problems) > 0:
		config.Report(p.Stderr, problems)
		return cli.ExitConfig
	case c.report.Failed != nil:
		return cli.ExitFailed
	}
	return cli.ExitOK
}

// checker makes one report.
type checker struct {
	options  Options
	env      []string // as of configure
	notes    []string // what is odd about the URL of the command line
	account  account
	settings config.Config
	origins  []originChecker
	report   Report
}

// originChecker checks the upstreams of one origin.
type originChecker struct {
	*checker
	origin  *config.Origin
	cures   advice.Cures
	dialer  *tlsorigin.Dialer
	account account
}

// readTarget puts the upstream of the command line into the environment.
func (c *checker) readTarget() []config.Problem {
	if c.options.Target == nil {
		return nil
	}
	target, err := config.ParseTarget(*c.options.Target, c.env)
	if err != nil {
		problems := []config.Problem{{Variable: "the argument of check", Text: err.Error()}}
		c.reportConfiguration(problems)
		return problems
	}
	c.env, c.notes = target.Environment(c.env), target.Notes
	return nil
}

// configure does what run does before it listens, reports on it, and returns every problem.
func (c *checker) configure(env []string) []config.Problem {
	settings, unknown, all := config.Load(env)
	c.settings = settings
	warnings := c.settings.Warnings()
	for _, o := range c.settings.AllOrigins() {
		dialer, err := tlsorigin.NewDialer(c.dialing(o))
		all = append(all, o.DialerProblems(err, all)...)
		if err == nil {
			c.origins = append(c.origins, originChecker{c, o, advice.NewCures(o), dialer, c.account.of(o)})
			warnings = append(warnings, advice.Warnings(o, dialer.Warnings())...)
		}
	}
	if c.options.Login {
		all = append(all, c.account.problems(c.settings.AllOrigins())...)
		if c.options.PasswordFile != "" && len(c.settings.Named()) > 0 {
			all = append(all, config.Problem{
				Variable: "--password-file", Value: c.options.PasswordFile, File: true,
				Text: "it has one password, and there are several origins; " +
					"put one for each host into PGPASSFILE instead",
			})
		}
	}
	config.SortProblems(all)
	c.report.Warnings = append(c.report.Warnings, c.notes...)
	for _, p := range unknown {
		c.report.Warnings = append(c.report.Warnings, p.String())
	}
	for _, w := range warnings {
		c.report.Warnings = append(c.report.Warnings, w.String())
	}
	c.reportConfiguration(all)
	return all
}

// dialing returns the settings of an origin for tlsorigin. An address on which pgorigin would listen leads to itself.
func (c *checker) dialing(o *config.Origin) tlsorigin.Config {
	dialing := c.settings.DialerConfig(o, nil)
	if c.options.Target == nil { // otherwise no pgorigin is to run
		listeners := c.settings.ListenIPs()
		dialing.OwnAddress = func(addr netip.AddrPort) bool {
			return slices.ContainsFunc(listeners, func(own netip.AddrPort) bool { return host.Reaches(addr, own) })
		}
	}
	return dialing
}

// reportConfiguration makes the first two stages.
func (c *checker) reportConfiguration(all []config.Problem) {
	configured := newStage(advice.StageConfig, 0, "")
	files := newStage(advice.StageFiles, 0, fileNames(&c.settings))
	for _, wrong := range all {
		c.report.Problems = append(c.report.Problems, Problem{wrong.Variable, shownValue(wrong), wrong.Text})
		stage := &configured
		if wrong.File {
			stage = &files
		}
		if stage.Result == resultOK { // the first of several; all are in Problems
			stage.Result, stage.Text = resultFailed, wrong.String()
		}
	}
	if configured.Result == resultFailed && files.Result == resultOK {
		files.Result = resultSkipped // what was not configured cannot be read
	}
	c.report.Stages = []Stage{configured, files}
}

// shownValue returns the value of a problem as far as it may be repeated.
func shownValue(p config.Problem) string {
	if p.Value == "" {
		return ""
	}
	return strings.Trim(config.Shown(p.Value), `"`)
}

// fileNames lists the variables that name what was read.
func fileNames(s *config.Config) string {
	var set []string
	for _, o := range s.AllOrigins() {
		for _, s := range o.Settings() {
			name := o.Variable(s.Word)
			if s.File && s.Value != "" && !slices.Contains(set, name) {
				set = append(set, name)
			}
		}
	}
	if len(set) == 0 {
		return "none set; trusting the system roots"
	}
	return strings.Join(set, ", ")
}

// checkOrigins diagnoses all origins at once. Then it checks logins, one origin after the other.
func (c *checker) checkOrigins(ctx context.Context) {
	diagnoses := make([]diagnosis, len(c.origins))
	var diagnosing sync.WaitGroup
	for i, o := range c.origins {
		diagnosing.Go(func() { diagnoses[i].walk(ctx, &o) })
		diagnosing.Go(func() { diagnoses[i].connection = o.connect(ctx) })
	}
	diagnosing.Wait()
	for i, o := range c.origins {
		o.reportUpstreams(ctx, &diagnoses[i])
		_ = o.dialer.Close()
	}
}

// diagnosis is what was found out about an origin without a startup packet.
type diagnosis struct {
	upstreams  []diagnose.Upstream
	trials     [][]Trial // of each upstream, for its first address that fails
	connection diagnose.Connection
}

func (d *diagnosis) walk(ctx context.Context, c *originChecker) {
	d.upstreams = diagnose.Run(ctx, c.dialer, diagnose.Options{Accepts: c.options.Clients})
	d.trials = make([][]Trial, len(d.upstreams))
	var trying sync.WaitGroup
	for i := range d.upstreams {
		trying.Go(func() { d.trials[i] = c.runTrials(ctx, &d.upstreams[i]) })
	}
	trying.Wait()
}

// connect makes one connection as a client gets it. It has a Dialer of its own, because what a walk learns
// must not change it. It ends before ctx does and so says why.
func (c *originChecker) connect(ctx context.Context) diagnose.Connection {
	settings := c.dialing(c.origin)
	settings.Timeout = min(settings.Timeout, timeLeft(ctx))
	dialer, err := tlsorigin.NewDialer(settings)
	if err != nil { // a file has changed since configure
		return diagnose.Connection{}
	}
	defer func() { _ = dialer.Close() }()
	return diagnose.Connect(ctx, dialer)
}

// reportUpstreams adds what was found out about an origin. It checks logins at addresses that were verified.
func (c *originChecker) reportUpstreams(ctx context.Context, found *diagnosis) {
	first := len(c.report.Upstreams)
	for i := range found.upstreams {
		d := &found.upstreams[i]
		upstream := c.newUpstream(d)
		tried := slices.IndexFunc(d.Addresses, deservesTrials)
		for j := range d.Addresses {
			var trials []Trial
			if j == tried {
				trials = found.trials[i]
			}
			address := c.newAddress(&d.Addresses[j], d, trials)
			if !c.options.NoStartup && address.verified() {
				c.checkAuthentication(ctx, address, d.Addresses[j].Addr)
			}
			if c.options.Clients {
				address.Clients = newClients(&d.Addresses[j], d.ServerName, address.Authentication)
			}
			upstream.Addresses = append(upstream.Addresses, *address)
		}
		upstream.excuseMissingFamily()
		c.report.Upstreams = append(c.report.Upstreams, *upstream)
	}
	c.judge(c.report.Upstreams[first:], found.connection)
}
