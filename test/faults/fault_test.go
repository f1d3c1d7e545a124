//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// fault is one thing that is wrong.
type fault struct {
	name   string   // what is wrong, as the page says it
	reason string   // the word of reason; empty for a wrong configuration
	cause  []string // expressions; a text that names the cause has all of them
	first  string   // an expression for the first advice: the one thing that cures
	// lax is an expression for the same cause in the words of other programs, which need not have the names in it.
	lax string
	// peers is an expression for what another program may advise. The names of its settings count without that.
	peers string
	shown bool // the page has what all programs say
	// serverSays says that the client gets the server's own message, to which pgorigin adds nothing.
	serverSays bool
	// clientSays is an expression for what the client says by itself, when pgorigin tells it nothing.
	clientSays string
	// ofAccount says that check meets the fault only as the account.
	ofAccount bool
	// hidden are surfaces that cannot show the fault, with the reason why not.
	hidden map[surface]string
	// tried is an expression for the first advice of check, if check finds a better one by trying it. It is applied then.
	tried string
	// simulated says what happens in place of the advice if a test cannot do what the advice says.
	simulated string
	make      func(*scene)
}

// scene is the place of one fault. The function of the fault fills it.
type scene struct {
	*testing.T
	ctx context.Context

	upstream string   // host:port
	env      []string // further settings of pgorigin
	options  []string // further options of the client's connection string
	sql      string   // what the client runs; empty means SELECT 1
	account  []string // further variables for check: PGUSER and so on

	brief bool // the time for a connection is short: the fault ends with it

	// prefix are words before the command of pgorigin and of check, such as unshare.
	prefix []string
	// before is what happens before the client comes.
	before func(*servers.Origin)
	// words find the line of the log if it is not that of a client called judged.
	words []string
	kills bool // the client is killed while it runs sql
	ends  bool // pgorigin ends
	// running is what happens to a session, while it runs sql.
	running func(*servers.Origin)
	// client is another client than psql. It returns what it was told.
	client func(addr string) string
	// starts says that pgorigin does not start.
	starts bool
	name   string // of the judged client
	script string // pgorigin behind the prefix
	exit   int    // its exit code then

	// set has values for variables which the first advice may name. A value that the advice itself has wins.
	set map[string]string
	// cure does what the first advice says if that is not to set a variable. It may change the scene.
	cure func()
	// direct are options for a libpq that connects without pgorigin; "" in place of the usual ones. Nil: as env says.
	direct []string
	// noPeers says that the fault is one of pgorigin alone.
	noPeers bool
}

// group is the faults of one subject.
type group struct {
	title  string
	faults []fault
}

func groups() []group {
	return []group{
		{"Finding the server", dnsFaults()},
		{"Reaching the server", networkFaults()},
		{"Servers that are no Postgres", strangeFaults()},
		{"TLS", tlsFaults()},
		{"Certificates", certificateFaults()},
		{"Revocation lists and pins", revocationFaults()},
		{"Client certificates", clientCertificateFaults()},
		{"Logins at PostgreSQL", loginFaults()},
		{"Logins at pgbouncer", bouncerFaults()},
		{"Methods of logins", methodFaults()},
		{"Ends of sessions", sessionFaults()},
		{"Clients", clientFaults()},
		{"Settings of pgorigin", startFaults()},
	}
}

// TestFaults is the suite.
func TestFaults(t *testing.T) {
	results := newResults()
	list := groups()
	t.Run("all", func(t *testing.T) {
		for _, g := range list {
			for _, f := range g.faults {
				t.Run(g.title+"/"+f.name, func(t *testing.T) {
					t.Parallel()
					results.add(f, f.run(t))
				})
			}
		}
	})
	comparePage(t, list, results)
}

// run breaks, looks and cures.
func (f fault) run(t *testing.T) *result {
	s := &scene{T: t, ctx: testContext(t)}
	f.make(s)
	r := &result{scores: map[surface]score{}}
	if s.starts {
		r.observeStart(f, s)
	} else {
		r.observe(f, s)
	}
	if !s.noPeers && s.upstream != "" {
		r.observePeers(f, s)
	}
	s.Logf("the first advice: %s", r.advice)
	r.cured = f.applies(s, r.advice) && s.works()
	for which, why := range f.hidden {
		r.scores[which] = score{hidden: why}
	}
	return r
}

// assignment is an advice to give a variable a value that the advice names.
var assignment = regexp.MustCompile(`(PGORIGIN_[A-Z_]+)=([^\s,]*[^\s,.:;])`)

// removal is an advice to do without one or two variables.
var removal = regexp.MustCompile(`Unset (PGORIGIN_[A-Z_]+)(?: and (PGORIGIN_[A-Z_]+))?`)

// applies does what the first advice says, and nothing else. It reports whether it can.
func (f fault) applies(s *scene, advice string) bool {
	want := f.first
	if f.tried != "" {
		want = f.tried
	}
	if !matches(want, advice) {
		s.Logf("the first advice is %q; it should be like %q", advice, want)
		return false
	}
	if found := removal.FindStringSubmatch(advice); found != nil {
		for _, name := range found[1:] {
			if name != "" {
				s.env = append(s.env, name+"=")
			}
		}
	} else if found := assignment.FindStringSubmatch(advice); found != nil {
		s.env = append(s.env, found[1]+"="+found[2])
	} else {
		for name, value := range s.set {
			if regexp.MustCompile(`\b` + name + `\b`).MatchString(advice) {
				s.env = append(s.env, name+"="+value)
				if name == "PGORIGIN_UPSTREAM_ADDR" {
					s.upstream = value
				}
			}
		}
	}
	if s.cure != nil {
		s.cure()
	}
	return true
}

// works reports whether a client gets through a fresh pgorigin.
func (s *scene) works() bool {
	s.env = slices.DeleteFunc(s.env, func(v string) bool { return v == briefLogin()[0] }) // the usual time is enough
	origin, err := s.launch()
	if err != nil {
		s.Logf("after the advice: %v", err)
		return false
	}
	defer origin.Stop()
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second) // a server may need a moment
	defer cancel()
	err = servers.PollEvery(ctx, 200*time.Millisecond, func() error {
		out, err := s.psql(origin.Addr, "SELECT 40+2").CombinedOutput()
		if err == nil && !strings.Contains(string(out), "42") {
			err = errors.New("no answer to a query")
		}
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err
	})
	if err != nil {
		s.Logf("after the advice: %v", err)
	}
	return err == nil
}

func matches(expression, text string) bool {
	return regexp.MustCompile(`(?is)` + expression).MatchString(text)
}

// namesCause reports whether a text has all that names the cause.
func (f fault) namesCause(text string) bool {
	for _, expression := range f.cause {
		if !matches(expression, text) {
			return false
		}
	}
	return true
}

// firstSentence returns the first sentence of a cure, in one line.
func firstSentence(cure string) string {
	cure = strings.Join(strings.Fields(cure), " ")
	if end := regexp.MustCompile(`\. [A-Z]`).FindStringIndex(cure); end != nil {
		return cure[:end[0]+1]
	}
	return cure
}

// nobody is an address at which nothing listens.
func (s *scene) nobody() string { return "127.0.0.1:" + s.port() }

// application is the name of the client whose session is looked at.
func (s *scene) application() string {
	if s.name == "" {
		s.name = "judged-" + s.port()
	}
	return s.name
}

// port returns a free port.
func (s *scene) port() string {
	s.Helper()
	port, err := shared.lab.Port()
	s.do(err)
	return port
}

// do fails the test for an error.
func (s *scene) do(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}
