//go:build faults

package faults

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// clientFault is one of a client. Check and other programs do not meet it.
func clientFault(f fault, serve func(*scene)) fault {
	if f.hidden == nil {
		f.hidden = map[surface]string{}
	}
	f.hidden[check] = "it is the client's"
	if f.first == `^$` {
		f.hidden[client] = "it is the client itself"
	}
	f.make = func(s *scene) {
		s.upstream, s.noPeers = shared.postgres.Addr, true
		serve(s)
		if s.client != nil {
			f.hidden[client] = "it is no client of Postgres"
		}
		if s.ends {
			f.hidden[page] = "pgorigin has ended"
		}
	}
	return f
}

// says opens a connection, sends text and returns the answer. It leaves after a while if there is none.
func (s *scene) says(addr, text string, patience time.Duration) string {
	s.Helper()
	conn, err := new(net.Dialer).DialContext(s.ctx, "tcp", addr)
	s.do(err)
	defer conn.Close()
	_, err = io.WriteString(conn, text)
	s.do(err)
	s.do(conn.SetReadDeadline(time.Now().Add(patience)))
	answer, _ := io.ReadAll(conn) // the deadline is no failure
	return readable(string(answer))
}

// readable shows an ErrorResponse as psql does. Other answers stay as they are.
func readable(answer string) string {
	_, fields, found := strings.Cut(answer, "SFATAL\x00")
	if !found {
		return answer
	}
	var text strings.Builder
	for field := range strings.SplitSeq(fields, "\x00") {
		if name, ok := map[byte]string{'M': "FATAL:  ", 'D': "DETAIL:  ", 'H': "HINT:  "}[(field + " ")[0]]; ok {
			text.WriteString(name + field[1:] + "\n")
		}
	}
	return text.String()
}

func clientFaults() []fault {
	return []fault{
		clientFault(fault{
			name: "a browser asks the port of clients", reason: "client_protocol", cause: []string{`HTTP`},
			first: `PGORIGIN_HEALTH_ADDR`,
		}, func(s *scene) {
			s.client = func(addr string) string {
				response, err := (&http.Client{Timeout: 5 * time.Second}).Get("http://" + addr + "/healthz")
				if err != nil {
					return err.Error()
				}
				body, _ := io.ReadAll(response.Body)
				_ = response.Body.Close()
				return string(body)
			}
		}),
		clientFault(fault{
			name: "a client demands TLS of pgorigin", reason: "client_gone", cause: []string{`TLS|SSL`},
			first:      `sslmode=disable`,
			clientSays: `server does not support SSL`,
		}, func(s *scene) {
			s.words = []string{`"reason":`}
			s.options = []string{"sslmode=require"}
			s.cure = func() { s.options = nil }
		}),
		clientFault(fault{
			name: "a client begins with TLS", reason: "client_protocol", cause: []string{`TLS|SSL`}, first: `sslmode=disable`,
		}, func(s *scene) {
			s.client = func(addr string) string {
				return s.says(addr, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 3*time.Second)
			}
		}),
		clientFault(fault{
			name: "a client does not trust the listener", reason: "client_protocol", cause: []string{`certificate`},
			first: `sslrootcert`, clientSays: `certificate verify failed`,
		}, func(s *scene) {
			file := filepath.Join(s.TempDir(), "listener.crt")
			s.words = []string{`"reason":`}
			s.env = []string{
				"PGORIGIN_AUTH_CHANNEL_BINDING=bridge",
				"PGORIGIN_LISTEN_TLS=self-signed", "PGORIGIN_LISTEN_TLS_CA_FILE=" + file,
			}
			s.options = []string{"sslmode=verify-ca", "sslrootcert=" + writeFile(s.T, "other.crt", shared.lab.CA.PEM())}
			s.cure = func() { s.options = []string{"sslmode=verify-ca", "sslrootcert=" + file} }
		}),
		clientFault(fault{
			name: "a client knows only TLS 1.1", reason: "client_protocol", cause: []string{`TLS`}, first: `TLS 1\.2`,
		}, func(s *scene) {
			s.env = []string{"PGORIGIN_LISTEN_TLS=self-signed"}
			s.client = func(addr string) string {
				_, err := (&tls.Dialer{Config: &tls.Config{
					MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true,
				}}).DialContext(s.ctx, "tcp", addr)
				return fmt.Sprint(err)
			}
		}),
		clientFault(fault{
			name: "a client with TLS would bind its login", reason: "auth_channel_binding",
			cause: []string{`channel binding`}, first: `PGORIGIN_AUTH_CHANNEL_BINDING=bridge`,
		}, func(s *scene) {
			s.env = []string{"PGORIGIN_LISTEN_TLS=self-signed"}
			s.options = []string{"sslmode=require"}
		}),
		clientFault(fault{
			name: "a client says nothing", reason: "client_timeout", cause: []string{`startup packet|nothing`, `3s`},
			first: `startup packet|LOGIN_TIMEOUT`,
		}, func(s *scene) {
			s.env = briefLogin()
			s.client = func(addr string) string { return s.says(addr, "", 6*time.Second) }
		}),
		clientFault(fault{
			name: "a client is killed", reason: "client_gone", cause: []string{`client`},
			first: `^$`, hidden: map[surface]string{page: "it is no failure"},
		}, func(s *scene) {
			s.sql = "SELECT pg_sleep(3)"
			s.kills = true
		}),
		clientFault(fault{
			name: "a user may not use the Unix socket", reason: "client_denied", cause: []string{`user|uid`},
			first: `PGORIGIN_LISTEN_ALLOW_UIDS`,
		}, func(s *scene) {
			s.words = []string{`"reason":`}
			dir, err := os.MkdirTemp("", "pgo")
			s.do(err)
			s.Cleanup(func() { _ = os.RemoveAll(dir) })
			s.do(os.Chmod(dir, 0o755))
			socket := filepath.Join(dir, ".s.PGSQL.5432")
			s.env = []string{"PGORIGIN_LISTEN_ADDR=unix:" + socket, "PGORIGIN_LISTEN_ALLOW_UIDS=12345"}
			s.options = []string{"host=" + dir, "port=5432"}
			s.set = map[string]string{"PGORIGIN_LISTEN_ALLOW_UIDS": fmt.Sprint(os.Getuid())}
		}),
		clientFault(fault{
			name: "more clients than PGORIGIN_MAX_SESSIONS", reason: "too_many_sessions",
			cause: []string{`too many sessions`, `\b1\b`},
			first: `PGORIGIN_MAX_SESSIONS`,
		}, func(s *scene) {
			s.env = []string{"PGORIGIN_MAX_SESSIONS=1"}
			s.set = map[string]string{"PGORIGIN_MAX_SESSIONS": "2"}
			s.before = func(origin *servers.Origin) { s.cure = s.holds(origin.Addr, 1, "sslmode=disable") }
		}),
		clientFault(fault{
			name: "pgorigin shuts down", reason: "draining", cause: []string{`pgorigin:? (is )?shut|shutting down`},
			first: `connect again`,
		}, func(s *scene) {
			s.words = []string{`"session":2`}
			s.env = []string{"PGORIGIN_SHUTDOWN_TIMEOUT=6s"}
			s.before = func(origin *servers.Origin) {
				release := s.holds(origin.Addr, 1, "sslmode=disable")
				s.do(origin.Signal(syscall.SIGTERM))
				s.do(origin.Await(s.ctx, `"draining"`))
				s.cure = release
			}
		}),
		clientFault(fault{
			name: "pgorigin shuts down, a session takes too long", reason: "draining",
			cause: []string{`pgorigin:? (is )?shut|shutting down`}, first: `connect again`,
		}, func(s *scene) {
			s.env = []string{"PGORIGIN_SHUTDOWN_TIMEOUT=1s"}
			s.ends = true
			s.sql = "SELECT pg_sleep(30)"
			s.running = func(origin *servers.Origin) {
				s.awaitQuery(shared.postgres)
				s.do(origin.Signal(syscall.SIGTERM))
			}
		}),
	}
}
