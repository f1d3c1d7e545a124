package execute

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
)

// environments returns what the sidecar and the command get, without PATH, and the warnings. A port is shown
// as PORT.
func environments(t *testing.T, o Options, env ...string) (sidecar, command, warnings []string) {
	t.Helper()
	if o.URLEnv == nil {
		o.URLEnv = []string{"DATABASE_URL"}
	}
	plan, problems := newPlan(env, o)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	at, err := openPlaces(context.Background(), env, plan)
	if err != nil {
		t.Fatal(err)
	}
	defer at.close()
	shown := func(env []string) []string {
		var list []string
		for _, entry := range env {
			for i, place := range at.at {
				entry = strings.ReplaceAll(entry, place.Port, "PORT"+string(rune('1'+i)))
			}
			list = append(list, entry)
		}
		return slices.Sorted(slices.Values(list))
	}
	for _, w := range plan.warnings {
		warnings = append(warnings, w.String())
	}
	return shown(at.sidecarEnv(plan)), shown(at.childEnv(plan)), warnings
}

// without returns the entries of list that are not in others.
func without(list []string, others ...string) string {
	return strings.Join(slices.DeleteFunc(list, func(entry string) bool { return slices.Contains(others, entry) }), " ")
}

// TestEnvironments: what the sidecar and the command get for what the application has.
func TestEnvironments(t *testing.T) {
	const defaults, addr = "PGORIGIN_LOG_LEVEL=warn PGORIGIN_HEALTH_ADDR=off PGORIGIN_SHUTDOWN_TIMEOUT=5s", "PGORIGIN_LISTEN_ADDR=127.0.0.1:PORT1"
	const here = "PGHOST=127.0.0.1 PGPORT=PORT1"
	const url, led = "DATABASE_URL=postgres://app:pw@db.internal/shop?sslmode=verify-full", "DATABASE_URL=postgres://app:pw@127.0.0.1:PORT1/shop?sslmode=disable"
	for name, row := range map[string]struct {
		env              string
		options          Options
		sidecar, command string
		warning          string
	}{
		"a URL": {
			env: url, sidecar: "PGORIGIN_UPSTREAM_URL=postgres://app:pw@db.internal/shop?sslmode=verify-full", command: led,
		},
		"an address": {env: "PGORIGIN_UPSTREAM_ADDR=db.internal", sidecar: "PGORIGIN_UPSTREAM_ADDR=db.internal"},
		"a URL that leads to the address": {
			env: url + " PGORIGIN_UPSTREAM_ADDR=DB.internal:5432", sidecar: "PGORIGIN_UPSTREAM_ADDR=DB.internal:5432", command: led,
		},
		"a URL that leads elsewhere": {
			env: url + " PGORIGIN_UPSTREAM_ADDR=db.internal:6432", sidecar: "PGORIGIN_UPSTREAM_ADDR=db.internal:6432", command: url,
			warning: `DATABASE_URL stays as it is, because it leads to "db.internal:5432" and not to the upstream`,
		},
		"a URL of something else": {
			env: "DATABASE_URL=sqlite:///x PGORIGIN_UPSTREAM_ADDR=db", sidecar: "PGORIGIN_UPSTREAM_ADDR=db", command: "DATABASE_URL=sqlite:///x",
			warning: "DATABASE_URL is no URL of a Postgres server",
		},
		"two hosts that are given": {
			env:     "DATABASE_URL=postgres://a:1,b:2/?sslrootcert=/ca&sslmode=verify-full PGORIGIN_UPSTREAM_ADDR=a:1,b:2",
			sidecar: "PGORIGIN_UPSTREAM_ADDR=a:1,b:2", command: "DATABASE_URL=postgres://127.0.0.1:PORT1/?sslmode=disable",
			warning: "pgorigin does not take over sslrootcert from DATABASE_URL",
		},
		"several that lead to one": {
			env: "A=postgres://x@db:1/a?sslmode=verify-full B=postgresql+asyncpg://y@DB:1/b?ssl=verify-full&sslmode=verify-full", options: Options{URLEnv: []string{"A", "B"}, Named: true},
			sidecar: "PGORIGIN_B_LISTEN_ADDR=127.0.0.1:PORT2 PGORIGIN_B_UPSTREAM_URL=postgresql+asyncpg://y@DB:1/b?ssl=verify-full&sslmode=verify-full PGORIGIN_ORIGINS=b PGORIGIN_UPSTREAM_URL=postgres://x@db:1/a?sslmode=verify-full",
			command: "A=postgres://x@127.0.0.1:PORT1/a?sslmode=disable B=postgresql+asyncpg://y@127.0.0.1:PORT2/b?ssl=disable",
		},
		"a user of its own": {
			env: "A=postgres://x@db:1/a B=postgres://y@db:1/b TLS_URL=postgres://db:2/", options: Options{URLEnv: []string{"A", "B", "TLS_URL"}},
			sidecar: "PGORIGIN_ORIGINS=url_tls_url PGORIGIN_UPSTREAM_URL=postgres://x@db:1/a PGORIGIN_URL_TLS_URL_LISTEN_ADDR=127.0.0.1:PORT2 PGORIGIN_URL_TLS_URL_UPSTREAM_URL=postgres://db:2/",
			command: "A=postgres://x@127.0.0.1:PORT1/a?sslmode=disable B=postgres://y@127.0.0.1:PORT1/b?sslmode=disable TLS_URL=postgres://127.0.0.1:PORT2/?sslmode=disable",
		},
		"libpq's own": {
			env: "PGORIGIN_UPSTREAM_ADDR=db:1 PGHOSTADDR=1.2.3.4 PGSSLROOTCERT=/x PGSSLMODE=verify-full PGSSLNEGOTIATION=direct " +
				"PGUSER=app PGREQUIREAUTH=scram-sha-256 PGCHANNELBINDING=prefer PGHOST=db PGPORT=1 PGREQUIREPEER=postgres PGGSSENCMODE=prefer PGAPPNAME=x",
			sidecar: "PGORIGIN_AUTH_REQUIRE=scram-sha-256 PGORIGIN_TLS_CA_FILE=/x PGORIGIN_TLS_NEGOTIATION=direct PGORIGIN_UPSTREAM_ADDR=db:1", command: "PGAPPNAME=x PGCHANNELBINDING=prefer PGGSSENCMODE=prefer PGREQUIREAUTH=scram-sha-256 PGSSLMODE=disable PGSSLROOTCERT=/x PGUSER=app",
			warning: "the command gets PGSSLMODE=disable",
		},
		"libpq's own beside a URL": {
			env:     "DATABASE_URL=postgres://db/?sslrootcert=/url&channel_binding=prefer PGSSLROOTCERT=/x PGSSLCERT=/c PGSSLKEY=/k PGCHANNELBINDING=require PGSSLCRLDIR=/d PGORIGIN_TLS_CRL_FILE=/r",
			sidecar: "PGORIGIN_TLS_CERT_FILE=/c PGORIGIN_TLS_CRL_FILE=/r PGORIGIN_TLS_KEY_FILE=/k PGORIGIN_UPSTREAM_URL=postgres://db/?sslrootcert=/url&channel_binding=prefer",
			command: "DATABASE_URL=postgres://127.0.0.1:PORT1/?channel_binding=prefer&sslmode=disable PGSSLCERT=/c PGSSLCRLDIR=/d PGSSLKEY=/k PGSSLROOTCERT=/x",
		},
		"PGHOST elsewhere": {
			env:     "DATABASE_URL=postgres://db/?sslmode=verify-full PGHOST=ci PGHOSTADDR=1.2.3.4 PGSSLMODE=require",
			sidecar: "PGORIGIN_UPSTREAM_URL=postgres://db/?sslmode=verify-full",
			command: "DATABASE_URL=postgres://127.0.0.1:PORT1/?sslmode=disable PGHOST=ci PGSSLMODE=require",
			warning: `PGHOST and PGPORT stay as they are, because they lead to "ci:5432"`,
		},
		"weaker PGSSLMODE": {
			env:     "PGORIGIN_UPSTREAM_ADDR=db PGSSLMODE=require",
			sidecar: "PGORIGIN_UPSTREAM_ADDR=db", command: "PGSSLMODE=disable", warning: "PGSSLMODE is require, which verifies less",
		},
		"PGSSLMODE without the name": {
			env:     "DATABASE_URL=postgres://db/ PGSSLMODE=verify-ca PGSSLROOTCERT=/ca PGSSLMINPROTOCOLVERSION=TLSv1.3",
			sidecar: "PGORIGIN_TLS_CA_FILE=/ca PGORIGIN_TLS_MIN_VERSION=1.3 PGORIGIN_TLS_VERIFY=verify-ca PGORIGIN_UPSTREAM_URL=postgres://db/",
			command: "DATABASE_URL=postgres://127.0.0.1:PORT1/?sslmode=disable PGSSLMINPROTOCOLVERSION=TLSv1.3 PGSSLMODE=verify-ca PGSSLROOTCERT=/ca",
		},
		"a URL of its own that does not say it": {
			env: "A=postgres://db:1/?sslrootcert=/a&channel_binding=prefer B=postgres://db:2/ PGSSLROOTCERT=/x PGCHANNELBINDING=require", options: Options{URLEnv: []string{"A", "B"}},
			sidecar: "PGORIGIN_B_AUTH_CHANNEL_BINDING=bridge PGORIGIN_B_AUTH_REQUIRE=scram-sha-256-plus PGORIGIN_B_LISTEN_ADDR=127.0.0.1:PORT2 PGORIGIN_B_TLS_CA_FILE=/x PGORIGIN_B_UPSTREAM_URL=postgres://db:2/ PGORIGIN_ORIGINS=b PGORIGIN_UPSTREAM_URL=postgres://db:1/?sslrootcert=/a&channel_binding=prefer",
			command: "A=postgres://127.0.0.1:PORT1/?channel_binding=prefer&sslmode=disable B=postgres://127.0.0.1:PORT2/?sslmode=disable PGSSLROOTCERT=/x",
		},
		"origins of the user's besides": {
			env: "A=postgres://db:1/ B=postgres://db:2/ PGORIGIN_ORIGINS=x PGORIGIN_X_UPSTREAM_ADDR=c PGORIGIN_X_LISTEN_ADDR=127.0.0.1:9", options: Options{URLEnv: []string{"A", "B"}},
			sidecar: "PGORIGIN_B_LISTEN_ADDR=127.0.0.1:PORT2 PGORIGIN_B_UPSTREAM_URL=postgres://db:2/ PGORIGIN_ORIGINS=x,b PGORIGIN_UPSTREAM_URL=postgres://db:1/",
			command: "A=postgres://127.0.0.1:PORT1/?sslmode=disable B=postgres://127.0.0.1:PORT2/?sslmode=disable",
		},
		"one name with two addresses": {
			env: "A=postgres://db:1/?hostaddr=10.0.0.1 B=postgres://db:1/?hostaddr=10.0.0.2", options: Options{URLEnv: []string{"A", "B"}},
			sidecar: "PGORIGIN_B_LISTEN_ADDR=127.0.0.1:PORT2 PGORIGIN_B_UPSTREAM_URL=postgres://db:1/?hostaddr=10.0.0.2 PGORIGIN_ORIGINS=b PGORIGIN_UPSTREAM_URL=postgres://db:1/?hostaddr=10.0.0.1",
			command: "A=postgres://127.0.0.1:PORT1/?sslmode=disable B=postgres://127.0.0.1:PORT2/?sslmode=disable",
		},
		"a URL with the address that is given": {
			env:     "DATABASE_URL=postgres://db/?hostaddr=10.0.0.1 PGORIGIN_UPSTREAM_ADDR=10.0.0.1:5432 PGORIGIN_TLS_SERVER_NAME=db",
			sidecar: "PGORIGIN_TLS_SERVER_NAME=db PGORIGIN_UPSTREAM_ADDR=10.0.0.1:5432", command: "DATABASE_URL=postgres://127.0.0.1:PORT1/?sslmode=disable",
		},
		"the same URL given": {
			env:     "DATABASE_URL=postgres://a@db/?sslrootcert=/ca PGORIGIN_UPSTREAM_URL=postgres://db/?sslrootcert=/ca",
			sidecar: "PGORIGIN_UPSTREAM_URL=postgres://db/?sslrootcert=/ca", command: "DATABASE_URL=postgres://a@127.0.0.1:PORT1/?sslmode=disable",
		},
		"channel binding": {
			env:     "PGORIGIN_UPSTREAM_ADDR=db PGREQUIREAUTH=scram-sha-256 PGCHANNELBINDING=require",
			sidecar: "PGORIGIN_AUTH_CHANNEL_BINDING=bridge PGORIGIN_AUTH_REQUIRE=scram-sha-256 PGORIGIN_UPSTREAM_ADDR=db",
		},
		"what would end it early": {
			env:     "PGORIGIN_UPSTREAM_ADDR=db PGORIGIN_SHUTDOWN_DELAY=5s PGORIGIN_EXIT_WHEN_IDLE=1s PGORIGIN_SHUTDOWN_TIMEOUT=1s",
			sidecar: "PGORIGIN_SHUTDOWN_TIMEOUT=1s PGORIGIN_UPSTREAM_ADDR=db",
		},
	} {
		row.options.Listen = ListenTCP
		sidecar, command, warnings := environments(t, row.options, strings.Fields(row.env)...)
		for i, entry := range sidecar {
			if strings.HasPrefix(entry, "PG") && !strings.HasPrefix(entry, config.Prefix) {
				sidecar[i] = "" // nothing reads it
			}
		}
		others := append(strings.Fields(row.env), append(strings.Fields(defaults), addr, "")...)
		others = slices.DeleteFunc(others, func(entry string) bool { return strings.Contains(row.sidecar, entry) && entry != "" })
		if got := without(sidecar, others...); got != row.sidecar {
			t.Errorf("%s: the sidecar gets %s, want %s", name, got, row.sidecar)
		}
		if got := without(command, strings.Fields(here)...); got != row.command {
			t.Errorf("%s: the command gets %s, want %s", name, got, row.command)
		}
		if got := strings.Join(warnings, "\n"); !strings.Contains(got, row.warning) || row.warning == "" && got != "" {
			t.Errorf("%s: the warnings are %q, want %q", name, got, row.warning)
		}
	}
}

// TestProblems: what is wrong is said with the variable that the user knows, and never with a password.
func TestProblems(t *testing.T) {
	for env, want := range map[string]string{
		"": `PGORIGIN_UPSTREAM_ADDR: not set: expected the address of the database here, or its URL in DATABASE_URL or ` +
			`PGORIGIN_UPSTREAM_URL; pgorigin does not read PGHOST: set PGORIGIN_UPSTREAM_ADDR="$PGHOST:$PGPORT" if it has the database`,
		"DATABASE_URL=postgres://a:secret@h1,h2/":                     "DATABASE_URL: expected one host, and the URL has 2; keep one,",
		"DATABASE_URL=mysql://a:secret@h1/":                           "DATABASE_URL: expected a URL that begins with postgres://",
		"DATABASE_URL=postgres://a:secret@h/?service=x":               "DATABASE_URL: service is about a file of libpq",
		"DATABASE_URL=postgres://a:secret@h/?sslrootcert=ca.pem":      "DATABASE_URL: sslrootcert in the URL is the relative path",
		"DATABASE_URL=postgres://a:secret@/?host=/run":                "DATABASE_URL: the URL leads to a Unix socket",
		"DATABASE_URL=postgres://a:secret@h/ PGSERVICE=prod":          `PGSERVICE: saw "prod": expected no service`,
		"DATABASE_URL=postgres://h/ PGSSLMINPROTOCOLVERSION=TLSv3":    `PGSSLMINPROTOCOLVERSION: saw "3"`,
		"DATABASE_URL=postgres://a:secret@h/?channel_binding=on":      `DATABASE_URL: channel_binding in the URL is "on"`,
		"DATABASE_URL=postgres://a:secret@h/?sslcrldir=/r":            "DATABASE_URL: sslcrldir in the URL is a folder",
		"DATABASE_URL=postgres://h/ PGCHANNELBINDING=required":        `PGCHANNELBINDING: saw "required": expected disable, prefer or require; did you mean require?`,
		"DATABASE_URL=postgres://h/ PGSSLMODE=verify-fall":            `PGSSLMODE: saw "verify-fall": expected disable`,
		"DATABASE_URL=postgres://h/?sslcrl=/r PGSSLCRLDIR=/r":         `PGSSLCRLDIR: saw "/r": expected no folder, because pgorigin reads one file`,
		"PGORIGIN_UPSTREAM_ADDR=h PGSSLCRLDIR=/r":                     `PGSSLCRLDIR: saw "/r": expected no folder`,
		"DATABASE_URL=postgres://h/ PGREQUIREAUTH=trust":              `PGREQUIREAUTH: saw "trust"`,
		"DATABASE_URL=postgres://h/ PGORIGIN_LISTEN_ADDR=127.0.0.1:1": "PGORIGIN_LISTEN_ADDR: saw \"127.0.0.1:1\": expected no address",
		"DATABASE_URL=postgres://h/ PGORIGIN_LISTN_ADDR=127.0.0.1:1":  "PGORIGIN_LISTN_ADDR: unknown variable",
	} {
		_, problems := newPlan(strings.Fields(env), Options{URLEnv: []string{"DATABASE_URL"}, Listen: ListenTCP})
		if len(problems) != 1 || !strings.HasPrefix(problems[0].String(), want) || strings.Contains(problems[0].String(), "secret") {
			t.Errorf("%s: %v, want %s", env, problems, want)
		}
	}
}

// TestPasswordNeedsASocket: pgorigin logs in for nobody else, unless that is wanted.
func TestPasswordNeedsASocket(t *testing.T) {
	env := []string{
		"DATABASE_URL=postgres://a:secret@h/", "PGORIGIN_AUTH_CHANNEL_BINDING=bridge", "PGORIGIN_AUTH_PASSWORD_FILE=UPSTREAM_URL",
	}
	for listen, want := range map[Listen]string{
		ListenAuto: "PGORIGIN_AUTH_PASSWORD_FILE: every user of this machine could", ListenSocket: "", ListenTCP: "",
	} {
		_, problems := newPlan(env, Options{URLEnv: []string{"DATABASE_URL"}, Listen: listen})
		got := ""
		for _, p := range problems {
			got += p.String()
		}
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}
