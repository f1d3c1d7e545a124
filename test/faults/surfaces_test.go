//go:build faults

package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// surface is a place where pgorigin, or another program, says what is wrong.
type surface string

const (
	client surface = "client"
	log    surface = "log"
	page   surface = "page" // metrics, status and page
	check  surface = "check"

	libpq     surface = "libpq"
	stunnel   surface = "stunnel"
	pgbouncer surface = "pgbouncer"
)

// score is what one surface says about one fault.
type score struct {
	reason, cause, advice bool
	hidden                string // why it cannot show the fault
	text                  string // what it says
}

// mark is the score in a cell of the table.
func (s score) mark() string {
	if s.hidden != "" {
		return "–"
	}
	var lacks []string
	for word, has := range map[string]bool{"reason": s.reason, "cause": s.cause, "advice": s.advice} {
		if !has {
			lacks = append(lacks, word)
		}
	}
	if len(lacks) == 0 {
		return "✓"
	}
	slices.Sort(lacks)
	return "no " + strings.Join(lacks, ", no ")
}

// result is everything about one fault.
type result struct {
	scores map[surface]score
	reason string // as the log has it
	cure   string // the whole cure in the log
	advice string // its first sentence
	cured  bool   // the first advice was done, and a client connects
}

// results has them by name. Safe for concurrent use.
type results struct {
	mu     sync.Mutex
	byName map[string]*result
}

func newResults() *results { return &results{byName: map[string]*result{}} }

func (all *results) add(f fault, r *result) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.byName[f.name] != nil {
		panic("two faults are called " + f.name)
	}
	all.byName[f.name] = r
}

// launch starts a pgorigin in the scene, and returns when it is ready.
func (s *scene) launch() (*servers.Origin, error) {
	binary := shared.binary
	if s.prefix != nil {
		binary = s.wrapper()
	}
	ctx, cancel := context.WithTimeout(s.ctx, 20*time.Second)
	defer cancel()
	return shared.lab.Origin(ctx, binary, s.upstream, s.settings()...)
}

// settings come before those of the scene. No client waits for the upstream: what it is told is the subject, and a
// server that is down is none that comes back.
func (s *scene) settings() []string {
	settings := []string{"PGORIGIN_DIAL_TIMEOUT=8s", "PGORIGIN_LOGIN_TIMEOUT=20s", "PGORIGIN_UPSTREAM_WAIT=off"}
	if s.brief {
		settings[0] = "PGORIGIN_DIAL_TIMEOUT=2s"
	}
	return append(settings, s.env...)
}

// briefLogin is for faults that end with the time for a login.
func briefLogin() []string { return []string{"PGORIGIN_LOGIN_TIMEOUT=3s"} }

// wrapper is a program that runs pgorigin behind the prefix.
func (s *scene) wrapper() string {
	script := "#!/bin/sh\nexec " + strings.Join(s.prefix, " ") + " " + shared.binary + " \"$@\"\n"
	if s.script == "" {
		s.script = writeFile(s.T, "pgorigin", []byte(script))
		s.do(errors.Join(os.Chmod(s.script, 0o755), os.Chmod(filepath.Dir(s.script), 0o755)))
		// A process that is forked meanwhile may have the file open for writing, for a moment.
		s.do(servers.Poll(s.ctx, func() error { return exec.CommandContext(s.ctx, s.script, "version").Run() }))
	}
	return s.script
}

func (s *scene) psql(addr, sql string) *exec.Cmd {
	if sql == "" {
		sql = "SELECT 1"
	}
	options := append([]string{"application_name=" + s.application()}, s.options...)
	args := []string{"-At"}
	for statement := range strings.SplitSeq(sql, "\n") {
		args = append(args, "-c", statement)
	}
	return shared.lab.Psql(s.ctx, servers.DSN(addr, options...), args...)
}

// observe looks at the four surfaces of a running pgorigin.
func (r *result) observe(f fault, s *scene) {
	origin, err := s.launch()
	if err != nil {
		s.Fatal(err)
	}
	defer origin.Stop()
	if s.before != nil {
		s.before(origin)
	}
	told, words := "", []string{`"application_name":"` + s.application() + `"`}
	if s.words != nil {
		words = s.words
	}
	if s.client != nil {
		told, words = s.client(origin.Addr), []string{`"reason":"`}
	} else {
		told = s.session(origin)
	}
	r.observeLog(f, s, origin, words)
	r.observeClient(f, s, told)
	if f.hidden[page] == "" {
		r.observePage(f, s, origin)
	}
	if f.hidden[check] == "" {
		r.observeCheck(f, s)
	}
}

// session runs a client, and what happens to it, and returns what the client prints.
func (s *scene) session(origin *servers.Origin) string {
	cmd := s.psql(origin.Addr, s.sql)
	if s.running == nil && !s.kills {
		out, _ := cmd.CombinedOutput() // the output has the failure
		return string(out)
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	if s.kills {
		s.awaitQuery(shared.postgres)
		_ = cmd.Process.Kill()
	} else {
		s.running(origin)
	}
	_ = cmd.Wait()
	return out.String()
}

func (r *result) observeLog(f fault, s *scene, origin *servers.Origin, words []string) {
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
	defer cancel()
	fields, err := origin.AwaitSession(ctx, words...)
	if err != nil {
		s.Logf("log: %v", err)
		r.scores[log] = score{text: "no line"}
		return
	}
	field := func(name string) string { text, _ := fields[name].(string); return text }
	r.reason, r.cure = field("reason"), field("cure")
	r.advice = firstSentence(r.cure)
	text := field("error") + " " + field("server_message")
	r.scores[log] = f.judge(s, log, r.reason, text, r.advice)
}

// judge compares what a surface says with the fault.
func (f fault) judge(s *scene, which surface, reason, text, advice string) score {
	got := score{reason: reason == f.reason, cause: f.namesCause(text), advice: matches(f.first, advice), text: text}
	if got.mark() != "✓" && f.hidden[which] == "" {
		s.Logf("%s: %s\n  reason %q, want %q\n  text   %q\n  advice %q", which, got.mark(), reason, f.reason, text, advice)
	}
	return got
}

// observeClient reads what psql prints. It never prints a reason word.
func (r *result) observeClient(f fault, s *scene, told string) {
	message, hint, _ := strings.Cut(told, "HINT:")
	if f.serverSays {
		s.Logf("client: %s", told)
		r.scores[client] = score{reason: true, cause: f.namesCause(told), advice: true, text: told}
		return
	}
	if f.clientSays != "" {
		r.scores[client] = score{reason: true, cause: matches(f.clientSays, told), advice: true, text: told}
		return
	}
	got := f.judge(s, client, f.reason, message, firstSentence(hint))
	got.text = told
	r.scores[client] = got
}

// observePage asks metrics, status and page. All three must have the reason.
func (r *result) observePage(f fault, s *scene, origin *servers.Origin) {
	get := func(path string) string {
		_, body, err := origin.Get(s.ctx, path)
		if err != nil {
			s.Logf("%s: %v", path, err)
		}
		return body
	}
	var status struct {
		Origins []struct {
			Failures []struct{ Reason, Text, Cure string }
		}
	}
	if err := json.Unmarshal([]byte(get("/statusz")), &status); err != nil || len(status.Origins) == 0 {
		s.Logf("statusz: %v", err)
		return
	}
	var reason, text, cure string
	for _, failure := range status.Origins[0].Failures {
		if reason == "" || failure.Reason == f.reason {
			reason, text, cure = failure.Reason, failure.Text, failure.Cure
		}
	}
	if f.meansCause(text, cure) {
		f.cause = nil
	}
	got := f.judge(s, page, reason, text, firstSentence(cure))
	series := regexp.MustCompile(`pgorigin_sessions_total\{[^}]*reason="` + f.reason + `"[^}]*\} [1-9]`)
	if !series.MatchString(get("/metrics")) {
		s.Logf("metrics: no session with reason %s", f.reason)
		got.reason = false
	}
	shown := strings.Join(strings.Fields(html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(get("/"), " "))), " ")
	if !strings.Contains(shown, f.reason) {
		s.Logf("page: no reason %s", f.reason)
		got.reason = false
	}
	if !matches(f.first, shown) {
		s.Logf("page: no advice like %s", f.first)
		got.advice = false
	}
	r.scores[page] = got
}

// verdict is the part of check --json that is looked at.
type verdict struct {
	Failed *struct{ Upstream, Address, Reason, Text, Cure string }
}

// observeCheck runs check as the account, in both forms, and without an account.
func (r *result) observeCheck(f fault, s *scene) {
	account := append([]string{
		"PGUSER=" + servers.User, "PGDATABASE=" + servers.Database, "PGPASSFILE=" + s.passFile(servers.Password),
	}, s.account...)
	got := r.checkOnce(f, s, account, "--login")
	if !f.ofAccount {
		anonymous := r.checkOnce(f, s, nil)
		got.reason, got.cause, got.advice = got.reason && anonymous.reason, got.cause && anonymous.cause, got.advice && anonymous.advice
	}
	text := s.check(account, "--login")
	got.text = text
	words := strings.Join(strings.Fields(text), " ")
	if !strings.Contains(words, f.reason) || !matches(f.first, words) {
		s.Logf("check prints:\n%s", text)
		got.advice = false
	}
	r.scores[check] = got
}

func (r *result) checkOnce(f fault, s *scene, account []string, args ...string) score {
	out := s.check(account, append(args, "--json")...)
	var v verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Failed == nil {
		s.Logf("check (%v): it has not failed: %v\n%s", account, err, out)
		return score{text: out}
	}
	advice := firstSentence(v.Failed.Cure)
	if f.tried != "" {
		f.first, r.advice = f.tried, advice
	}
	text := strings.Join([]string{v.Failed.Upstream, v.Failed.Address, v.Failed.Text}, " ")
	return f.judge(s, check, v.Failed.Reason, text, advice)
}

// check runs pgorigin check with the settings of the scene.
func (s *scene) check(account []string, args ...string) string {
	binary := shared.binary
	if s.prefix != nil {
		binary = s.wrapper()
	}
	cmd := exec.CommandContext(s.ctx, binary, append([]string{"check"}, args...)...)
	cmd.Env = slices.Concat([]string{
		"PGORIGIN_UPSTREAM_ADDR=" + s.upstream, "PGORIGIN_TLS_CA_FILE=" + shared.lab.CAFile, "PATH=/usr/bin:/bin",
		"PGORIGIN_LISTEN_ADDR=" + s.nobody(), "PGORIGIN_HEALTH_ADDR=" + s.nobody(),
	}, s.settings(), account)
	out, _ := cmd.CombinedOutput() // the output has the failure
	return string(out)
}

// passFile has a password for every server.
func (s *scene) passFile(password string) string {
	return writeFile(s.T, "pgpass", fmt.Appendf(nil, "*:*:*:*:%s\n", password))
}

// observeStart looks at a pgorigin that does not start. Log and check have one text with cause and cure.
func (r *result) observeStart(f fault, s *scene) {
	binary := shared.binary
	if s.prefix != nil {
		binary = s.wrapper()
	}
	p, err := shared.lab.Launch(binary, s.upstream, s.settings()...)
	if err != nil {
		s.Fatal(err)
	}
	defer p.Stop()
	ctx, cancel := context.WithTimeout(s.ctx, 20*time.Second)
	defer cancel()
	code, err := p.ExitCode(ctx)
	if err != nil || code != s.exit {
		s.Logf("pgorigin ended with %d, want %d: %v", code, s.exit, err)
	}
	text := strings.Join(strings.Fields(p.Log.String()), " ")
	r.advice = text
	r.scores[log] = f.judge(s, log, f.reason, text, text)
	checked := strings.Join(strings.Fields(s.check(nil)), " ")
	r.scores[check] = f.judge(s, check, f.reason, checked, checked)
	r.scores[client] = score{hidden: "nothing listens"}
	r.scores[page] = score{hidden: "nothing listens"}
}
