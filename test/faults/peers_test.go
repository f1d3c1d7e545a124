//go:build faults

package faults

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// Other programs get the same fault: the same server, and the same settings in their own words. What they say to the
// client and to their logs counts together.

// vocabulary has the settings of other programs for what a variable of pgorigin does, as expressions.
func vocabulary() map[string]string {
	return map[string]string{
		"PGORIGIN_TLS_CA_FILE":     `sslrootcert|root certificate file|CAfile|server_tls_ca_file`,
		"PGORIGIN_TLS_SERVER_NAME": `checkHost|set host|host=`,
		"PGORIGIN_TLS_CERT_FILE":   `sslcert\b|postgresql\.crt|server_tls_cert_file`,
		"PGORIGIN_TLS_CRL_FILE":    `sslcrl|CRLfile`,
		"PGORIGIN_TLS_MIN_VERSION": `ssl_min_protocol_version|sslVersionMin|server_tls_protocols`,
		"PGORIGIN_DIAL_TIMEOUT":    `connect_timeout|TIMEOUTconnect|server_connect_timeout`,
	}
}

// peerAdvises reports whether another program says what cures.
func (f fault) peerAdvises(text string) bool {
	if f.peers != "" && matches(f.peers, text) {
		return true
	}
	for variable, words := range vocabulary() {
		if strings.Contains(f.first, variable) && matches(words, text) {
			return true
		}
	}
	return false
}

func (r *result) observePeers(f fault, s *scene) {
	programs, ask := []surface{libpq, stunnel, pgbouncer}, []func() (string, error){s.libpq, s.stunnel, s.pgbouncer}
	if s.prefix != nil {
		programs, ask = programs[:1], ask[:1] // only psql is started behind the prefix
	}
	texts, errs := make([]string, len(programs)), make([]error, len(programs))
	var asking sync.WaitGroup
	for i, told := range ask {
		asking.Go(func() { texts[i], errs[i] = told() })
	}
	asking.Wait()
	for i, which := range programs {
		if errs[i] != nil {
			s.Fatalf("%s: %v", which, errs[i])
		}
		r.scores[which] = score{cause: f.peerNamesCause(texts[i]), advice: f.peerAdvises(texts[i]), text: texts[i]}
	}
}

// peerNamesCause reports whether another program names the cause.
func (f fault) peerNamesCause(text string) bool {
	return f.namesCause(text) || f.lax != "" && matches(f.lax, text)
}

// peerMark is the score of another program in a cell of the table.
func (s score) peerMark() string {
	switch {
	case s.text == "" || s.hidden != "":
		return "–"
	case s.cause && s.advice:
		return "cause, cure"
	case s.cause:
		return "cause"
	}
	return "no"
}

// setting returns the value that the scene gives to a variable of pgorigin; else the Lab's.
func (s *scene) setting(name string) string {
	value := ""
	if name == "TLS_CA_FILE" {
		value = shared.lab.CAFile
	}
	for _, entry := range s.env {
		if rest, ok := strings.CutPrefix(entry, "PGORIGIN_"+name+"="); ok {
			value = rest
		}
	}
	return value
}

// options of all programs, by the variable of pgorigin.
func (s *scene) translated(names map[string]string) (lines []string) {
	for variable, name := range names {
		if value := s.setting(variable); value != "" {
			lines = append(lines, name+value)
		}
	}
	return lines
}

func (s *scene) libpq() (string, error) {
	host, port, err := net.SplitHostPort(s.upstream)
	if err != nil {
		return "", fmt.Errorf("read address: %w", err)
	}
	dsn := []string{
		"host=" + host, "port=" + port, "user=" + servers.User, "password=" + servers.Password,
		"dbname=" + servers.Database, "sslmode=verify-full", "connect_timeout=5",
	}
	if name := s.setting("TLS_SERVER_NAME"); name != "" {
		dsn = append(dsn, "hostaddr="+host, "host="+name)
	}
	dsn = append(dsn, s.translated(map[string]string{
		"TLS_CA_FILE": "sslrootcert=", "TLS_CRL_FILE": "sslcrl=", "TLS_CERT_FILE": "sslcert=", "TLS_KEY_FILE": "sslkey=",
	})...)
	dsn = append(append(dsn, s.options...), s.direct...)
	return s.ask(strings.Join(dsn, " "), false), nil
}

// ask runs the client of the scene with a connection string of its own.
func (s *scene) ask(dsn string, through bool) string {
	sql := s.sql
	if sql == "" || s.running != nil {
		sql = "SELECT 1"
	}
	ctx, cancel := context.WithTimeout(s.ctx, 8*time.Second)
	defer cancel()
	cmd := shared.lab.Psql(ctx, dsn, "-At", "-c", sql)
	if s.prefix != nil {
		cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", strings.Join(s.prefix, " ") + ` "$0" "$@"`, cmd.Path}
		cmd.Args = append(cmd.Args, "-X", "-w", "-d", dsn, "-At", "-c", sql)
	}
	out, err := cmd.CombinedOutput()
	if err == nil && through {
		s.Logf("a client connects through another program: %s", out)
	}
	return string(out)
}

func (s *scene) throughPeer(addr string, p *servers.Process) string {
	out := s.ask(servers.DSN(addr, append([]string{"connect_timeout=5"}, s.options...)...), true)
	p.Stop()
	return out + p.Log.String()
}

func (s *scene) stunnel() (string, error) {
	port := s.port()
	lines := []string{
		"foreground = yes", "pid =", "syslog = no", "TIMEOUTconnect = 3", "TIMEOUTbusy = 4",
		"[postgres]", "client = yes", "protocol = pgsql", "accept = 127.0.0.1:" + port, "connect = " + s.upstream,
		"verifyChain = yes",
	}
	host, _, _ := net.SplitHostPort(s.upstream)
	name := s.setting("TLS_SERVER_NAME")
	switch {
	case name != "":
		lines = append(lines, "checkHost = "+name)
	case net.ParseIP(host) != nil:
		lines = append(lines, "checkIP = "+host)
	default:
		lines = append(lines, "checkHost = "+host)
	}
	lines = append(lines, s.translated(map[string]string{
		"TLS_CA_FILE": "CAfile = ", "TLS_CRL_FILE": "CRLfile = ", "TLS_CERT_FILE": "cert = ", "TLS_KEY_FILE": "key = ",
	})...)
	config := writeFile(s.T, "stunnel.conf", []byte(strings.Join(lines, "\n")+"\n"))
	p, addr, err := shared.lab.Peer(s.ctx, "stunnel", port, "/usr/bin/stunnel", config)
	if err != nil {
		return err.Error(), nil // it does not start: this is what it says
	}
	return s.throughPeer(addr, p), nil
}

func (s *scene) pgbouncer() (string, error) {
	host, port, _ := net.SplitHostPort(s.upstream)
	if name := s.setting("TLS_SERVER_NAME"); name != "" && net.ParseIP(name) == nil {
		return "", nil // it cannot verify another name than the host's
	}
	settings := []string{"query_wait_timeout = 4", "server_connect_timeout = 3", "server_login_retry = 1"}
	for variable, name := range map[string]string{
		"TLS_CA_FILE": "server_tls_ca_file", "TLS_CERT_FILE": "server_tls_cert_file", "TLS_KEY_FILE": "server_tls_key_file",
	} {
		if path := s.setting(variable); path != "" {
			text, err := os.ReadFile(path)
			if err != nil {
				return "", fmt.Errorf("copy %s: %w", variable, err)
			}
			settings = append(settings, name+" = "+serverFile(s.T, name, text))
		}
	}
	p, addr, err := shared.lab.Sidecar(s.ctx, net.JoinHostPort(host, port), nil, settings...)
	if err != nil {
		return err.Error(), nil // it does not start: this is what it says
	}
	return s.throughPeer(addr, p), nil
}
