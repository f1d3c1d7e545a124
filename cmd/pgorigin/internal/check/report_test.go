package check

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/golden"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/stacks"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

func ptr(ms float64) *float64 { return &ms }

// sampleClients has stacks that fail, one that is not known, and one that never works.
func sampleClients() *Clients {
	group := stacks.Trait{Cause: "no_common_group", Text: "of the key-exchange groups, the server takes only P-521"}
	key := stacks.Trait{Cause: "leaf_p521", Text: "the server's key is ECDSA P-521"}
	alert := ClientReason{group, "handshake failure", "measured", ""}
	return &Clients{
		Verified: true, Traits: []stacks.Trait{group, key},
		Stacks: []ClientStack{
			{"One", "1", "drivers", "fails", []ClientReason{alert}},
			{"One", "2", "drivers", "fails", []ClientReason{alert, {key, "no key", "reported", "https://source.test"}}},
			{"Two", "", "drivers", "unknown", []ClientReason{{key, "", "", ""}}},
			{"Three", "3", "drivers", "connects", nil},
			{"Four", "", "drivers", "fails", []ClientReason{{stacks.Trait{Cause: "always", Text: "whatever"}, "no", "measured", ""}}},
		},
	}
}

// sampleReport has every key and every mark.
func sampleReport() *Report {
	certificate := func(subject, issuer, key, sum string, days int, sent bool) tlsorigin.PeerCertificate {
		begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		return tlsorigin.PeerCertificate{
			Subject: subject, Issuer: issuer, Key: key, SignatureAlgorithm: "ECDSA-SHA512",
			SHA256: strings.Repeat(sum, 32), Serial: "01",
			NotBefore: begin, NotAfter: begin.AddDate(0, 0, days), DaysLeft: days,
			Sent: sent, SelfIssued: subject == issuer,
		}
	}
	root := certificate(`"Root"`, `"Root"`, "ECDSA P-521", "ab", 3650, false)
	leaf := certificate(`"db.test"`, `"Root"`, "RSA 2048", "cd", 9, true)
	stray := certificate(`"Stray"`, `"Elsewhere"`, "Ed25519", "ef", 1, true)
	good := Address{
		Address: "10.0.0.1:6432",
		Stages: []Stage{
			{Stage: "tcp", Result: resultOK, Milliseconds: ptr(0.25)},
			{Stage: "sslrequest", Result: resultOK, Milliseconds: ptr(1.5), Text: "answered S"},
			{
				Stage: "tls", Result: resultOK, Milliseconds: ptr(12),
				Text: "TLS 1.3, TLS_AES_128_GCM_SHA256, X25519",
			},
			{
				Stage: "chain", Result: resultWarning,
				Text: `trusting PGORIGIN_TLS_CA_FILE; "db.test" ends in 9 days`,
			},
			{Stage: "name", Result: resultOK, Text: `expected "db.test", presented "db.test"`},
			{Stage: "client_certificate", Result: resultOK, Text: `"app" presented`},
			{
				Stage: "key_exchange", Result: resultFailed, Reason: "tls_timeout", Text: "vanishes",
				Cure: "do this",
			},
			{Stage: "authentication", Result: resultOK, Milliseconds: ptr(20), Text: "SCRAM-SHA-256"},
			{Stage: "login", Result: resultOK, Milliseconds: ptr(30), Text: "server 18.1"},
		},
		TLS: &TLS{"1.3", "TLS_AES_128_GCM_SHA256", "X25519", true},
		Chain: &Chain{
			true, `"Root"`, "PGORIGIN_TLS_CA_FILE",
			[]tlsorigin.PeerCertificate{root, leaf},
			[]tlsorigin.PeerCertificate{stray},
		},
		Name:              &Name{"db.test", `"db.test"`},
		ClientCertificate: &ClientCertificate{true, `"app"`},
		KeyExchange: []KeyExchange{
			{"configured", "vanishes", 1500, 3000, "", false, "tls_timeout"},
			{"X25519", "works", 260, 1.25, "X25519", false, ""},
			{"P-256", "works", 293, 2.5, "P-256", true, ""},
			{"P-521", "unavailable", 0, 0, "", false, ""},
		},
		Authentication: []string{"SCRAM-SHA-256"},
		Login:          &LoginFacts{"app", "app", "18.1", true, "SCRAM-SHA-256-PLUS", 0.5},
		Clients:        sampleClients(),
	}
	bad := Address{
		Address: "10.0.0.2:6432", failed: "chain",
		Stages: []Stage{
			{Stage: "tcp", Result: resultOK, Milliseconds: ptr(0.25)},
			{Stage: "sslrequest", Result: resultSkipped, Text: "not sent: TLS begins at once"},
			{Stage: "tls", Result: resultOK, Milliseconds: ptr(12)},
			{
				Stage: "chain", Result: resultFailed, Reason: "cert_unknown_authority", Text: "not trusted",
				Cure: "Set PGORIGIN_TLS_CA_FILE.",
			},
		},
		Trials: []Trial{
			{Change: "the same again", Outcome: trialFailed, Milliseconds: 3, Reason: "cert_unknown_authority"},
			{Change: "PGORIGIN_X=y", Variable: "PGORIGIN_X", Value: "y", Outcome: trialWorks, Milliseconds: 2.5},
		},
		Chain: &Chain{false, "", "PGORIGIN_TLS_CA_FILE", []tlsorigin.PeerCertificate{leaf}, nil},
		Name:  &Name{"db.test", `"db.test"`},
	}
	r := &Report{
		Warnings: []string{"PGORIGIN_TLS_KEY_FILE: others may read it"},
		Degraded: []Failure{{"tcp", "default", "db.test:6432", "10.0.0.3:6432", "upstream_refused", "refused", "Check."}},
		Problems: []Problem{{"PGORIGIN_X", "y", "unknown variable"}},
		Stages: []Stage{
			{Stage: "config", Result: resultOK},
			{Stage: "files", Result: resultOK, Text: "PGORIGIN_TLS_CA_FILE"},
		},
		Upstreams: []Upstream{
			{
				"default", "db.test:6432", "db.test",
				Stage{Stage: "dns", Result: resultOK, Milliseconds: ptr(2), Text: "2 addresses"},
				[]Address{good, bad},
			},
			{
				"reporting", "gone.test:6432", "gone.test",
				Stage{
					Stage: "dns", Result: resultFailed, Reason: "upstream_dns",
					Text: "its name does not exist in DNS",
				},
				[]Address{},
			},
		},
	}
	r.conclude()
	return r
}

// The keys of the JSON are stable: a change of this file is a change that users notice.
func TestCheckReportGolden(t *testing.T) {
	for _, row := range []struct {
		file string
		json bool
		env  []string
	}{
		{"testdata/check_json.golden", true, nil},
		{"testdata/check_plain.golden", false, nil},
		{"testdata/check_tree.golden", false, []string{"CLICOLOR_FORCE=1"}},
	} {
		var out bytes.Buffer
		if err := sampleReport().write(cli.Process{Stdout: &out, Env: row.env}, row.json); err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, row.file, out.String())
	}
}

func TestTheVerdictIsDials(t *testing.T) {
	// A certificate for another name by an unknown authority: both stages are marked, and the reason is
	// Dial's.
	r := Report{Upstreams: []Upstream{{Addresses: []Address{{
		failed: "name",
		Stages: []Stage{
			{Stage: "chain", Result: resultFailed, Reason: "cert_unknown_authority"},
			{Stage: "name", Result: resultFailed, Reason: "cert_name_mismatch"},
		},
	}}}}}
	r.conclude()
	if r.OK || r.Failed == nil || r.Failed.Stage != "name" || r.Failed.Reason != "cert_name_mismatch" {
		t.Errorf("%+v", r.Failed)
	}
}

func TestAFamilyThatIsNotThereIsNoFault(t *testing.T) {
	address := func(addr, result string) Address {
		return Address{Address: addr, Stages: []Stage{{Stage: "tcp", Result: result, Cure: "cure"}}}
	}
	for _, row := range []struct {
		name    string
		results []Address
		want    []string
	}{
		{
			"no IPv6 here",
			[]Address{address("[::1]:1", resultFailed), address("127.0.0.1:1", resultOK)},
			[]string{resultWarning, resultOK},
		},
		{
			"no IPv4 here",
			[]Address{address("[::1]:1", resultOK), address("127.0.0.1:1", resultFailed)},
			[]string{resultOK, resultWarning},
		},
		{
			"one of two is down",
			[]Address{address("127.0.0.1:1", resultFailed), address("127.0.0.2:1", resultOK)},
			[]string{resultFailed, resultOK},
		},
		{
			"one of two IPv6 is down",
			[]Address{
				address("[::1]:1", resultFailed), address("[::2]:1", resultOK),
				address("127.0.0.1:1", resultOK),
			},
			[]string{resultFailed, resultOK, resultOK},
		},
		{
			"all are down",
			[]Address{address("[::1]:1", resultFailed), address("127.0.0.1:1", resultFailed)},
			[]string{resultFailed, resultFailed},
		},
	} {
		u := Upstream{Addresses: row.results}
		u.excuseMissingFamily()
		for i, a := range u.Addresses {
			if a.Stages[0].Result != row.want[i] {
				t.Errorf("%s: address %d is %s, want %s", row.name, i, a.Stages[0].Result, row.want[i])
			}
		}
	}
}

// Every reason that a diagnosis can give has a cure.
func TestEveryStageFailureHasACure(t *testing.T) {
	cures := advice.NewCures(new(config.Origin))
	for _, reason := range advice.DialWords() {
		s := Stage{Stage: diagnose.StageTLS}
		if s.fail(cures.Plain(reason, "text")); reason != "ok" && s.Cure == "" {
			t.Errorf("%s has no cure", reason)
		}
	}
}

func TestPrinterStyle(t *testing.T) {
	for _, row := range []struct {
		env  []string
		want printer
	}{
		{nil, printer{}},
		{[]string{"CLICOLOR_FORCE=1"}, printer{drawn: true, colour: true}},
		{[]string{"CLICOLOR_FORCE=1", "NO_COLOR=1"}, printer{}},
		{[]string{"CLICOLOR_FORCE=0"}, printer{}},
	} {
		if got := newPrinter(nil, row.env); got != row.want {
			t.Errorf("%v: %+v, want %+v", row.env, got, row.want)
		}
	}
}

// TestALongLabelAndAShortText: a blank separates them, however long the label is.
func TestALongLabelAndAShortText(t *testing.T) {
	for _, label := range []string{
		"CN=short", "CN=eighteen-column",
		"CN=nineteen-columns", "CN=PostQuantum Test CA",
	} {
		var out strings.Builder
		printer{w: &out}.line(branch{}, "", label, "not sent")
		if !strings.Contains(out.String(), label+" ") || !strings.HasSuffix(out.String(), " not sent\n") {
			t.Errorf("%q", out.String())
		}
	}
}

func TestConclusion(t *testing.T) {
	failure := Failure{Stage: "tcp", Upstream: "db.test:6432", Reason: "upstream_refused", Text: "refused", Cure: "Check that it runs."}
	const noLogin = "No login was tested: check --login tests one.\n"
	for _, row := range []struct {
		name, result, want string
		report             Report
	}{
		{"nothing to say", resultOK, "\nall good\n" + noLogin, Report{}},
		{"nothing to say after a login", resultOK, "\nall good\n", Report{Upstreams: []Upstream{{Addresses: []Address{{Login: new(LoginFacts)}}}}}},
		{"a warning", resultOK, "\nworks, with 1 warning\n" + noLogin, Report{Warnings: []string{"odd"}}},
		{
			"something failed beside a connection", resultDegraded,
			"\nworks, with 2 warnings\n" + noLogin + "warning: tcp of db.test:6432\nreason: upstream_refused\nrefused\ncure: Check that it runs.\n",
			Report{Warnings: []string{"odd"}, Degraded: []Failure{failure}, Stages: []Stage{{Stage: "listen", Result: resultWarning}}},
		},
		{
			"no connection", resultFailed,
			"\nfirst failing stage: tcp of db.test:6432\nreason: upstream_refused\nrefused\ncure: Check that it runs.\n",
			Report{Failed: &failure},
		},
	} {
		var out strings.Builder
		row.report.conclude()
		printer{w: &out}.conclusion(&row.report)
		if row.report.Result != row.result || row.report.OK != (row.result != resultFailed) || out.String() != row.want {
			t.Errorf("%s: %s and\n%s", row.name, row.report.Result, out.String())
		}
	}
}
