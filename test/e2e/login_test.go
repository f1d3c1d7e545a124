package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// PostgreSQL offers SCRAM-SHA-256-PLUS on its TLS leg, which psql would refuse to see on a plaintext connection.
func TestLogin(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		code, out := psql(ctx, t, servers.DSN(origin.Addr), "SELECT current_user, current_database()")
		if code != 0 || out != "app|app\n" {
			t.Errorf("psql ended with %d and printed %q", code, out)
		}
		conn := connect(ctx, t, origin.Addr)
		if user := ask[string](ctx, t, conn, "SELECT current_user"); user != servers.User {
			t.Errorf("pgx is logged in as %q", user)
		}
		session, err := origin.AwaitSession(ctx, `"application_name":"psql"`)
		if err != nil {
			t.Fatal(err)
		}
		for field, want := range map[string]any{
			"reason": "ok", "phase": "relay", "user": servers.User, "database": servers.Database, "tls_version": "1.3",
		} {
			if session[field] != want {
				t.Errorf("log field %s is %v, want %v", field, session[field], want)
			}
		}
	})
}

// The words for a wrong password are the server's own: the same as for a client that speaks TLS itself.
func TestWrongPassword(t *testing.T) {
	const wrong = "password=not-the-one"
	for name, row := range map[string]struct{ upstream, words, sqlState string }{
		"postgres":  {shared.postgres.Addr, `FATAL:  password authentication failed for user "app"`, "28P01"},
		"pgbouncer": {shared.bouncer.Addr, "FATAL:  SASL authentication failed", "08P01"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			origin := startOrigin(t, row.upstream)
			_, direct := psql(ctx, t, servers.DSN(row.upstream, wrong, "sslmode=require"))
			code, through := psql(ctx, t, servers.DSN(origin.Addr, wrong))
			if code != 2 || serverWords(through) != serverWords(direct) || !strings.Contains(through, row.words) {
				t.Errorf("psql ended with %d and printed\n%swant what the server says:\n%s", code, through, direct)
			}
			session, err := origin.AwaitSession(ctx, `"reason":"auth_rejected"`)
			if err != nil {
				t.Fatal(err)
			}
			if session["phase"] != "auth" || session["sqlstate"] != row.sqlState {
				t.Errorf("the session ended in phase %v with SQLSTATE %v", session["phase"], session["sqlstate"])
			}
		})
	}
}

// serverWords leaves out address and port, which libpq puts first.
func serverWords(out string) string {
	_, words, _ := strings.Cut(out, " failed: ")
	return words
}

func TestClientModes(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		for option, want := range map[string]string{
			"sslmode=disable":         "",
			"sslmode=allow":           "",
			"sslmode=prefer":          "",
			"sslmode=require":         "server does not support SSL, but SSL was required",
			"channel_binding=require": "channel binding required, but SSL not in use",
		} {
			code, out := psql(ctx, t, servers.DSN(origin.Addr, option), "SELECT 'works'")
			switch {
			case want == "" && (code != 0 || out != "works\n"):
				t.Errorf("%s: psql ended with %d and printed %q", option, code, out)
			case want != "" && (code != 2 || !strings.Contains(out, want)):
				t.Errorf("%s: psql ended with %d and printed %q, want %q", option, code, out, want)
			}
		}
	})
}

func TestWarningDuringLogin(t *testing.T) {
	ctx := testContext(t)
	origin := startOrigin(t, shared.postgres.Addr)
	config, err := pgx.ParseConfig(servers.DSN(origin.Addr, "user=noisy"))
	if err != nil {
		t.Fatal(err)
	}
	var notices []string
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) { notices = append(notices, notice.Message) }
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(ctx); err != nil {
		t.Error(err)
	}
	if len(notices) != 1 || !strings.Contains(notices[0], `role "vanished" does not exist`) {
		t.Errorf("notices %q", notices)
	}
	code, out := psql(ctx, t, servers.DSN(origin.Addr, "user=noisy"), "SELECT 1")
	if code != 0 || !strings.Contains(out, `WARNING:  role "vanished" does not exist`) {
		t.Errorf("psql ended with %d and printed %q", code, out)
	}
}

// Every kind of server key that OpenSSL and TLS 1.3 agree on; the Lab's CA is P-521.
func TestServerKeys(t *testing.T) {
	for _, key := range []tlstest.KeyType{tlstest.P256, tlstest.P384, tlstest.P521, tlstest.Ed25519, tlstest.RSA2048} {
		t.Run(string(key), func(t *testing.T) {
			ctx := testContext(t)
			bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{Certificate: shared.lab.ServerCertificate(key)})
			if err != nil {
				t.Fatal(err)
			}
			defer bouncer.Stop()
			mustExec(ctx, t, connect(ctx, t, startOrigin(t, bouncer.Addr).Addr), "SELECT 1")
		})
	}
}

// Both servers testify that the upstream leg is TLS.
func TestUpstreamLegIsTLS(t *testing.T) {
	t.Run("postgres", func(t *testing.T) {
		ctx := testContext(t)
		conn := connect(ctx, t, startOrigin(t, shared.postgres.Addr).Addr)
		if v := ask[string](ctx, t, conn, "SELECT version FROM pg_stat_ssl WHERE ssl AND pid = pg_backend_pid()"); v != "TLSv1.3" {
			t.Errorf("pg_stat_ssl says %s", v)
		}
	})
	t.Run("pgbouncer", func(t *testing.T) {
		ctx := testContext(t)
		bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{PoolMode: "transaction"})
		if err != nil {
			t.Fatal(err)
		}
		defer bouncer.Stop()
		origin := startOrigin(t, bouncer.Addr)
		if code, out := psql(ctx, t, servers.DSN(origin.Addr), "SELECT 1"); code != 0 {
			t.Fatalf("psql ended with %d and printed %q", code, out)
		}
		line, err := bouncer.Log.AwaitLine(ctx, "login attempt", "tls=TLSv1.3")
		if err != nil {
			t.Fatal(err)
		}
		t.Log(line)
		// Terminate and close_notify arrive in this order: not "client unexpected eof".
		if _, err := bouncer.Log.AwaitLine(ctx, "closing because: client close request"); err != nil {
			t.Error(err)
		}
		if lines := bouncer.Log.Lines("tls=no"); len(lines) > 0 {
			t.Errorf("a login without TLS: %q", lines)
		}
	})
}
