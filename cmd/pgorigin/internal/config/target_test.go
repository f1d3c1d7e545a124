package config

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"db.test":      {"UPSTREAM_ADDR": "db.test:6432"},
		"db.test:5432": {"UPSTREAM_ADDR": "db.test:5432"},
		"[::1]:5432":   {"UPSTREAM_ADDR": "[::1]:5432"},
		"a:1,b:2":      {"UPSTREAM_ADDR": "a:1,b:2"},

		"postgres://db.test":          {"UPSTREAM_ADDR": "db.test:5432"},
		"postgresql://db.test:6432/":  {"UPSTREAM_ADDR": "db.test:6432"},
		"postgres://db.test?x=y&z=1":  {"UPSTREAM_ADDR": "db.test:5432"},
		"postgres://a:1,b/db":         {"UPSTREAM_ADDR": "a:1,b:5432", "PGDATABASE": "db"},
		"postgres://[::1]:1/":         {"UPSTREAM_ADDR": "[::1]:1"},
		"postgres:///db?host=h":       {"UPSTREAM_ADDR": "h:5432", "PGDATABASE": "db"},
		"postgres://?host=h,i&port=1": {"UPSTREAM_ADDR": "h:1,i:1"},
		"postgres://h/?hostaddr=::1":  {"UPSTREAM_ADDR": "[::1]:5432", "TLS_SERVER_NAME": "h"},
		"postgres://h:1/?hostaddr=10.0.0.1": {
			"UPSTREAM_ADDR": "10.0.0.1:1", "TLS_SERVER_NAME": "h",
		},
		"postgres://us%40er@db.test:1/d%20b?sslmode=disable": {
			"UPSTREAM_ADDR": "db.test:1", "PGUSER": "us@er", "PGDATABASE": "d b", "TLS_VERIFY": "verify-full",
		},
		"postgres://db.test/?user=u&dbname=d&sslmode=verify-full&sslrootcert=/ca.crt&sslcert=/c&sslkey=/k&sslcrl=/r": {
			"UPSTREAM_ADDR": "db.test:5432", "PGUSER": "u", "PGDATABASE": "d", "TLS_CA_FILE": "/ca.crt",
			"TLS_CA_PEM": "", "TLS_VERIFY": "verify-full", "TLS_CERT_FILE": "/c", "TLS_KEY_FILE": "/k", "TLS_CRL_FILE": "/r",
		},
		"postgres://db.test?sslrootcert=system&sslnegotiation=direct&ssl_min_protocol_version=TLSv1.3": {
			"UPSTREAM_ADDR": "db.test:5432", "TLS_CA_FILE": "", "TLS_CA_PEM": "",
			"TLS_NEGOTIATION": "direct", "TLS_MIN_VERSION": "TLSv1.3",
		},
	} {
		got, err := ParseTarget(text, nil)
		if err != nil || !maps.Equal(got.values, want) || slices.ContainsFunc(got.Notes, ofPassword) {
			t.Errorf("%s: %v, %v, %v; want %v", text, got.values, got.Notes, err, want)
		}
	}
}

func TestAPasswordInAURLIsNeitherUsedNorShown(t *testing.T) {
	for _, text := range []string{
		"postgres://u:s3cret@db.test/db", "postgres://u:s3%40cret@db.test", "postgres://db.test/?password=s3cret",
	} {
		target, err := ParseTarget(text, nil)
		if err != nil || !slices.ContainsFunc(target.Notes, ofPassword) {
			t.Errorf("%s: %v, %v", text, target, err)
		}
		if env := strings.Join(target.Environment(nil), " "); strings.Contains(env, "cret") {
			t.Errorf("%s: %s", text, env)
		}
	}
}

func ofPassword(note string) bool { return strings.Contains(note, "password") }

func TestBadTargets(t *testing.T) {
	for text, want := range map[string]string{
		"":                                            "empty entry",
		"host=db port=1":                              "keyword=value strings are not supported",
		"https://db.test":                             "postgres://, not with https://",
		"db.test:x":                                   "a port is a number",
		"postgres://u:s3cret@db.test:x":               "the port in the URL is no number",
		"postgres://u:s3cret@/db":                     "the URL has no host",
		"postgres://db.test?sslcert=%":                "two hexadecimal digits",
		"postgres://%2Fvar%2Frun/db":                  "the URL leads to a Unix socket",
		"postgres://h?sslmode=on":                     `sslmode in the URL is "on": expected disable`,
		"postgres://h?sslcrldir=/r":                   "or in PGORIGIN_TLS_CRL_FILE",
		"postgres://h?sslnegotiation=x":               `sslnegotiation in the URL is "x": expected postgres or direct`,
		"postgres://h?ssl_min_protocol_version=TLSv9": `ssl_min_protocol_version in the URL is "TLSv9": expected 1.2 or 1.3`,
		"postgres://h?require_auth=trust":             `require_auth in the URL is "trust": expected methods`,
		"postgres://h?service=x":                      "service is about a file",
		"/var/run":                                    "a Unix socket is not possible here",
	} {
		_, err := ParseTarget(text, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestEnvironmentOfATarget(t *testing.T) {
	target, err := ParseTarget("postgres://me@127.0.0.1:6432/?sslrootcert=/new.crt", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := target.Environment([]string{
		"HOME=/home", "PGUSER=other", "PGDATABASE=db", "PGORIGIN_ORIGINS=b", "PGORIGIN_B_UPSTREAM_ADDR=x",
		"PGORIGIN_UPSTREAM_ADDR=y", "PGORIGIN_TLS_CA_FILE=/old.crt", "PGORIGIN_TLS_MIN_VERSION=1.3",
		"PGORIGIN_AUTH_PASSWORD_FILE=UPSTREAM_URL", "PGORIGIN_UPSTREAM_URL=postgres://u:s3cret@h",
		"PGORIGIN_LISTEN_ADDR=127.0.0.1:6432", "PGORIGIN_DIAL_TIMEOUT=3s", "PGORIGIN_HEALTH_ADDR=:9632",
	})
	slices.Sort(got)
	want := []string{
		"HOME=/home", "PGDATABASE=db", "PGORIGIN_DIAL_TIMEOUT=3s", "PGORIGIN_LISTEN_ADDR=unix:/pgorigin-check",
		"PGORIGIN_TLS_CA_FILE=/new.crt", "PGORIGIN_TLS_CA_PEM=", "PGORIGIN_TLS_MIN_VERSION=1.3",
		"PGORIGIN_UPSTREAM_ADDR=127.0.0.1:6432", "PGUSER=me",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if _, _, problems := Load(got); len(problems) > 0 {
		t.Errorf("%v", problems)
	}
}
