package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// twoOriginsEnv is a good configuration with one origin besides the unnamed one.
var twoOriginsEnv = []string{
	"PGORIGIN_UPSTREAM_ADDR=db.internal", "PGORIGIN_ORIGINS=reporting",
	"PGORIGIN_REPORTING_UPSTREAM_ADDR=reports.internal:5432", "PGORIGIN_REPORTING_LISTEN_ADDR=127.0.0.1:6433",
}

// withSettings returns twoOriginsEnv with settings, which have no prefix, in the place of those of the same
// name or besides.
func withSettings(settings string) []string {
	env := slices.Clone(twoOriginsEnv)
	for setting := range strings.FieldsSeq(settings) {
		name, _, _ := strings.Cut(Prefix+setting, "=")
		env = slices.DeleteFunc(env, func(entry string) bool { return strings.HasPrefix(entry, name+"=") })
		env = append(env, Prefix+setting)
	}
	return env
}

// inheritance is what an origin makes of settings: name=value pairs that it must have, and must have taken
// from the unnamed one where a star is in front.
type inheritance struct{ settings, want string }

func TestInheritance(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []inheritance{
		{"", "UPSTREAM_ADDR=reports.internal:5432 LISTEN_ADDR=127.0.0.1:6433 TLS_MIN_VERSION=1.2 MAX_SESSIONS=0"},
		{"MAX_SESSIONS=5", "*MAX_SESSIONS=5"},
		{"MAX_SESSIONS=5 REPORTING_MAX_SESSIONS=6", "MAX_SESSIONS=6"},
		{"REPORTING_MAX_SESSIONS=6", "MAX_SESSIONS=6"},
		{"MAX_SESSIONS=5 REPORTING_MAX_SESSIONS=", "*MAX_SESSIONS=5"},
		{"TLS_MIN_VERSION=1.3 TLS_VERIFY=verify-ca", "*TLS_MIN_VERSION=1.3 *TLS_VERIFY=verify-ca"},
		{"TLS_SERVER_NAME=db.test", "*TLS_SERVER_NAME=db.test"},
		{"LISTEN_SOCKET_MODE=0660 TLS_RELOAD_INTERVAL=0", "*LISTEN_SOCKET_MODE=0660 *TLS_RELOAD_INTERVAL=0s"},
		{"TLS_CA_FILE=/ca", "*TLS_CA_FILE=/ca TLS_CA_PEM="},
		{"TLS_CA_FILE=/ca REPORTING_TLS_CA_PEM=x", "TLS_CA_FILE= TLS_CA_PEM=(set)"},
		{"TLS_CA_PEM=x REPORTING_TLS_CA_FILE=/ca", "TLS_CA_FILE=/ca TLS_CA_PEM="},
		{"TLS_CERT_FILE=/c TLS_KEY_FILE=/k", "*TLS_CERT_FILE=/c *TLS_KEY_FILE=/k"},
		{"TLS_CERT_FILE=/c TLS_KEY_FILE=/k REPORTING_TLS_CERT_FILE=/d", "TLS_CERT_FILE=/d TLS_KEY_FILE="},
		{"TLS_CERT_FILE=/c TLS_KEY_FILE=/k REPORTING_TLS_KEY_FILE=/l", "TLS_CERT_FILE= TLS_KEY_FILE=/l"},
		{"AUTH_CHANNEL_BINDING=bridge AUTH_PASSWORD_FILE=" + file, "*AUTH_CHANNEL_BINDING=bridge *AUTH_PASSWORD_FILE=" + file},
		{"AUTH_CHANNEL_BINDING=bridge AUTH_PASSWORD_FILE=" + file + " REPORTING_AUTH_CHANNEL_BINDING=strip", "AUTH_CHANNEL_BINDING=strip AUTH_PASSWORD_FILE="},
		{"AUTH_CHANNEL_BINDING=bridge AUTH_PASSWORD_FILE=" + file + " REPORTING_AUTH_CHANNEL_BINDING=bridge", "AUTH_CHANNEL_BINDING=bridge AUTH_PASSWORD_FILE="},
		{"AUTH_CHANNEL_BINDING=bridge REPORTING_AUTH_PASSWORD_FILE=" + file, "*AUTH_CHANNEL_BINDING=bridge AUTH_PASSWORD_FILE=" + file},
	} {
		t.Run(row.settings, func(t *testing.T) { checkInheritance(t, row) })
	}
}

func checkInheritance(t *testing.T, row inheritance) {
	t.Helper()
	s, warnings, problems := Load(withSettings(row.settings))
	if len(warnings)+len(problems) > 0 || len(s.named) != 1 {
		t.Fatalf("warnings %v, problems %v, %d origins", warnings, problems, len(s.named))
	}
	o := s.named[0]
	got := map[string]string{}
	for _, v := range o.Settings() {
		got[v.Word] = v.Value
	}
	for want := range strings.FieldsSeq(row.want) {
		want, inherited := strings.CutPrefix(want, "*")
		word, value, _ := strings.Cut(want, "=")
		if got[word] != value || o.inherited[word] != inherited {
			t.Errorf("%s is %q, inherited %v; want %q, %v", word, got[word], o.inherited[word], value, inherited)
		}
	}
	if got := strings.Join(s.Upstream.Addr, ",") + " " + strings.Join(s.Listen.Addr, ","); got != "db.internal:6432 127.0.0.1:6432" {
		t.Errorf("the unnamed origin is %s", got)
	}
}

// TestProblemsOfOrigins: all at once, each under the name that was set.
func TestProblemsOfOrigins(t *testing.T) {
	for _, row := range []struct{ settings, want string }{
		{"REPORTING_UPSTREAM_ADDR=", "PGORIGIN_REPORTING_UPSTREAM_ADDR: not set: expected the address of pgbouncer"},
		{"REPORTING_LISTEN_ADDR=", "PGORIGIN_REPORTING_LISTEN_ADDR: not set: expected an address of its own"},
		{"REPORTING_LISTEN_ADDR=0.0.0.0:7000", `PGORIGIN_REPORTING_LISTEN_ADDR: saw "0.0.0.0:7000": expected a loopback address, because this leg is plaintext; use 127.0.0.1 or [::1], or set PGORIGIN_REPORTING_LISTEN_ALLOW_NON_LOOPBACK=true`},
		{"REPORTING_LISTEN_ADDR=127.0.0.1:0", `PGORIGIN_REPORTING_LISTEN_ADDR: saw "127.0.0.1:0"`},
		{"REPORTING_MAX_SESSIONS=x", `PGORIGIN_REPORTING_MAX_SESSIONS: saw "x"`},
		{"MAX_SESSIONS=x", `PGORIGIN_MAX_SESSIONS: saw "x"`},
		{"MAX_SESSIONS=x REPORTING_MAX_SESSIONS=y", `PGORIGIN_MAX_SESSIONS: saw "x"|PGORIGIN_REPORTING_MAX_SESSIONS: saw "y"`},
		{"MAX_SESSIONS=x REPORTING_TLS_VERIFY=off LOG_LEVEL=y", `PGORIGIN_LOG_LEVEL|PGORIGIN_MAX_SESSIONS|PGORIGIN_REPORTING_TLS_VERIFY: saw "off": verification cannot be turned off`},
		{"LISTEN_ADDR=unix:/run/pg LISTEN_ALLOW_UIDS=5", "PGORIGIN_LISTEN_ALLOW_UIDS: saw \"5\": expected only Unix sockets in PGORIGIN_REPORTING_LISTEN_ADDR, but it has 127.0.0.1:6433"},
		{"LISTEN_ALLOW_UIDS=5", "PGORIGIN_LISTEN_ALLOW_UIDS: saw \"5\": expected only Unix sockets in PGORIGIN_LISTEN_ADDR|PGORIGIN_LISTEN_ALLOW_UIDS: saw \"5\": expected only Unix sockets in PGORIGIN_REPORTING_LISTEN_ADDR"},
		{"AUTH_CHANNEL_BINDING=bridge AUTH_PASSWORD_FILE=/nowhere/p", `PGORIGIN_AUTH_PASSWORD_FILE: saw "/nowhere/p"`},
		{"REPORTING_AUTH_PASSWORD_FILE=/nowhere/p", `PGORIGIN_REPORTING_AUTH_PASSWORD_FILE: saw "/nowhere/p": only a bridge logs in itself; set PGORIGIN_REPORTING_AUTH_CHANNEL_BINDING=bridge`},
		{"REPORTING_LISTEN_ADDR=127.0.0.1:6432", `PGORIGIN_REPORTING_LISTEN_ADDR: saw "127.0.0.1:6432": expected an address that is not in PGORIGIN_LISTEN_ADDR already`},
		{"REPORTING_LISTEN_ADDR=127.0.0.1:7000,localhost:7000", `PGORIGIN_REPORTING_LISTEN_ADDR: saw "localhost:7000": expected an address that is not in PGORIGIN_REPORTING_LISTEN_ADDR already`},
		{"LISTEN_ADDR=unix:/run/pg/s REPORTING_LISTEN_ADDR=unix:/run/pg/../pg/s", "expected an address that is not in PGORIGIN_LISTEN_ADDR already"},
		{"REPORTING_LISTEN_ADDR=127.0.0.1:9632", `PGORIGIN_HEALTH_ADDR: saw "127.0.0.1:9632": expected another address than PGORIGIN_REPORTING_LISTEN_ADDR`},
		{"REPORTING_UPSTREAM_ADDR=127.0.0.1:6432", `PGORIGIN_REPORTING_UPSTREAM_ADDR: saw "127.0.0.1:6432": expected another address than our own PGORIGIN_LISTEN_ADDR`},
		{"REPORTING_UPSTREAM_ADDR=localhost:6433", `PGORIGIN_REPORTING_UPSTREAM_ADDR: saw "localhost:6433": expected another address than our own PGORIGIN_REPORTING_LISTEN_ADDR`},
		{"UPSTREAM_ADDR=127.0.0.1:6433", `PGORIGIN_UPSTREAM_ADDR: saw "127.0.0.1:6433": expected another address than our own PGORIGIN_REPORTING_LISTEN_ADDR`},
		{"LISTEN_ADDR=127.0.0.1:x REPORTING_LISTEN_ADDR=127.0.0.1:6432", `PGORIGIN_LISTEN_ADDR: saw "127.0.0.1:x"`},
	} {
		t.Run(row.settings, func(t *testing.T) { checkProblems(t, row.settings, strings.Split(row.want, "|")) })
	}
}

// checkProblems wants exactly these problems, in order.
func checkProblems(t *testing.T, settings string, wants []string) {
	t.Helper()
	_, _, problems := Load(withSettings(settings))
	if len(problems) != len(wants) {
		t.Fatalf("%d problems, want %d: %v", len(problems), len(wants), problems)
	}
	for i, want := range wants {
		if !strings.Contains(problems[i].String(), want) {
			t.Errorf("problem is\n%s\nwant %q in it", problems[i], want)
		}
	}
}

func TestOriginNames(t *testing.T) {
	var many []string
	for i := range maxOrigins + 1 {
		many = append(many, fmt.Sprintf("o%d", i))
	}
	for _, row := range []struct{ value, want string }{
		{"", ""},
		{"a", ""},
		{" reporting , audit_2,3", ""},
		{strings.Join(many[1:], ","), ""},
		{strings.Join(many, ","), "expected at most 32 origins, there are 33"},
		{"a,,b", "there is an empty entry"},
		{"a,b,a", `entry "a": expected each name once`},
		{"Reporting", "write it in lower case: reporting"},
		{"re-porting", "single underscores"},
		{"_a", "single underscores"},
		{"a_", "single underscores"},
		{"a__b", "single underscores"},
		{"größe", "single underscores"},
		{strings.Repeat("a", maxOriginName), ""},
		{strings.Repeat("a", maxOriginName+1), "more than 63 characters"},
		{"insecure", "reads as if verification"},
		{"db_sslmode", "reads as if verification"},
		{"db_listen", "listen is the last word"},
	} {
		_, err := originNames().parse(row.value)
		if row.value == "" {
			continue // never handed over
		}
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: %v, want %q", row.value, err, row.want)
		}
	}
	for _, word := range []string{
		"tls", "auth", "listen", "upstream", "log", "max", "dial", "login", "shutdown", "health", "unknown", "origins", "warm", "admin", "probe",
		"readiness", "startup", "default", "service", "port", "tls_archive",
	} {
		if _, err := originNames().parse(word); err == nil || !strings.Contains(err.Error(), "is the first word of other names") {
			t.Errorf("%q: %v", word, err)
		}
	}
}

// TestVariablesOfOriginsAreTheirOwn: whatever names origins have, no two variables have the same.
func TestVariablesOfOriginsAreTheirOwn(t *testing.T) {
	words := OriginWords()
	for _, word := range words {
		for _, other := range words {
			rest, ambiguous := strings.CutSuffix(word, "_"+other)
			if ambiguous && checkOriginName("x_"+strings.ToLower(rest)) == nil {
				t.Errorf("%s of an origin is %s of another whose name is longer", word, other)
			}
		}
	}
}

func TestUnknownVariablesOfOrigins(t *testing.T) {
	for _, row := range []struct {
		setting, want string
		always        bool
	}{
		{"REPORTING_UPSTREM_ADDR=x", "did you mean PGORIGIN_REPORTING_UPSTREAM_ADDR?", false},
		{"REPORTING_TLS_CAFILE=/x", "did you mean PGORIGIN_REPORTING_TLS_CA_FILE?", true},
		{"REPORTING_AUTH_REQUIRED=md5", "did you mean PGORIGIN_REPORTING_AUTH_REQUIRE?", true},
		{"REPORTING_LISTEN_ALLOW_UIDS_=5", "did you mean PGORIGIN_REPORTING_LISTEN_ALLOW_UIDS?", false},
		{"REPORTING_HEALTH_ADDR=off", "PGORIGIN_HEALTH_ADDR is for the whole process", false},
		{"REPORTING_FROBNICATE=1", "lists what an origin has", false},
		{"REPORTING_READINESS=upstream", "PGORIGIN_READINESS is for the whole process", false},
		{"REPORTNG_UPSTREAM_ADDR=x", "did you mean PGORIGIN_REPORTING_UPSTREAM_ADDR?", false},
		{"AUDIT_UPSTREAM_ADDR=x", "there is no origin audit; add it to PGORIGIN_ORIGINS", false},
		{"AUDIT_TLS_PINS=x", "there is no origin audit; add it to PGORIGIN_ORIGINS", true},
		{"REPORTING_SSLMODE=disable", `saw "disable": verification cannot be turned off`, true},
		{"REPORTING_TLS_INSECURE=1", "for your own CA, set PGORIGIN_REPORTING_TLS_CA_FILE", true},
		{"AUDIT_TLS_INSECURE=1", "verification cannot be turned off", true},
	} {
		for _, policy := range []string{"error", "warn", "ignore"} {
			_, warnings, problems := Load(append(slices.Clone(twoOriginsEnv), Prefix+row.setting, "PGORIGIN_UNKNOWN_ENV="+policy))
			said := append(slices.Clone(problems), warnings...)
			wanted := row.always || policy == "error"
			if wanted != (len(problems) == 1) || (policy == "warn") != (len(said) == 1) && policy == "warn" {
				t.Errorf("%s under %s: problems %v, warnings %v", row.setting, policy, problems, warnings)
			}
			if len(said) == 1 && !strings.Contains(said[0].String(), row.want) {
				t.Errorf("%s: %s, want %q", row.setting, said[0], row.want)
			}
		}
	}
	_, _, problems := Load(append(slices.Clone(twoOriginsEnv), "PGORIGIN_ORIGINS=Reporting"))
	if len(problems) != 1 || problems[0].Variable != "PGORIGIN_ORIGINS" {
		t.Errorf("an unreadable list makes %v", problems)
	}
	if _, _, problems := Load(append(slices.Clone(twoOriginsEnv), "PGORIGIN_REPORTING_SERVICE_HOST=10.0.0.1")); len(problems) > 0 {
		t.Errorf("the variable of a Service: %v", problems)
	}
}

func TestVariableAndOwn(t *testing.T) {
	s, _, problems := Load(append(slices.Clone(twoOriginsEnv), "PGORIGIN_TLS_CA_FILE=/ca"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, row := range []struct{ word, variable, own string }{
		{"TLS_CA_FILE", "PGORIGIN_TLS_CA_FILE", "PGORIGIN_REPORTING_TLS_CA_FILE"},
		{"TLS_CRL_FILE", "PGORIGIN_REPORTING_TLS_CRL_FILE", "PGORIGIN_REPORTING_TLS_CRL_FILE"},
		{"DIAL_TIMEOUT", "PGORIGIN_DIAL_TIMEOUT", "PGORIGIN_DIAL_TIMEOUT"},
	} {
		o := s.named[0]
		if variable, own := o.Variable(row.word), o.own(row.word); variable != row.variable || own != row.own {
			t.Errorf("%s is %s and %s, want %s and %s", row.word, variable, own, row.variable, row.own)
		}
		if variable, own := s.Variable(row.word), s.own(row.word); variable != Prefix+row.word || own != variable {
			t.Errorf("of the unnamed origin, %s is %s and %s", row.word, variable, own)
		}
	}
}

// TestFill: what is inherited keeps its name, unless somebody is asked to set it.
func TestFill(t *testing.T) {
	s, _, problems := Load(append(slices.Clone(twoOriginsEnv), "PGORIGIN_TLS_CA_FILE=/ca"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for template, want := range map[string]string{
		"Set {own:TLS_CA_FILE} (or {own:TLS_CA_PEM}).": "Set PGORIGIN_REPORTING_TLS_CA_FILE (or PGORIGIN_REPORTING_TLS_CA_PEM).",
		"a list in {TLS_CA_FILE}, or {TLS_CRL_FILE}":   "a list in PGORIGIN_TLS_CA_FILE, or PGORIGIN_REPORTING_TLS_CRL_FILE",
		"raise {own:DIAL_TIMEOUT}":                     "raise PGORIGIN_DIAL_TIMEOUT",
		"nothing to fill":                              "nothing to fill",
	} {
		if got := s.named[0].Fill(template); got != want {
			t.Errorf("%q becomes %q, want %q", template, got, want)
		}
	}
	if got, want := s.Fill("{TLS_PINS} {own:TLS_PINS}"), "PGORIGIN_TLS_PINS PGORIGIN_TLS_PINS"; got != want {
		t.Errorf("for the unnamed origin: %q, want %q", got, want)
	}
}

func TestDoubtsAboutInheritedNames(t *testing.T) {
	for _, row := range []struct {
		settings string
		doubts   int
	}{
		{"", 0},
		{"TLS_SERVER_NAME=db.test", 1},
		{"TLS_SERVER_NAME=db.test REPORTING_TLS_SERVER_NAME=db.test", 0},
		{"TLS_SERVER_NAME=db.test REPORTING_UPSTREAM_ADDR=DB.internal:5432", 0},
		{"TLS_SERVER_NAME=db.test REPORTING_UPSTREAM_ADDR=a,db.internal,b", 2},
		{"TLS_SERVER_NAME=Reports.internal", 0},
		{"TLS_SERVER_NAME=db.test TLS_VERIFY=verify-ca", 0},
	} {
		s, _, problems := Load(withSettings(row.settings))
		doubts := s.Warnings()
		if len(problems) > 0 || len(doubts) != row.doubts {
			t.Errorf("%s: problems %v, doubts %v", row.settings, problems, doubts)
		}
		for _, d := range doubts {
			for _, part := range []string{"origin reporting: ", `"db.test"`, "PGORIGIN_TLS_SERVER_NAME is inherited", "set PGORIGIN_REPORTING_TLS_SERVER_NAME"} {
				if !strings.Contains(d.String(), part) {
					t.Errorf("%q lacks %q", d.String(), part)
				}
			}
		}
	}
}
