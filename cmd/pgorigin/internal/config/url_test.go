package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// withURL returns an environment with a URL in the place of UPSTREAM_ADDR, and with settings, which have no
// prefix.
func withURL(url string, settings ...string) []string {
	env := []string{Prefix + "UPSTREAM_URL=" + url}
	for _, setting := range settings {
		env = append(env, Prefix+setting)
	}
	return env
}

// urlCase is what a URL and other settings become: words and values, where a star means that the URL is the
// source.
type urlCase struct{ url, settings, want string }

func TestURLBecomesSettings(t *testing.T) {
	for _, row := range []urlCase{
		{"postgres://u:s3cret@db.test/app", "", "*UPSTREAM_ADDR=db.test:5432 TLS_VERIFY=verify-full TLS_CA_FILE= AUTH_CHANNEL_BINDING=strip AUTH_REQUIRE="},
		{"postgres://[::1]:6432/app", "", "*UPSTREAM_ADDR=[::1]:6432"},
		{"postgres://?host=h&port=1", "", "*UPSTREAM_ADDR=h:1"},
		{"postgres://h?hostaddr=10.0.0.1", "", "*UPSTREAM_ADDR=10.0.0.1:5432 *TLS_SERVER_NAME=h"},
		{"jdbc:postgresql://h/app?user=u&password=s3cret&sslmode=verify-full", "", "*UPSTREAM_ADDR=h:5432 *TLS_VERIFY=verify-full"},
		{"postgres://h?sslrootcert=/ca&sslcert=/c&sslkey=/k&sslcrl=/r", "", "*TLS_CA_FILE=/ca *TLS_CERT_FILE=/c *TLS_KEY_FILE=/k *TLS_CRL_FILE=/r"},
		{"postgres://h?sslnegotiation=direct&ssl_min_protocol_version=TLSv1.3", "", "*TLS_NEGOTIATION=direct *TLS_MIN_VERSION=1.3"},
		{"postgres://h?sslnegotiation=postgres&ssl_min_protocol_version=TLSv1", "", "*TLS_NEGOTIATION=postgres TLS_MIN_VERSION=1.2"},
		{"postgres://h?ssl_min_protocol_version=TLSv1.1", "", "TLS_MIN_VERSION=1.2"},
		{"postgres://h?ssl_min_protocol_version=TLSv1.2", "", "TLS_MIN_VERSION=1.2"},

		{"postgres://h?sslmode=require&sslrootcert=/ca", "", "*TLS_VERIFY=verify-full"},
		{"postgres://h?sslmode=verify-ca&sslrootcert=/ca", "", "*TLS_VERIFY=verify-ca *TLS_CA_FILE=/ca"},
		{"postgres://h?sslmode=verify-ca", "TLS_CA_PEM=x", "*TLS_VERIFY=verify-ca TLS_CA_PEM=(set)"},
		{"postgres://h?sslmode=verify-ca", "", "*TLS_VERIFY=verify-full"},
		{"postgres://h?sslmode=verify-ca&sslrootcert=system", "", "*TLS_VERIFY=verify-full TLS_CA_FILE="},
		{"postgres://h?sslmode=verify-ca&sslrootcert=system", "TLS_CA_PEM=x", "*TLS_VERIFY=verify-full TLS_CA_PEM=(set)"},
		{"postgres://h?ssl=verify-ca&sslrootcert=/ca", "", "*TLS_VERIFY=verify-ca"},
		{"postgres://h?ssl=true", "", "*TLS_VERIFY=verify-full"},

		{"postgres://h?require_auth=scram-sha-256", "", "*AUTH_REQUIRE=scram-sha-256"},
		{"postgres://h?channel_binding=require&require_auth=scram-sha-256", "", "*AUTH_CHANNEL_BINDING=bridge *AUTH_REQUIRE=scram-sha-256-plus"},
		{"jdbc:postgresql://h/?channelBinding=REQUIRE&sslmode=Verify-CA&sslrootcert=/ca", "", "*AUTH_CHANNEL_BINDING=bridge *TLS_VERIFY=verify-ca"},
		{"postgres://h?ssl_min_protocol_version=tlsv1.1", "", "TLS_MIN_VERSION=1.2"},
		{"postgres://h?sslcrldir=/r", "TLS_CRL_FILE=/all", "TLS_CRL_FILE=/all"},
		{"jdbc:postgresql://h/?channelBinding=require", "", "*AUTH_CHANNEL_BINDING=bridge *AUTH_REQUIRE=scram-sha-256-plus"},
		{"postgres://h?channel_binding=prefer", "", "AUTH_CHANNEL_BINDING=strip AUTH_REQUIRE="},

		// What is set besides wins.
		{"postgres://h?sslrootcert=/ca&sslcrl=/r", "TLS_CA_FILE=/other", "TLS_CA_FILE=/other *TLS_CRL_FILE=/r"},
		{"postgres://h?sslrootcert=/ca", "TLS_CA_PEM=x", "TLS_CA_FILE= TLS_CA_PEM=(set)"},
		{"postgres://h?sslrootcert=system", "TLS_CA_FILE=/other", "TLS_CA_FILE=/other"},
		{"postgres://h?sslcert=/c&sslkey=/k", "TLS_CERT_FILE=/d TLS_KEY_FILE=/l", "TLS_CERT_FILE=/d TLS_KEY_FILE=/l"},
		{"postgres://h?sslcert=/c&sslkey=/k", "TLS_CERT_FILE=/d", "TLS_CERT_FILE=/d TLS_KEY_FILE="},
		{"postgres://h?sslmode=verify-ca&sslrootcert=/ca", "TLS_VERIFY=verify-full", "TLS_VERIFY=verify-full"},
		{"postgres://h?channel_binding=require", "AUTH_CHANNEL_BINDING=strip", "AUTH_CHANNEL_BINDING=strip AUTH_REQUIRE="},
		{"postgres://h?hostaddr=10.0.0.1", "TLS_SERVER_NAME=x", "TLS_SERVER_NAME=x"},
	} {
		t.Run(row.url+" "+row.settings, func(t *testing.T) {
			s, _, problems := Load(withURL(row.url, strings.Fields(row.settings)...))
			checkURL(t, &s.Origin, problems, row.want)
		})
	}
}

func checkURL(t *testing.T, o *Origin, problems []Problem, want string) {
	t.Helper()
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	got := map[string]Setting{}
	for _, v := range o.Settings() {
		got[v.Word] = v
	}
	for want := range strings.FieldsSeq(want) {
		want, ofURL := strings.CutPrefix(want, "*")
		word, value, _ := strings.Cut(want, "=")
		if got[word].Value != value || (got[word].From == o.own("UPSTREAM_URL")) != ofURL {
			t.Errorf("%s is %q from %s; want %q, from the URL %v", word, got[word].Value, got[word].From, value, ofURL)
		}
	}
}

// TestURLsOfOrigins: what an origin's own URL says comes before what the origin would inherit, and no origin
// inherits from the URL of another one.
func TestURLsOfOrigins(t *testing.T) {
	for settings, want := range map[string]string{
		"REPORTING_UPSTREAM_URL=postgres://h?sslrootcert=/ca TLS_CA_FILE=/other":                                        "*UPSTREAM_ADDR=h:5432 *TLS_CA_FILE=/ca",
		"REPORTING_UPSTREAM_URL=postgres://h?sslrootcert=/ca TLS_CA_PEM=x":                                              "*TLS_CA_FILE=/ca TLS_CA_PEM=",
		"REPORTING_UPSTREAM_URL=postgres://h?sslrootcert=system TLS_CA_FILE=/other":                                     "TLS_CA_FILE=",
		"REPORTING_UPSTREAM_URL=postgres://h?sslmode=verify-ca TLS_CA_FILE=/other":                                      "TLS_CA_FILE=/other *TLS_VERIFY=verify-ca",
		"REPORTING_UPSTREAM_URL=postgres://h?sslmode=require TLS_CA_FILE=/other TLS_VERIFY=verify-ca":                   "*TLS_VERIFY=verify-full",
		"REPORTING_UPSTREAM_URL=postgres://h?sslcert=/c&sslkey=/k TLS_CERT_FILE=/d TLS_KEY_FILE=/l":                     "*TLS_CERT_FILE=/c *TLS_KEY_FILE=/k",
		"REPORTING_UPSTREAM_URL=postgres://h?sslrootcert=/ca REPORTING_TLS_CA_FILE=/own":                                "TLS_CA_FILE=/own",
		"UPSTREAM_ADDR= UPSTREAM_URL=postgres://h?sslrootcert=/ca REPORTING_UPSTREAM_URL=postgres://i":                  "*UPSTREAM_ADDR=i:5432 TLS_CA_FILE=",
		"UPSTREAM_ADDR= UPSTREAM_URL=postgres://h?channel_binding=require REPORTING_UPSTREAM_ADDR=i":                    "UPSTREAM_ADDR=i:6432 AUTH_CHANNEL_BINDING=strip",
		"REPORTING_UPSTREAM_URL=postgres://h?channel_binding=require AUTH_CHANNEL_BINDING=pass":                         "*AUTH_CHANNEL_BINDING=bridge",
		"REPORTING_UPSTREAM_URL=postgres://u:p@h AUTH_CHANNEL_BINDING=bridge REPORTING_AUTH_PASSWORD_FILE=UPSTREAM_URL": "AUTH_PASSWORD_FILE=UPSTREAM_URL",
	} {
		t.Run(settings, func(t *testing.T) {
			if strings.Contains(settings, "REPORTING_UPSTREAM_URL") {
				settings += " REPORTING_UPSTREAM_ADDR="
			}
			s, _, problems := Load(withSettings(settings))
			checkURL(t, s.named[0], problems, want)
		})
	}
}

// TestBadURLs: every problem names the variable, and none repeats a user or a password.
func TestBadURLs(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://s3cret:s3cret@a,b/d":              "PGORIGIN_UPSTREAM_URL: expected one host, and the URL has 2; keep one, or set PGORIGIN_UPSTREAM_ADDR to the list instead of the URL",
		"postgres://s3cret:s3cret@/d":                 "PGORIGIN_UPSTREAM_URL: the URL has no host",
		"postgres://s3cret:s3cret@%2Frun/d":           "PGORIGIN_UPSTREAM_URL: the URL leads to a Unix socket",
		"postgres://s3cret:s3cret@h/d?host=/run":      "PGORIGIN_UPSTREAM_URL: the URL leads to a Unix socket",
		"postgres://h?service=prod":                   "PGORIGIN_UPSTREAM_URL: service is about a file of libpq",
		"postgres://h?sslrootcert=ca.crt":             `PGORIGIN_UPSTREAM_URL: sslrootcert in the URL is the relative path "ca.crt"; write it in full, such as /etc/ssl/ca.crt`,
		"postgres://h?sslkey=~/%7Bx%7D.key":           `sslkey in the URL is the relative path`,
		"postgres://s3cret:s3cret%@h":                 "PGORIGIN_UPSTREAM_URL: the password has a % without",
		"postgres://s3cret:s3c/ret@h":                 "PGORIGIN_UPSTREAM_URL: the URL has a / before its @",
		"postgres://s3cret:s3cret@h:x":                "PGORIGIN_UPSTREAM_URL: the port in the URL is no number",
		"postgres://h%20i":                            `PGORIGIN_UPSTREAM_URL: "h i" is no host name; correct the host in the URL`,
		"postgres://10.0.0.256":                       "is no IP address",
		"postgres://h?hostaddr=i":                     "hostaddr in the URL is no IP address",
		"host=h user=s3cret password=s3cret":          "PGORIGIN_UPSTREAM_URL: expected a URL such as postgres://user@host:5432/db; keyword=value",
		"db.test:5432":                                "PGORIGIN_UPSTREAM_URL: expected a URL such as",
		"mysql://s3cret:s3cret@h":                     "not with mysql://",
		"postgres://h?require_auth=s3cr3t":            "require_auth in PGORIGIN_UPSTREAM_URL: saw",
		"postgres://h?sslnegotiation=x":               `sslnegotiation in PGORIGIN_UPSTREAM_URL: saw "x": expected postgres or direct`,
		"postgres://h?ssl_min_protocol_version=TLSv9": `ssl_min_protocol_version in PGORIGIN_UPSTREAM_URL: saw "TLSv9": expected 1.2 or 1.3`,
		"postgres://127.0.0.1:6432/d":                 "PGORIGIN_UPSTREAM_URL: saw \"127.0.0.1:6432\": expected another address than our own PGORIGIN_LISTEN_ADDR",
		"postgres://s3cret:s3cret@h?x=%":              "the parameter x has a %",
		"postgres://h?channel_binding=required":       `PGORIGIN_UPSTREAM_URL: channel_binding in the URL is "required": expected disable, prefer or require; did you mean require?`,
		"postgres://h?channelBinding=on":              `channel_binding in the URL is "on": expected disable`,
		"postgres://h?sslmode=verify_full":            `sslmode in the URL is "verify_full": expected disable, allow, prefer, no-verify, require, verify-ca or verify-full; did you mean verify-full?`,
		"postgres://h?ssl=true&sslmode=%7Bx%7D":       `sslmode in the URL is "(x)"`,
		"postgres://h?sslcrldir=/r&sslcrl=/c":         "sslcrldir in the URL is a folder, and pgorigin reads one file; put all lists into one file, and name that in sslcrl or in PGORIGIN_TLS_CRL_FILE",
	} {
		_, _, problems := Load(withURL(url))
		if len(problems) != 1 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%s: %v, want %q", url, problems, want)
		}
		if strings.Contains(fmt.Sprint(problems), "s3c") && !strings.Contains(url, "s3cr3t") {
			t.Errorf("%s: %v", url, problems)
		}
	}
}

func TestURLContradictions(t *testing.T) {
	for settings, want := range map[string]string{
		"UPSTREAM_ADDR=h UPSTREAM_URL=postgres://u:s3cret@h":                                                          "PGORIGIN_UPSTREAM_URL: PGORIGIN_UPSTREAM_ADDR is set, too",
		"UPSTREAM_URL=postgres://u:s3cret@h AUTH_PASSWORD_FILE=UPSTREAM_URL":                                          `PGORIGIN_AUTH_PASSWORD_FILE: saw "UPSTREAM_URL": only a bridge logs in itself`,
		"UPSTREAM_URL=postgres://u@h AUTH_PASSWORD_FILE=UPSTREAM_URL AUTH_CHANNEL_BINDING=bridge":                     `PGORIGIN_AUTH_PASSWORD_FILE: saw "UPSTREAM_URL": expected a password in PGORIGIN_UPSTREAM_URL; add it there`,
		"UPSTREAM_ADDR=h AUTH_PASSWORD_FILE=UPSTREAM_URL AUTH_CHANNEL_BINDING=bridge":                                 `expected a password in PGORIGIN_UPSTREAM_URL, which is not set`,
		"UPSTREAM_URL=postgres://u:s3c%ret@h AUTH_PASSWORD_FILE=UPSTREAM_URL AUTH_CHANNEL_BINDING=bridge":             "PGORIGIN_UPSTREAM_URL: the password has a %",
		"UPSTREAM_URL=postgres://h?channel_binding=require AUTH_CHANNEL_BINDING=pass AUTH_REQUIRE=scram-sha-256-plus": "PGORIGIN_AUTH_REQUIRE: saw",
		"UPSTREAM_WAIT=1s": "PGORIGIN_UPSTREAM_ADDR: not set: expected the address of pgbouncer or PostgreSQL; set it to host:port, for example pgbouncer.prod.svc:6432, or set PGORIGIN_UPSTREAM_URL",
	} {
		var env []string
		for setting := range strings.FieldsSeq(settings) {
			env = append(env, Prefix+setting)
		}
		_, _, problems := Load(env)
		if len(problems) != 1 || !strings.Contains(problems[0].String(), want) || strings.Contains(fmt.Sprint(problems), "s3c") {
			t.Errorf("%s: %v, want %q", settings, problems, want)
		}
	}
}

// TestURLNotes has a URL and the settings besides.
func TestURLNotes(t *testing.T) {
	home := t.TempDir()
	for url, want := range map[string]string{
		"postgres://u:s3cret@h/d":                             "",
		"postgres://h?sslmode=verify-full":                    "",
		"postgres://h?sslmode=verify-ca&sslrootcert=/ca":      "",
		"postgres://h?ssl=true":                               "",
		"postgres://h?sslmode=require TLS_VERIFY=verify-full": "",
		"postgres://h?sslmode=require":                        "PGORIGIN_UPSTREAM_URL has sslmode=require, which verifies less; pgorigin verifies the certificate chain and the name (verify-full)",
		"postgres://h?sslmode=disable":                        "PGORIGIN_UPSTREAM_URL has sslmode=disable, which verifies less; pgorigin verifies the certificate chain and the name (verify-full)",
		"postgres://h?ssl=no-verify":                          "PGORIGIN_UPSTREAM_URL has ssl=no-verify, which verifies less; pgorigin verifies the certificate chain and the name (verify-full)",
		"postgres://h?sslmode=verify-ca":                      "PGORIGIN_UPSTREAM_URL has sslmode=verify-ca without sslrootcert; pgorigin verifies the name, too (verify-full), and trusts the system roots",
		"postgres://h?sslpassword=s3cret&x=1&x=2&gssencmode=disable&gssencmode=prefer&s3cret!=1&y": "from PGORIGIN_UPSTREAM_URL, pgorigin does not take over: sslpassword, x, ***",
		"postgres://h?gssencmode=require&connect_timeout=5":                                        "from PGORIGIN_UPSTREAM_URL, pgorigin does not take over: gssencmode, connect_timeout",
		"postgres://h?a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1&k=1&l=1":                             "from PGORIGIN_UPSTREAM_URL, pgorigin does not take over: a, b, c, d, e, f, g, h, i, j, k, l",
		"postgres://h?a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1&k=1&l=1&m=1":                         "from PGORIGIN_UPSTREAM_URL, pgorigin does not take over: a, b, c, d, e, f, g, h, i, j, k, l, …",
	} {
		url, settings, _ := strings.Cut(url, " ")
		s, _, problems := Load(append(withURL(url, strings.Fields(settings)...), "HOME="+home))
		var got []string
		for _, w := range s.Warnings() {
			got = append(got, w.String())
		}
		if len(problems) > 0 || strings.Join(got, "\n") != want {
			t.Errorf("%s: %v, %v\n%s", url, problems, strings.Join(got, "\n"), want)
		}
	}
}

// TestFilesOfLibpq: libpq takes files of its own, which an application may have relied on.
func TestFilesOfLibpq(t *testing.T) {
	home := t.TempDir()
	folder := filepath.Join(home, ".postgresql")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"root.crt", "postgresql.crt", "postgresql.key"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for url, want := range map[string]int{
		"postgres://h":                                      2,
		"postgres://h?sslrootcert=/ca":                      1,
		"postgres://h?sslrootcert=system":                   1,
		"postgres://h?sslrootcert=/ca&sslcert=/c&sslkey=/k": 0,
		"postgres://h TLS_CA_PEM=x":                         1,
	} {
		url, settings, _ := strings.Cut(url, " ")
		s, _, _ := Load(append(withURL(url, strings.Fields(settings)...), "HOME="+home))
		if got := s.Warnings(); len(got) != want {
			t.Errorf("%s: %v", url, got)
		}
	}
	s, _, _ := Load(append(withURL("postgres://h"), "HOME="+home))
	want := fmt.Sprintf("libpq would use %q with PGORIGIN_UPSTREAM_URL; pgorigin uses it only if you set PGORIGIN_TLS_CA_FILE",
		filepath.Join(folder, "root.crt"))
	if got := s.Warnings()[0].String(); got != want {
		t.Errorf("%s\n%s", got, want)
	}
}

// TestURLPasswordStaysHere: nothing that is printed of a configuration has the password, however it is
// printed. Only a bridge gets it, if it is told to.
func TestURLPasswordStaysHere(t *testing.T) {
	const url = "postgres://us3cret:s3cret@h/d?sslmode=require&sslpassword=s3cret&application_name=a"
	for _, settings := range [][]string{nil, {"AUTH_CHANNEL_BINDING=bridge", "AUTH_PASSWORD_FILE=UPSTREAM_URL"}} {
		s, warnings, problems := Load(withURL(url, settings...))
		var printed strings.Builder
		for _, asJSON := range []bool{true, false} {
			if err := WriteSettings(&printed, s.AllSettings(), asJSON); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&printed, "%v %+v %#v %v %v %v", s, s, s, warnings, problems, s.Warnings())
		if strings.Contains(printed.String(), "s3cret") || len(problems) > 0 {
			t.Errorf("%v: %s", problems, printed.String())
		}
		if want := "postgres://***@h/d?sslmode=require&sslpassword=***&application_name=a"; s.Upstream.URL != want {
			t.Errorf("the URL is %s, want %s", s.Upstream.URL, want)
		}
		if settings == nil {
			if s.Password() != nil {
				t.Error("there is a password without a bridge")
			}
			continue
		}
		if password, err := s.Password()(); password != "s3cret" || err != nil || s.PasswordSource() != "PGORIGIN_UPSTREAM_URL" {
			t.Errorf("%q, %v, of %s", password, err, s.PasswordSource())
		}
	}
}

// TestAdviceNamesTheURL: what the URL says is corrected there.
func TestAdviceNamesTheURL(t *testing.T) {
	s, _, _ := Load(withURL("postgres://h?sslrootcert=/ca&sslmode=verify-ca&require_auth=md5"))
	const template = "{UPSTREAM_ADDR}, {own:UPSTREAM_ADDR}, {TLS_CA_FILE}, {own:TLS_CA_FILE}, {TLS_VERIFY}, {AUTH_REQUIRE}, {TLS_KEY_FILE}"
	const want = "PGORIGIN_UPSTREAM_URL, PGORIGIN_UPSTREAM_URL, sslrootcert in PGORIGIN_UPSTREAM_URL, PGORIGIN_TLS_CA_FILE, " +
		"PGORIGIN_TLS_VERIFY, require_auth in PGORIGIN_UPSTREAM_URL, PGORIGIN_TLS_KEY_FILE"
	if got := s.Fill(template); got != want {
		t.Errorf("%s\n%s", got, want)
	}
	env := withSettings("REPORTING_UPSTREAM_ADDR= REPORTING_UPSTREAM_URL=postgres://h?hostaddr=10.0.0.1")
	s, _, _ = Load(env)
	if got := s.named[0].Fill("{UPSTREAM_ADDR}, {TLS_SERVER_NAME}"); got != "PGORIGIN_REPORTING_UPSTREAM_URL, host in PGORIGIN_REPORTING_UPSTREAM_URL" {
		t.Error(got)
	}
}

// TestInheritedListIsNoCure: the lists that the URL of an origin names are those of its server.
func TestInheritedListIsNoCure(t *testing.T) {
	_, _, problems := Load(withSettings("REPORTING_UPSTREAM_ADDR= REPORTING_UPSTREAM_URL=postgres://h?sslcrldir=/r TLS_CRL_FILE=/other"))
	if len(problems) != 1 || !strings.Contains(problems[0].String(), "or in PGORIGIN_REPORTING_TLS_CRL_FILE") {
		t.Error(problems)
	}
}
