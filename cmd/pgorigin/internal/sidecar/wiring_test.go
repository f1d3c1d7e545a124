package sidecar

import (
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// otherValue is a value of a variable that is not its default, and how to see that something was built from
// it.
type otherValue struct {
	word, value string
	besides     string                                  // other variables that are needed, without prefix
	see         func(t *testing.T, env []string) string // nil: in the field of tlsorigin.Config that its row names
}

// otherValues has a row for each variable.
func otherValues() []otherValue {
	return []otherValue{
		{"UPSTREAM_ADDR", "other.internal", "", nil},
		{"UPSTREAM_URL", "postgres://other.internal", "", problems},
		{"UPSTREAM_WAIT", "off", "", lineWait},
		{"UPSTREAM_RESOLVER", "10.96.0.10", "", nil},
		{"LISTEN_ADDR", "127.0.0.1:16433", "", listeners},
		{"LISTEN_ALLOW_NON_LOOPBACK", "true", "LISTEN_ADDR=0.0.0.0:6432", problems},
		{"LISTEN_SOCKET_MODE", "0666", "LISTEN_ADDR=unix:$DIR/s", listeners},
		{"LISTEN_ALLOW_UIDS", "5", "LISTEN_ADDR=unix:$DIR/s", server},
		{"LISTEN_TLS", "self-signed", "", server},
		{"LISTEN_TLS_CA_FILE", "$DIR/ca.crt", "LISTEN_TLS=self-signed", writtenCA},
		{"LISTEN_TLS_CERT_FILE", "/other", "LISTEN_TLS=files LISTEN_TLS_KEY_FILE=/key", problems},
		{"LISTEN_TLS_KEY_FILE", "/other", "LISTEN_TLS=files LISTEN_TLS_CERT_FILE=/cert", problems},
		{"TLS_SERVER_NAME", "other.test", "", nil},
		{"TLS_CA_FILE", "/other", "", nil},
		{"TLS_CA_PEM", "other", "", nil},
		{"TLS_VERIFY", "verify-ca", "", nil},
		{"TLS_CRL_FILE", "/other", "", nil},
		{"TLS_PINS", "sha256/other", "", nil},
		{"TLS_CERT_FILE", "/other", "", nil},
		{"TLS_KEY_FILE", "/other", "", nil},
		{"TLS_MIN_VERSION", "1.3", "", nil},
		{"TLS_GROUPS", "P-384", "", nil},
		{"TLS_POST_QUANTUM", "off", "", nil},
		{"TLS_NEGOTIATION", "direct", "", nil},
		{"TLS_RESUME_FOR", "1m", "", nil},
		{"TLS_RELOAD_INTERVAL", "100ms", "", reloads},
		{"AUTH_CHANNEL_BINDING", "pass", "", server},
		{"AUTH_REQUIRE", "md5", "", server},
		{"AUTH_PASSWORD_FILE", "$DIR/password", "AUTH_CHANNEL_BINDING=bridge", server},
		{"WARM_SPARES", "1", "", spareConnections},
		{"MAX_SESSIONS", "5", "", server},
		{
			"ORIGINS", "reporting",
			"REPORTING_UPSTREAM_ADDR=b REPORTING_LISTEN_ADDR=127.0.0.1:16434 UNKNOWN_ENV=ignore", server,
		},
		{"DIAL_TIMEOUT", "5s", "", nil},
		{"LOGIN_TIMEOUT", "5s", "", server},
		{"SHUTDOWN_DELAY", "5s", "", endAfterSignal},
		{"SHUTDOWN_TIMEOUT", "10ms", "", endOfDrain},
		{"EXIT_WHEN_IDLE", "5s", "", endWhenIdle},
		{"HEALTH_ADDR", "127.0.0.1:16435", "", listeners},
		{"ADMIN_ADDR", "127.0.0.1:16436", "", listeners},
		{"READINESS", "upstream", "", answers},
		{"STARTUP_CHECK", "upstream", "", answers},
		{"PROBE_INTERVAL", "5s", "", prober},
		{"LOG_LEVEL", "error", "", logLines},
		{"LOG_FORMAT", "console", "", logLines},
		{"UNKNOWN_ENV", "ignore", "NONSENSE=x", problems},
	}
}

// TestEveryVariableIsWired sets each variable to another value and looks at what is built from it. It finds a
// variable that is read and shown, and never used.
func TestEveryVariableIsWired(t *testing.T) {
	rows := map[string]otherValue{}
	for _, row := range otherValues() {
		rows[row.word] = row
	}
	for _, v := range config.Variables() {
		row, ok := rows[v.Word]
		if !ok {
			t.Errorf("%s has no row in otherValues: give it a value, and say where to see it", v.Word)
			continue
		}
		if row.see == nil {
			row.see = func(t *testing.T, env []string) string { return dialerField(env, v.Dialer) }
		}
		t.Run(v.Word, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "password"), []byte("s3cret"), 0o600); err != nil {
				t.Fatal(err)
			}
			env := []string{cmdtest.Upstream}
			for setting := range strings.FieldsSeq(strings.ReplaceAll(row.besides, "$DIR", dir)) {
				env = append(env, config.Prefix+setting)
			}
			before := row.see(t, env)
			after := row.see(t, append(env, v.Name()+"="+strings.ReplaceAll(row.value, "$DIR", dir)))
			if before == after {
				t.Errorf("%s=%s changes nothing: it is read, and not used\n%s", v.Name(), row.value, after)
			}
		})
	}
}

// problems returns what is wrong with env.
func problems(_ *testing.T, env []string) string {
	_, _, problems := config.Load(env)
	return fmt.Sprint(problems)
}

// dialerField returns a field of what the dialer is built from.
func dialerField(env []string, name string) string {
	s, _, _ := config.Load(env)
	dialer := s.DialerConfig(&s.Origin, nil)
	field := reflect.ValueOf(dialer).FieldByName(name)
	if !field.IsValid() {
		return "no row says where it goes"
	}
	return fmt.Sprint(field)
}

// built makes a Sidecar, with its log in w, and does not start it.
func built(t *testing.T, env []string, w io.Writer) (*Sidecar, cli.Process) {
	t.Helper()
	p := cli.Process{Env: env, Stdout: io.Discard, Stderr: w}
	s, problems := New(p)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	t.Cleanup(s.closeUpstreams)
	return s, p
}

// server returns the exported fields of the servers. Of hooks it tells whether they are there.
func server(t *testing.T, env []string) string {
	t.Helper()
	s, _ := built(t, env, io.Discard)
	var text strings.Builder
	for _, o := range s.origins {
		fields := reflect.ValueOf(o.server).Elem()
		for i := range fields.NumField() {
			field, info := fields.Field(i), fields.Type().Field(i)
			switch {
			case !info.IsExported():
			case field.Kind() == reflect.Func || field.Kind() == reflect.Pointer:
				fmt.Fprintf(&text, "%s nil: %v\n", info.Name, field.IsNil())
			default:
				fmt.Fprintf(&text, "%s: %v\n", info.Name, field)
			}
		}
	}
	return text.String()
}

// listeners returns the addresses that are bound, and the modes of sockets.
func listeners(t *testing.T, env []string) string {
	t.Helper()
	s, p := built(t, env, io.Discard)
	if code := s.listen(t.Context(), p); code != cli.ExitOK {
		t.Fatalf("it cannot listen: %d", code)
	}
	defer s.closeListeners()
	var text strings.Builder
	for _, o := range s.origins {
		for _, ln := range o.listeners {
			fmt.Fprintln(&text, ln.Addr())
			if info, err := os.Stat(ln.Addr().String()); err == nil {
				fmt.Fprintln(&text, info.Mode())
			}
		}
	}
	if s.healthListener != nil {
		fmt.Fprintln(&text, "health", s.healthListener.Addr())
	}
	if s.adminListener != nil {
		fmt.Fprintln(&text, "admin", s.adminListener.Addr())
	}
	return text.String()
}

// writtenCA returns whether a CA has been written for clients.
func writtenCA(t *testing.T, env []string) string {
	t.Helper()
	s, p := built(t, env, io.Discard)
	if code := s.writeCAFiles(p); code != cli.ExitOK {
		t.Fatalf("it cannot write: %d", code)
	}
	_, err := os.Stat(s.origins[0].settings.Listen.TLSCAFile)
	return fmt.Sprint(err == nil)
}

// answers returns what probes are told before the upstream was tried.
func answers(t *testing.T, env []string) string {
	t.Helper()
	s, _ := built(t, env, io.Discard)
	s.status.Started()
	var text strings.Builder
	for _, path := range []string{"/startupz", "/readyz"} {
		recorder := httptest.NewRecorder()
		s.healthServer.Handler.ServeHTTP(recorder, httptest.NewRequest("GET", path, nil))
		fmt.Fprintln(&text, path, recorder.Code)
	}
	return text.String()
}

// lineWait returns how long clients wait while the upstream is away.
func lineWait(t *testing.T, env []string) string {
	t.Helper()
	s, _ := built(t, env, io.Discard)
	return s.origins[0].lineOptions().Wait.String()
}

func prober(t *testing.T, env []string) string {
	t.Helper()
	s, _ := built(t, env, io.Discard)
	return s.origins[0].observer.Prober.Interval.String()
}

// logLines returns a line of each kind, without times.
func logLines(t *testing.T, env []string) string {
	t.Helper()
	var out strings.Builder
	s, _ := built(t, env, &out)
	s.log.Info("informs")
	s.log.Error("complains")
	return fmt.Sprint(strings.Count(out.String(), "\n"), strings.HasPrefix(out.String(), "{"))
}

// endAfterSignal returns how long it goes on after a signal.
func endAfterSignal(t *testing.T, env []string) string {
	t.Helper()
	return timeToEnd(t, env, func(e *ending) { e.signals <- syscall.SIGTERM })
}

// endWhenIdle returns how long it goes on after its only session.
func endWhenIdle(t *testing.T, env []string) string {
	t.Helper()
	return timeToEnd(t, env, func(e *ending) {
		e.idle.SessionBegan()
		e.idle.LoggedIn()
		e.idle.SessionEnded()
	})
}

// timeToEnd returns how long it goes on after act, an hour at most.
func timeToEnd(t *testing.T, env []string, act func(*ending)) (text string) {
	t.Helper()
	s, _, _ := config.Load(env)
	synctest.Test(t, func(t *testing.T) {
		began, e := time.Now(), newEnding(s)
		act(e)
		select {
		case <-e.code:
			text = time.Since(began).String()
		case <-time.After(time.Hour):
			text = "goes on"
			e.signals <- syscall.SIGTERM
			<-e.code
		}
	})
	return text
}

// glance is how long a test waits for what must not come.
const glance = 500 * time.Millisecond

// endOfDrain returns the exit code of a drain during which the client stays for a while.
func endOfDrain(t *testing.T, env []string) string {
	t.Helper()
	r := start(t, append(env, cmdtest.StartUpstream(t)...)...)
	client := r.Begin(t)
	r.Stop()
	r.Stderr.Wait(t, "draining")
	time.Sleep(glance)
	_ = client.Close()
	return fmt.Sprint(<-r.Code)
}

// reloads says whether a changed file is noticed soon.
func reloads(t *testing.T, env []string) string {
	t.Helper()
	files := func(ca string) map[string][]byte {
		return map[string][]byte{"ca.crt": tlstest.NewCA(ca, tlstest.P256).PEM()}
	}
	mount, err := tlstest.NewMount(filepath.Join(t.TempDir(), "mount"), files("before"))
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, append(env, "PGORIGIN_TLS_CA_FILE="+mount.Path("ca.crt"))...)
	defer func() { r.Stop(); r.WantExit(t, cli.ExitOK) }()
	if err := mount.Swap(files("after")); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(soon(func() bool {
		log, _ := r.Stderr.Text()
		return strings.Contains(log, `"message":"reloaded"`)
	}))
}

// spareConnections says whether there is a spare connection soon.
func spareConnections(t *testing.T, env []string) string {
	t.Helper()
	r := start(t, append(env, cmdtest.StartUpstream(t)...)...)
	defer func() { r.Stop(); r.WantExit(t, cli.ExitOK) }()
	return fmt.Sprint(soon(func() bool {
		_, body := r.Get(t, "/metrics")
		return strings.Contains(body, `pgorigin_warm_spares_ready{origin="default"} 1`)
	}))
}

// soon reports whether happened turns true within a glance.
func soon(happened func() bool) bool {
	for began := time.Now(); time.Since(began) < glance; time.Sleep(10 * time.Millisecond) {
		if happened() {
			return true
		}
	}
	return false
}
