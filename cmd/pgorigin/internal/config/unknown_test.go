package config

import (
	"strings"
	"testing"
)

func TestUnknownVariables(t *testing.T) {
	for _, row := range []struct {
		setting string
		want    string // in the problem
		always  bool   // a problem whatever PGORIGIN_UNKNOWN_ENV says
	}{
		{"PGORIGIN_UPSTREM_ADDR=x", "unknown variable; did you mean PGORIGIN_UPSTREAM_ADDR?", false},
		{"PGORIGIN_UPSTREAM=x", "did you mean PGORIGIN_UPSTREAM_ADDR?", false},
		{"PGORIGIN_UPSTREAM_WIAT=5s", "did you mean PGORIGIN_UPSTREAM_WAIT?", false},
		{"PGORIGIN_HEALTH_ADDRESS=x", "did you mean PGORIGIN_HEALTH_ADDR?", false},
		{"PGORIGIN_TLS_CAFILE=x", "did you mean PGORIGIN_TLS_CA_FILE?", true},
		{"PGORIGIN_FROBNICATE_EVERYTHING=x", `"pgorigin help" lists all`, false},
		{"PGORIGIN_UPSTREAM_PORT=5432", "did you mean", false},
		{"PGORIGIN_WEB_SERVER_PORT=5432", "ports are part of PGORIGIN_LISTEN_ADDR", false},
		{"PGORIGIN_PASSWORD=s3cret", "unknown variable", false},
		{"PGORIGIN_TLS_CRLFILE=/x", "did you mean PGORIGIN_TLS_CRL_FILE?", true},
		{"PGORIGIN_TLS_PIN=x", "did you mean PGORIGIN_TLS_PINS?", true},
		{"PGORIGIN_AUTH_REQUIRED=scram-sha-256", "did you mean PGORIGIN_AUTH_REQUIRE?", true},
		{"PGORIGIN_LISTEN_ALLOW_UID=1000", "did you mean PGORIGIN_LISTEN_ALLOW_UIDS?", false},
		{"PGORIGIN_REPORTING_TLS_CA_FILE=/x", "unknown variable; there is no origin reporting; add it to PGORIGIN_ORIGINS", true},
		{"PGORIGIN_REPORTING_MAX_SESSIONS=4", "there is no origin reporting", false},
		{"PGORIGIN_LOG_MAX_SESSIONS=4", "did you mean PGORIGIN_MAX_SESSIONS?", false},
		{"PGORIGIN_WARM_SPARE=2", "did you mean PGORIGIN_WARM_SPARES?", false},
		{"PGORIGIN_EXIT_WHEN_IDEL=30s", "did you mean PGORIGIN_EXIT_WHEN_IDLE?", false},
		{"PGORIGIN_ORIGIN=a", "did you mean PGORIGIN_ORIGINS?", false},
	} {
		t.Run(row.setting, func(t *testing.T) {
			checkPolicies(t, row.setting, row.want, row.always)
		})
	}
}

func TestVerificationCannotBeTurnedOff(t *testing.T) {
	for _, setting := range []string{
		"PGORIGIN_SSLMODE=require",
		"PGORIGIN_TLS_SSLMODE=disable",
		"PGORIGIN_TLS_MODE=prefer",
		"PGORIGIN_TLS_INSECURE=1",
		"PGORIGIN_TLS_INSECURE_SKIP_VERIFY=true",
		"PGORIGIN_TLS_SKIP_VERIFY=true",
		"PGORIGIN_INSECURE=true",
		"PGORIGIN_TLS_VERIFY=false",
		"PGORIGIN_TLS_VERIFY=none",
		"PGORIGIN_TLS_VERIFY=off",
		"PGORIGIN_TLS_VERIFY=Require",
		"PGORIGIN_TLS_DISABLE=1",
		"PGORIGIN_TRUST_SERVER_CERTIFICATE=1",
	} {
		t.Run(setting, func(t *testing.T) {
			_, value, _ := strings.Cut(setting, "=")
			checkPolicies(t, setting, "saw \""+value+"\": verification cannot be turned off", true)
		})
	}
}

// TestServiceLinksAreIgnored has the variables that a kubelet sets for Services called pgorigin, pgorigin-tls
// and pgorigin-sslmode-test.
func TestServiceLinksAreIgnored(t *testing.T) {
	for _, setting := range []string{
		"PGORIGIN_SERVICE_HOST=10.0.0.1",
		"PGORIGIN_SERVICE_PORT=6432",
		"PGORIGIN_SERVICE_PORT_POSTGRES=6432",
		"PGORIGIN_PORT=tcp://10.0.0.1:6432",
		"PGORIGIN_PORT_6432_TCP=tcp://10.0.0.1:6432",
		"PGORIGIN_PORT_6432_TCP_PROTO=tcp",
		"PGORIGIN_PORT_6432_TCP_PORT=6432",
		"PGORIGIN_PORT_6432_TCP_ADDR=10.0.0.1",
		"PGORIGIN_TLS_SERVICE_HOST=10.0.0.1",
		"PGORIGIN_SSLMODE_TEST_PORT_53_UDP_ADDR=10.0.0.1",
	} {
		if _, warnings, problems := Load([]string{upstreamSetting, setting}); len(warnings)+len(problems) > 0 {
			t.Errorf("%s: warnings %v, problems %v", setting, warnings, problems)
		}
	}
}

// checkPolicies loads the setting under each policy.
func checkPolicies(t *testing.T, setting, want string, always bool) {
	t.Helper()
	_, warnings, problems := Load([]string{upstreamSetting, setting})
	if len(problems) != 1 || len(warnings) > 0 || !strings.Contains(problems[0].String(), want) {
		t.Fatalf("problems are %v (warnings %v), want %q", problems, warnings, want)
	}
	if strings.Contains(problems[0].String(), "s3cret") {
		t.Errorf("a value that may be a secret is shown: %v", problems[0])
	}
	for _, policy := range []string{"warn", "ignore"} {
		_, warnings, problems := Load([]string{upstreamSetting, setting, "PGORIGIN_UNKNOWN_ENV=" + policy})
		wantWarnings := 0
		if policy == "warn" && !always {
			wantWarnings = 1
		}
		if (len(problems) == 1) != always || len(warnings) != wantWarnings {
			t.Errorf("under %s: warnings %v, problems %v", policy, warnings, problems)
		}
	}
}

func TestWeakeningNamesTheAlternatives(t *testing.T) {
	_, _, problems := Load([]string{upstreamSetting, "PGORIGIN_SSLMODE=require"})
	if len(problems) != 1 {
		t.Fatal(problems)
	}
	for _, name := range []string{"PGORIGIN_TLS_CA_FILE", "PGORIGIN_TLS_SERVER_NAME"} {
		if !strings.Contains(problems[0].String(), name) {
			t.Errorf("%s is not offered: %v", name, problems[0])
		}
	}
}

// TestSettingsAreNotTakenForSomethingElse: a setting must never match a pattern of this file before it is
// recognised.
func TestSettingsAreNotTakenForSomethingElse(t *testing.T) {
	for _, name := range Names() {
		if weakeningName.MatchString(name) || isServiceLink(name, "tcp://x") {
			t.Errorf("%s matches a pattern for other names", name)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "acb", 2}, {"kitten", "sitting", 3}} {
		if got := editDistance(row.a, row.b); got != row.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", row.a, row.b, got, row.want)
		}
	}
}
