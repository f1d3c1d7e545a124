package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const upstreamSetting = "PGORIGIN_UPSTREAM_ADDR=db.internal"

func TestDefaults(t *testing.T) {
	s, warnings, problems := Load([]string{upstreamSetting})
	if len(warnings)+len(problems) > 0 {
		t.Fatalf("warnings %v, problems %v", warnings, problems)
	}
	got := map[string]string{}
	for _, v := range s.Settings() {
		got[v.Variable] = v.Value
	}
	want := map[string]string{
		"PGORIGIN_UPSTREAM_ADDR":             "db.internal:6432",
		"PGORIGIN_UPSTREAM_URL":              "",
		"PGORIGIN_UPSTREAM_WAIT":             "14s",
		"PGORIGIN_UPSTREAM_RESOLVER":         "system",
		"PGORIGIN_LISTEN_ADDR":               "127.0.0.1:6432",
		"PGORIGIN_LISTEN_ALLOW_NON_LOOPBACK": "false",
		"PGORIGIN_LISTEN_SOCKET_MODE":        "0600",
		"PGORIGIN_LISTEN_ALLOW_UIDS":         "",
		"PGORIGIN_LISTEN_TLS":                "off",
		"PGORIGIN_LISTEN_TLS_CA_FILE":        "",
		"PGORIGIN_LISTEN_TLS_CERT_FILE":      "",
		"PGORIGIN_LISTEN_TLS_KEY_FILE":       "",
		"PGORIGIN_AUTH_CHANNEL_BINDING":      "strip",
		"PGORIGIN_AUTH_REQUIRE":              "",
		"PGORIGIN_AUTH_PASSWORD_FILE":        "",
		"PGORIGIN_TLS_SERVER_NAME":           "",
		"PGORIGIN_TLS_CA_FILE":               "",
		"PGORIGIN_TLS_CA_PEM":                "",
		"PGORIGIN_TLS_VERIFY":                "verify-full",
		"PGORIGIN_TLS_CRL_FILE":              "",
		"PGORIGIN_TLS_PINS":                  "",
		"PGORIGIN_TLS_CERT_FILE":             "",
		"PGORIGIN_TLS_KEY_FILE":              "",
		"PGORIGIN_TLS_MIN_VERSION":           "1.2",
		"PGORIGIN_TLS_GROUPS":                "",
		"PGORIGIN_TLS_POST_QUANTUM":          "prefer",
		"PGORIGIN_TLS_NEGOTIATION":           "postgres",
		"PGORIGIN_TLS_RESUME_FOR":            "10m0s",
		"PGORIGIN_TLS_RELOAD_INTERVAL":       "30s",
		"PGORIGIN_ORIGINS":                   "",
		"PGORIGIN_DIAL_TIMEOUT":              "10s",
		"PGORIGIN_LOGIN_TIMEOUT":             "1m0s",
		"PGORIGIN_WARM_SPARES":               "0",
		"PGORIGIN_MAX_SESSIONS":              "0",
		"PGORIGIN_SHUTDOWN_DELAY":            "0s",
		"PGORIGIN_SHUTDOWN_TIMEOUT":          "25s",
		"PGORIGIN_EXIT_WHEN_IDLE":            "0s",
		"PGORIGIN_ADMIN_ADDR":                "off",
		"PGORIGIN_HEALTH_ADDR":               "127.0.0.1:9632",
		"PGORIGIN_READINESS":                 "local",
		"PGORIGIN_STARTUP_CHECK":             "none",
		"PGORIGIN_PROBE_INTERVAL":            "15s",
		"PGORIGIN_LOG_LEVEL":                 "info",
		"PGORIGIN_LOG_FORMAT":                "auto",
		"PGORIGIN_UNKNOWN_ENV":               "error",
	}
	for _, name := range Names() {
		value, ok := want[name]
		if !ok {
			t.Errorf("%s has no row: add what holds by default", name)
		}
		if shown, ok := got[name]; !ok || shown != value {
			t.Errorf("%s is %q by default, want %q", name, shown, value)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("there is a row for %s, and no such variable", name)
	}
}

func TestEveryValueIsRead(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	sockets := []string{upstreamSetting, "PGORIGIN_LISTEN_ADDR=unix:/run/a/socket", "PGORIGIN_LISTEN_ALLOW_UIDS= 5, 70000", "PGORIGIN_LISTEN_TLS=self-signed", "PGORIGIN_LISTEN_TLS_CA_FILE=/run/ca.crt"}
	url := []string{"PGORIGIN_UPSTREAM_URL=postgres://u:s3cret@h/d?sslrootcert=/ca"}
	env := []string{
		"PGORIGIN_UPSTREAM_ADDR=a:1, b.example. , [::1]:7,192.0.2.1", "PGORIGIN_UPSTREAM_WAIT=Off",
		"PGORIGIN_UPSTREAM_RESOLVER= [2001:DB8::35] ",
		"PGORIGIN_LISTEN_ADDR=127.0.0.1:7001,[::1]:7001",
		"PGORIGIN_LISTEN_TLS=Files", "PGORIGIN_LISTEN_TLS_CERT_FILE=/l.crt", "PGORIGIN_LISTEN_TLS_KEY_FILE=/l.key",
		"PGORIGIN_AUTH_CHANNEL_BINDING=bridge", "PGORIGIN_AUTH_REQUIRE=scram-sha-256", "PGORIGIN_LISTEN_SOCKET_MODE=660",
		"PGORIGIN_LISTEN_ALLOW_NON_LOOPBACK=true", "PGORIGIN_TLS_SERVER_NAME=pgbouncer.prod",
		"PGORIGIN_TLS_CA_FILE=/ca.crt", "PGORIGIN_TLS_CA_PEM=-----BEGIN", "PGORIGIN_TLS_VERIFY=Verify-CA",
		"PGORIGIN_TLS_CRL_FILE=/revoked.pem", "PGORIGIN_TLS_PINS=sha256/a=, sha256/b=", "PGORIGIN_TLS_CERT_FILE=/c.crt",
		"PGORIGIN_TLS_KEY_FILE=/c.key", "PGORIGIN_TLS_MIN_VERSION=TLSv1.3", "PGORIGIN_DIAL_TIMEOUT=5s",
		"PGORIGIN_LOGIN_TIMEOUT=2m", "PGORIGIN_MAX_SESSIONS=40", "PGORIGIN_WARM_SPARES=2", "PGORIGIN_SHUTDOWN_DELAY=3s", "PGORIGIN_SHUTDOWN_TIMEOUT=500ms", "PGORIGIN_EXIT_WHEN_IDLE=1m", "PGORIGIN_ADMIN_ADDR=localhost:9633",
		"PGORIGIN_TLS_RESUME_FOR=off", "PGORIGIN_TLS_RELOAD_INTERVAL=1m", "PGORIGIN_TLS_GROUPS=x25519mlkem768, prime256v1", "PGORIGIN_TLS_POST_QUANTUM=Require",
		"PGORIGIN_TLS_NEGOTIATION=direct", "PGORIGIN_HEALTH_ADDR=off", "PGORIGIN_READINESS=Upstream", "PGORIGIN_STARTUP_CHECK=upstream",
		"PGORIGIN_PROBE_INTERVAL=5s", "PGORIGIN_LOG_LEVEL=WARN", "PGORIGIN_LOG_FORMAT=json", "PGORIGIN_UNKNOWN_ENV=warn",
		"PGORIGIN_AUTH_PASSWORD_FILE=" + password, "PGORIGIN_ORIGINS= reporting, audit",
		"PGORIGIN_REPORTING_UPSTREAM_ADDR=r", "PGORIGIN_REPORTING_LISTEN_ADDR=127.0.0.1:7002",
		"PGORIGIN_AUDIT_UPSTREAM_ADDR=u", "PGORIGIN_AUDIT_LISTEN_ADDR=127.0.0.1:7003",
		"OTHER=1", "PGHOST=elsewhere", "pgorigin_upstream_addr=lower.case",
	}
	got := map[string]string{}
	for _, env := range [][]string{sockets, url, env} {
		s, warnings, problems := Load(env)
		if len(warnings)+len(problems) > 0 {
			t.Fatalf("warnings %v, problems %v", warnings, problems)
		}
		for _, v := range s.Settings() {
			if v.From == fromEnvironment {
				got[v.Word] = v.Value
			}
		}
	}
	want := map[string]string{
		"UPSTREAM_ADDR":             "a:1,b.example.:6432,[::1]:7,192.0.2.1:6432",
		"UPSTREAM_URL":              "postgres://***@h/d?sslrootcert=/ca",
		"UPSTREAM_WAIT":             "0s",
		"UPSTREAM_RESOLVER":         "[2001:db8::35]:53",
		"LISTEN_ADDR":               "127.0.0.1:7001,[::1]:7001",
		"LISTEN_ALLOW_NON_LOOPBACK": "true",
		"LISTEN_SOCKET_MODE":        "0660",
		"LISTEN_ALLOW_UIDS":         "5,70000",
		"LISTEN_TLS":                "files",
		"LISTEN_TLS_CA_FILE":        "/run/ca.crt",
		"LISTEN_TLS_CERT_FILE":      "/l.crt",
		"LISTEN_TLS_KEY_FILE":       "/l.key",
		"TLS_SERVER_NAME":           "pgbouncer.prod",
		"TLS_CA_FILE":               "/ca.crt",
		"TLS_CA_PEM":                "(set)",
		"TLS_VERIFY":                "verify-ca",
		"TLS_CRL_FILE":              "/revoked.pem",
		"TLS_PINS":                  "sha256/a=,sha256/b=",
		"TLS_CERT_FILE":             "/c.crt",
		"TLS_KEY_FILE":              "/c.key",
		"TLS_MIN_VERSION":           "1.3",
		"TLS_GROUPS":                "X25519MLKEM768,P-256",
		"TLS_POST_QUANTUM":          "require",
		"TLS_NEGOTIATION":           "direct",
		"TLS_RESUME_FOR":            "0s",
		"TLS_RELOAD_INTERVAL":       "1m0s",
		"AUTH_CHANNEL_BINDING":      "bridge",
		"AUTH_REQUIRE":              "scram-sha-256",
		"AUTH_PASSWORD_FILE":        password,
		"ORIGINS":                   "reporting,audit",
		"WARM_SPARES":               "2",
		"MAX_SESSIONS":              "40",
		"DIAL_TIMEOUT":              "5s",
		"LOGIN_TIMEOUT":             "2m0s",
		"SHUTDOWN_DELAY":            "3s",
		"SHUTDOWN_TIMEOUT":          "500ms",
		"EXIT_WHEN_IDLE":            "1m0s",
		"HEALTH_ADDR":               "off",
		"ADMIN_ADDR":                "localhost:9633",
		"READINESS":                 "upstream",
		"STARTUP_CHECK":             "upstream",
		"PROBE_INTERVAL":            "5s",
		"LOG_LEVEL":                 "warn",
		"LOG_FORMAT":                "json",
		"UNKNOWN_ENV":               "warn",
	}
	for _, v := range Variables() {
		value, ok := want[v.Word]
		if !ok {
			t.Errorf("%s has no row: set it above, and add how it is shown", v.Word)
		}
		if got[v.Word] != value || value == v.Default {
			t.Errorf("%s is %q, want %q, which is not the default", v.Word, got[v.Word], value)
		}
		delete(want, v.Word)
	}
	for word := range want {
		t.Errorf("there is a row for %s, and no such variable", word)
	}
}

func TestEmptyValuesCountAsUnset(t *testing.T) {
	env := []string{upstreamSetting}
	for _, name := range Names() {
		if name != "PGORIGIN_UPSTREAM_ADDR" {
			env = append(env, name+"=")
		}
		if name != "PGORIGIN_UPSTREAM_ADDR" && !securityName.MatchString(name) {
			env = append(env, name+"= ") // of the others, see TestBlanksDropNoPolicy
		}
	}
	env = append(env, "PGORIGIN_TLS_CRL_FILE=", "PGORIGIN_SSLMODE=", "PGORIGIN_TYPO=")
	s, _, problems := Load(env)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if s.HealthAddr != "127.0.0.1:9632" || s.LogLevel.String() != "info" {
		t.Errorf("an empty value replaced a default: %+v", s)
	}
}

func TestLoadLeavesTheEnvironmentAsItWas(t *testing.T) {
	t.Setenv("PGORIGIN_DIAL_TIMEOUT", "nonsense")
	t.Setenv("PGORIGIN_LOG_LEVEL", "debug")
	before := os.Environ()
	s, _, problems := Load([]string{upstreamSetting, "PGORIGIN_MAX_SESSIONS=x"})
	if len(problems) != 1 || s.LogLevel.String() != "info" {
		t.Errorf("load read the environment of the process: %v, %v", problems, s.LogLevel)
	}
	slices.Sort(before)
	after := os.Environ()
	slices.Sort(after)
	if !slices.Equal(before, after) {
		t.Errorf("environment was %q, is %q", before, after)
	}
}
