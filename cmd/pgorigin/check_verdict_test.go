package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/check"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// checked runs check --json.
func checked(t *testing.T, env []string, args ...string) (check.Report, outcome) {
	t.Helper()
	got := runWith(t, env, append([]string{"check", "--json", "--timeout", "2m"}, args...)...)
	var out check.Report
	if err := json.Unmarshal([]byte(got.stdout), &out); err != nil {
		t.Errorf("%v in %s%s", err, got.stdout, got.stderr)
	}
	return out, got
}

// dialReason returns the reason of the connection that run would make with env; empty if it makes one.
func dialReason(t *testing.T, env []string) string {
	t.Helper()
	settings, _, problems := config.Load(env)
	d, err := tlsorigin.NewDialer(settings.DialerConfig(&settings.Origin, nil))
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", err, problems)
		return ""
	}
	defer d.Close()
	var failure *tlsorigin.Error
	conn, err := d.Dial(t.Context(), nil)
	switch {
	case err == nil:
		defer conn.Close()
		if failure = conn.Rejection(2 * time.Second); failure == nil {
			return ""
		}
	case !errors.As(err, &failure):
		t.Error(err)
		return ""
	}
	return failure.Reason()
}

// TestCheckAgreesWithAConnection: whatever the list of addresses, check fails if and only if a connection
// fails, and for the same reason.
func TestCheckAgreesWithAConnection(t *testing.T) {
	t.Parallel() // it mostly waits
	w := newCheckWorld()
	all := checkFaults(t, w)
	faults := slices.DeleteFunc(all, func(f checkFault) bool {
		return f.code == cli.ExitConfig || slices.Contains([]string{"authentication", "config"}, f.stage)
	})
	var comparing sync.WaitGroup
	places := make(chan struct{}, 2) // of those that compute; the others wait at once
	for i, bad := range faults {
		second := faults[(i+3)%len(faults)]
		addr := func(f checkFault) string {
			if f.script == nil {
				return f.addr
			}
			return startScripted(t, f.script).addr
		}
		good := startScripted(t, overTLS(w.good, sasl())).addr
		for name, list := range map[string][]string{
			"first": {addr(bad), good}, "second": {good, addr(bad)},
			"before another": {addr(bad), addr(second)},
		} {
			comparing.Go(func() {
				if !bad.waits() && !second.waits() {
					places <- struct{}{}
					defer func() { <-places }()
				}
				env := applied(bad.env, "PGORIGIN_DIAL_TIMEOUT=6s") // enough for a busy machine
				compareWithConnection(t, bad.name+" "+name, w.env(strings.Join(list, ","), env...))
			})
		}
	}
	comparing.Wait()
}

// compareWithConnection compares check with a connection, again only if a client certificate was rejected. With TLS 1.3,
// that comes after the handshake. check waits a quarter of a second for it, and a busy machine may need longer.
func compareWithConnection(t *testing.T, name string, env []string) {
	t.Helper()
	differs, late := differsFromConnection(t, env)
	for again := 0; differs != "" && late && again < 2; again++ {
		differs, late = differsFromConnection(t, env)
	}
	if differs != "" {
		t.Errorf("%s: %s", name, differs)
	}
}

// differsFromConnection returns how check and a connection differ, and whether one of them met a rejected client
// certificate. The text is empty if they do not differ.
func differsFromConnection(t *testing.T, env []string) (text string, late bool) {
	t.Helper()
	dialled := make(chan string, 1)
	go func() { dialled <- dialReason(t, env) }()
	out, got := checked(t, env)
	reason, want := "", <-dialled
	if out.Failed != nil {
		reason = out.Failed.Reason
	}
	late = strings.HasPrefix(reason, "client_cert_") || strings.HasPrefix(want, "client_cert_")
	if reason != want || out.OK != (want == "") || (got.code == cli.ExitOK) != out.OK {
		return fmt.Sprintf("a connection ends with %q, check with %q and exit code %d:\n%s", want, reason, got.code, got.stdout), late
	}
	result := "failed"
	if want == "" {
		result = "degraded"
	}
	if out.Result != result || (len(out.Degraded) > 0) != (result == "degraded") {
		return fmt.Sprintf("result %s with %d failures that are warnings, want %s", out.Result, len(out.Degraded), result), late
	}
	return "", late
}

// TestCheckOfAConnectionThatWorksAllTheSame: what failed beside a connection is a warning with a cure.
func TestCheckOfAConnectionThatWorksAllTheSame(t *testing.T) {
	t.Parallel()
	w := newCheckWorld()
	good := startScripted(t, overTLS(w.good, sasl())).addr
	starting := startScripted(t, overTLS(w.good, pgtest.ErrorResponse("57P03", "starting up"))).addr
	for _, row := range []struct {
		name          string
		addrs         string
		env           []string
		stage, reason string
		printed       []string
	}{
		{
			"second address refuses", good + "," + refusingAddr(t), nil, "tcp", "upstream_refused",
			[]string{"WARN tcp", "\nworks, with 1 warning\nNo login was tested: check --login tests one.\nwarning: tcp of 127.0.0.46:", "it is the first in the list\n"},
		},
		{
			"first address refuses", refusingAddr(t) + "," + good, nil, "tcp", "upstream_refused",
			[]string{"\nworks, with 1 warning\n", "sessions           would use " + good + " now: it is the first in the list\n                   that works\n"},
		},
		{
			"first name unknown", "nowhere.invalid:5432," + good, nil, "dns", "upstream_dns",
			[]string{"WARN dns", "warning: dns of nowhere.invalid:5432"},
		},
		{
			"nobody can log in at the second", good + "," + starting, nil, "authentication", "",
			[]string{"WARN authentication", "starting up", "\nworks, with 1 warning\n"},
		},
		{
			"large hellos swallowed", startScripted(t, swallowing(w.good, sasl())).addr,
			[]string{"PGORIGIN_DIAL_TIMEOUT=10s"},
			"key_exchange", "tls_timeout",
			[]string{
				"WARN tls", "X25519MLKEM768     vanishes", "X25519             works", "SCRAM-SHA-256",
				"WARN key_exchange", "\nworks, with 2 warnings\n", "PGORIGIN_TLS_POST_QUANTUM",
			},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			env := w.env(row.addrs, row.env...)
			out, got := checked(t, env)
			if got.code != cli.ExitOK || !out.OK || out.Result != "degraded" || len(out.Degraded) != 1 || out.Failed != nil {
				t.Fatalf("%+v", got)
			}
			f := out.Degraded[0]
			if string(f.Stage) != row.stage || row.reason != "" && f.Reason != row.reason || f.Cure == "" {
				t.Errorf("%+v", f)
			}
			printed := runWith(t, env, "check").stdout
			cmdtest.Contains(t, printed, row.printed...)
			if strings.Contains(printed, "all good") {
				t.Errorf("all good in\n%s", printed)
			}
		})
	}
	out, got := checked(t, w.env(starting+","+good))
	if got.code != cli.ExitFailed || out.Failed == nil || out.Failed.Upstream != starting {
		t.Errorf("a client that connects is refused, and check says %+v", got)
	}
}

// TestCheckHearsTheServerOut: a server that asks for nothing may refuse the login all the same.
func TestCheckHearsTheServerOut(t *testing.T) {
	w := newCheckWorld()
	certFile, keyFile := clientPair(t)
	for _, row := range []struct {
		name, want string
		reply      [][]byte
	}{
		{"lets in", "ok", [][]byte{pgtest.AuthenticationOk(), pgtest.ReadyForQuery('I')}},
		{"unknown role", "warning", [][]byte{pgtest.AuthenticationOk(), pgtest.ErrorResponse("28000", "role does not exist")}},
		{"PostgreSQL starts", "failed", [][]byte{pgtest.ErrorResponse("57P03", "the database system is starting up")}},
		{"PostgreSQL is full", "failed", [][]byte{pgtest.ErrorResponse("53300", "sorry, too many clients already")}},
		{"pgbouncer is full", "failed", [][]byte{pgtest.ErrorResponse("08P01", "no more connections allowed (max_client_conn)")}},
		{"pgbouncer does not know the user", "warning", [][]byte{pgtest.ErrorResponse("08P01", "no such user: pgorigin_check")}},
		{"a certificate", "failed", [][]byte{pgtest.ErrorResponse("28000", "connection requires a valid client certificate")}},
		{"a certificate of another user", "warning", [][]byte{pgtest.ErrorResponse("28000", `certificate authentication failed for user "pgorigin_check"`)}},
		{"pgbouncer cannot log in", "failed", [][]byte{pgtest.ErrorResponse("08P01", "server login has been failing, try again later (server_login_retry)")}},
		{"pgbouncer has no TLS to its server", "failed", [][]byte{pgtest.ErrorResponse("28000", `no pg_hba.conf entry for host "10.0.0.1", user "app", database "app", no encryption`)}},
		{"a method of the future", "failed", [][]byte{pgtest.Message('R', "\x00\x00\x00\x63")}},
		{"no place left", "failed", [][]byte{pgtest.AuthenticationOk(), pgtest.ErrorResponse("53300", "remaining connection slots are reserved")}},
	} {
		env := w.env(startScripted(t, overTLS(w.good, row.reply...)).addr)
		if strings.Contains(row.name, "of another user") {
			env = append(env, "PGORIGIN_TLS_CERT_FILE="+certFile, "PGORIGIN_TLS_KEY_FILE="+keyFile)
		}
		out, got := checked(t, env)
		waits := 0.0
		if row.name == "PostgreSQL starts" { // the only one that passes by itself
			waits = 14
		}
		if s := out.Sessions[0]; s.WaitSeconds != waits || (s.Wait != "") != (row.want == "failed") {
			t.Errorf("%s: %+v", row.name, s)
		}
		stages := out.Upstreams[0].Addresses[0].Stages
		if last := stages[len(stages)-1]; last.Stage != "authentication" || last.Result != row.want {
			t.Errorf("%s: %+v in %s", row.name, last, got.stdout)
		}
	}
}
