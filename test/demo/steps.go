package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// step shows one thing. run returns what was seen to hold, or what did not.
type step struct {
	title string
	run   func(ctx context.Context) (string, error)
}

func (s *scene) steps() []step {
	return []step{
		{"A client that speaks plaintext goes straight to pgbouncer", s.refusedByPgBouncer},
		{"The same client goes through pgorigin", s.servedThroughPgorigin},
		{"The upstream's certificate is for another name", s.wrongName},
		{"Ctrl-C during a query", s.cancelledQuery},
		{"Health endpoints", s.health},
	}
}

func (s *scene) refusedByPgBouncer(ctx context.Context) (string, error) {
	code, out, err := s.psql(ctx, s.bouncer.Addr, "SELECT 1")
	if err == nil {
		err = expect(out, code == 2, "SSL required")
	}
	return "refused: pgbouncer accepts nothing but TLS (client_tls_sslmode=require)", err
}

func (s *scene) servedThroughPgorigin(ctx context.Context) (string, error) {
	code, out, err := s.psql(ctx, s.origin.Addr, "SELECT current_user, current_database(), 'hello through TLS' AS greeting")
	if err != nil {
		return "", err
	}
	if err := expect(out, code == 0, "hello through TLS"); err != nil {
		return "", err
	}
	session, err := s.origin.AwaitSession(ctx, `"reason":"ok"`)
	if err != nil {
		return "", err
	}
	s.note("pgorigin's log says of the upstream leg:")
	for _, field := range []string{"tls_version", "tls_cipher", "tls_group", "tls_peer"} {
		value, _ := session[field].(string)
		if value == "" {
			return "", fmt.Errorf("the log line has no %s", field)
		}
		s.output(fmt.Sprintf("%-12s %s", field, value))
	}
	line, err := s.bouncer.Log.AwaitLine(ctx, "login attempt", "tls=TLSv1.3")
	if err != nil {
		return "", err
	}
	s.note("and pgbouncer's own log:")
	s.output(line)
	return "served: nothing changed in the client, and the database leg is verified TLS", nil
}

func (s *scene) wrongName(ctx context.Context) (string, error) {
	origin, err := s.startOrigin(ctx, s.impostor)
	if err != nil {
		return "", err
	}
	defer origin.Stop()
	s.note("a second pgorigin expects " + servers.ServerName + "; its upstream presents a certificate for " + impostorName)
	code, out, err := s.psql(ctx, origin.Addr, "SELECT 1")
	if err != nil {
		return "", err
	}
	if err := expect(out, code == 2, servers.ServerName, impostorName, "HINT:", "PGORIGIN_TLS_SERVER_NAME"); err != nil {
		return "", err
	}
	session, err := origin.AwaitSession(ctx, `"reason":"cert_name_mismatch"`)
	if err != nil {
		return "", err
	}
	s.note("pgorigin's log, under the same session number:")
	s.output(fmt.Sprintf("reason=%v sqlstate=%v session=%v", session["reason"], session["sqlstate"], session["session"]))
	if session["sqlstate"] != "08001" {
		return "", fmt.Errorf("SQLSTATE is %v, not 08001", session["sqlstate"])
	}
	if lines := s.impostor.Log.Lines("login attempt"); len(lines) > 0 {
		return "", fmt.Errorf("a login reached the wrong server: %q", lines)
	}
	return "refused before a byte of the login left pgorigin, in words that name cause and cure", nil
}

func (s *scene) cancelledQuery(ctx context.Context) (string, error) {
	cmd := s.prepare(ctx, s.origin.Addr, "SELECT pg_sleep(600)")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start psql: %w", err)
	}
	err := servers.Poll(ctx, func() error {
		n, err := s.postgres.Exec(ctx, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'")
		if err == nil && n != "1" {
			err = errors.New("the query is not running")
		}
		return err
	})
	if err != nil {
		return "", errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	pressed := time.Now()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		return "", fmt.Errorf("interrupt psql: %w", err)
	}
	s.note("... PostgreSQL runs it; Ctrl-C")
	err = cmd.Wait()
	s.output(out.String())
	took := time.Since(pressed).Round(time.Millisecond)
	if err := expect(out.String(), err != nil, "canceling statement due to user request"); err != nil {
		return "", err
	}
	request, err := s.origin.AwaitSession(ctx, `"cancel":true`, `"reason":"ok"`)
	if err != nil {
		return "", err
	}
	if request["tls_version"] != "1.3" {
		return "", fmt.Errorf("the cancel request went upstream by TLS %v", request["tls_version"])
	}
	return fmt.Sprintf("cancelled after %v; the cancel request went over verified TLS as well", took), nil
}

func (s *scene) health(ctx context.Context) (string, error) {
	for _, path := range []string{"/startupz", "/livez", "/readyz"} {
		status, body, err := s.origin.Get(ctx, path)
		if err != nil {
			return "", err
		}
		s.command("GET " + s.origin.Health + path)
		s.output(fmt.Sprintf("%d %s", status, strings.TrimSpace(body)))
		if status != http.StatusOK {
			return "", fmt.Errorf("%s answers %d", path, status)
		}
	}
	_, body, err := s.origin.Get(ctx, "/metrics")
	if err != nil {
		return "", err
	}
	s.command("GET " + s.origin.Health + "/metrics")
	shown := 0
	for line := range strings.SplitSeq(body, "\n") {
		if strings.HasPrefix(line, "pgorigin_") && !strings.HasSuffix(line, " 0") && !strings.Contains(line, "_duration_") {
			s.output(line)
			shown++
		}
	}
	if shown == 0 {
		return "", errors.New("no metric of pgorigin has a value")
	}
	return "started, alive, ready, and counting", nil
}

// psql prints a command, runs it, prints what it said and returns its exit code.
func (s *scene) psql(ctx context.Context, addr, sql string) (code int, out string, err error) {
	text, err := s.prepare(ctx, addr, sql).CombinedOutput()
	s.output(string(text))
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), string(text), nil
	}
	if err != nil {
		return 0, "", fmt.Errorf("run psql: %w", err)
	}
	return 0, string(text), nil
}

// prepare prints a psql command and returns it, not started.
func (s *scene) prepare(ctx context.Context, addr, sql string) *exec.Cmd {
	s.command(fmt.Sprintf("psql '%s' -c %q", conninfo(addr), sql))
	cmd := s.lab.Psql(ctx, conninfo(addr), "-c", sql)
	cmd.Env = append(cmd.Env, "PGPASSWORD="+servers.Password)
	return cmd
}

// expect checks an exit code, judged by the caller, and the words of an output.
func expect(out string, exited bool, words ...string) error {
	if !exited {
		return errors.New("psql ended with an exit code that was not expected")
	}
	for _, word := range words {
		if !strings.Contains(out, word) {
			return fmt.Errorf("the output lacks %q", word)
		}
	}
	return nil
}
