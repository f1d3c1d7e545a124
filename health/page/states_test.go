package page

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/health"
)

// pageNow is when all pages of the tests were made.
func pageNow() time.Time { return time.Date(2026, 3, 1, 9, 15, 2, 0, time.UTC) }

func ago(d time.Duration) time.Time { return pageNow().Add(-d) }

// pageState is a snapshot in which the page is tested.
type pageState struct {
	name     string
	snapshot health.Snapshot
}

// pageStates returns the states that a process can be in, in the order in which they come.
func pageStates() []pageState {
	return []pageState{
		{"starting", starting()},
		{"untried", healthy(fresh("default", "pgbouncer.prod:6432"))},
		{"ready", healthy(serving("default", "pgbouncer.prod:6432"))},
		{"expiry", expiry()},
		{"attention", attention()},
		{"upstream-away", upstreamAway()},
		{"address-silent", addressSilent()},
		{"upstream-down", upstreamDown()},
		{"certificate-expired", certificateExpired()},
		{"server-full", serverFull()},
		{"readiness-upstream", notReady()},
		{"stuck", stuck()},
		{"draining", draining()},
		{"several-origins", several()},
		{"hostile", hostilePage(hostileTexts())},
	}
}

// stateNamed returns the snapshot of that name.
func stateNamed(name string) health.Snapshot {
	states := pageStates()
	return states[slices.IndexFunc(states, func(s pageState) bool { return s.name == name })].snapshot
}

func starting() health.Snapshot {
	s := healthy(fresh("default", "pgbouncer.prod:6432"))
	s.Started, s.Ready, s.Conditions = false, false, []health.Condition{{Name: "listener", Reason: "not bound yet"}}
	s.Origins[0].Listen = []string{}
	return s
}

func healthy(origins ...health.OriginSnapshot) health.Snapshot {
	return health.Snapshot{
		Time:  pageNow(),
		About: health.About{Version: "v1.2.3", Revision: "0f3c9d5b71e2", Go: "go1.26.1", Platform: "linux/amd64", StartedAt: ago(26 * time.Hour)},
		Live:  true, Started: true, Ready: true, Conditions: []health.Condition{{Name: "listener", OK: true}}, Origins: origins,
	}
}

// fresh is an origin to which nothing has happened.
func fresh(name, upstream string) health.OriginSnapshot {
	return health.OriginSnapshot{
		Name: name, Listen: []string{"127.0.0.1:6432"}, Upstream: []string{upstream}, Verify: "verify-full", MinVersion: "1.2",
		Own:      []health.Expiry{{Role: health.RoleCA, Subject: `"Example Root CA"`, NotAfter: ago(-900 * 24 * time.Hour), DaysLeft: 900}},
		Sessions: health.Sessions{Minutes: []health.Minute{{Start: ago(2 * time.Second)}}},
		Probe:    health.Probe{IntervalSeconds: 15, State: health.ProbeUnknown},
		Wait:     health.Wait{LimitSeconds: 14},
	}
}

// serving is an origin in the middle of its work.
func serving(name, upstream string) health.OriginSnapshot {
	o := fresh(name, upstream)
	o.Verified = &health.Verified{
		At: ago(4 * time.Second), Upstream: upstream, Address: "10.2.0.7:6432", Version: "1.3", Cipher: "TLS_AES_128_GCM_SHA256",
		Group: "X25519MLKEM768", PostQuantum: true, Chain: exampleChain(upstream),
	}
	o.KeyExchange = []health.KeyExchange{{Upstream: upstream, Address: "10.2.0.7:6432", State: "negotiated"}}
	o.Own = append([]health.Expiry{{Role: health.RoleClient, Subject: `"orders"`, NotAfter: ago(-21 * 24 * time.Hour), DaysLeft: 21}}, o.Own...)
	o.Sessions = health.Sessions{Open: 12, Total: 48213, Limit: 200, Minutes: busyHour()}
	o.Cancels = health.Cancels{Forwarded: 3}
	o.Reloads = []health.Reload{{At: ago(9 * time.Hour), Result: health.ReloadOK, Text: "new client certificate, valid until 2026-03-22T09:15:02Z"}}
	o.Probe = health.Probe{IntervalSeconds: 15, State: health.ProbeUp, Since: ago(26 * time.Hour), LastTry: ago(4 * time.Second), TookSeconds: .0042, LastSuccess: ago(4 * time.Second)}
	o.Spares = &health.Spares{Wanted: 2, Ready: 2}
	o.Addresses = []health.Address{{
		Upstream: upstream, Address: "10.2.0.7:6432", State: health.AddressGood, Since: ago(26 * time.Hour), Verified: ago(4 * time.Second),
	}}
	return o
}

func exampleChain(upstream string) []health.Certificate {
	host, _, _ := strings.Cut(upstream, ":")
	year := 365 * 24 * time.Hour
	return []health.Certificate{
		{Subject: `"Example Root CA"`, Issuer: `"Example Root CA"`, Key: "ECDSA P-521", SHA256: strings.Repeat("3e91", 16), NotBefore: ago(5 * year), NotAfter: ago(-900 * 24 * time.Hour), DaysLeft: 900},
		{Subject: `"Example Databases 2026"`, Issuer: `"Example Root CA"`, Key: "ECDSA P-384", SHA256: strings.Repeat("b07a", 16), NotBefore: ago(year / 4), NotAfter: ago(-275 * 24 * time.Hour), DaysLeft: 275},
		{Subject: fmt.Sprintf("%q", host), Issuer: `"Example Databases 2026"`, Names: []string{fmt.Sprintf("%q", host), `"pgbouncer"`}, Key: "ECDSA P-256", SHA256: strings.Repeat("c2d4", 16), NotBefore: ago(year / 12), NotAfter: ago(-61 * 24 * time.Hour), DaysLeft: 61},
	}
}

// busyHour has a quiet beginning, a rush and a few failures.
func busyHour() []health.Minute {
	minutes := make([]health.Minute, chartMinutes)
	for i := range minutes {
		rush := max(0, 18-(i-38)*(i-38)/6)
		minutes[i] = health.Minute{Start: ago(time.Duration(chartMinutes-1-i) * time.Minute).Truncate(time.Minute), Open: 6 + i%5 + rush, Opened: 9 + i*7%11 + 3*rush}
	}
	minutes[37].Failed, minutes[38].Failed = 4, 11
	return minutes
}

// expiry is the state that README shows.
func expiry() health.Snapshot {
	o := serving("default", "pgbouncer.prod:6432")
	o.Own[0].NotAfter, o.Own[0].DaysLeft = ago(-7*time.Hour), 0
	s := healthy(o)
	s.Notes = []health.Note{{
		Name: health.NoteExpiry, Text: `client certificate "orders" expires 2026-03-01T16:15:02Z`,
	}}
	return s
}

func attention() health.Snapshot {
	o := serving("default", "pgbouncer.prod:6432")
	const boxed = "the ClientHello arrived but got no answer: an inspection box, or a server that reads once"
	o.Verified.Group, o.Verified.PostQuantum, o.Verified.Resumed = "X25519", false, true
	o.KeyExchange = []health.KeyExchange{{
		Upstream: o.Upstream[0], Address: "10.2.0.7:6432", State: "path_blocked", Fallback: "classical", Cause: boxed, Until: ago(-8 * time.Minute),
		Cure: "let the firewall pass a ClientHello in two segments; PGORIGIN_TLS_POST_QUANTUM=off offers no hybrids, =require never falls back",
	}}
	o.Own[0].NotAfter, o.Own[0].DaysLeft = ago(-7*time.Hour), 0
	broken := "PGORIGIN_TLS_CERT_FILE: /etc/pgorigin/tls.crt and the key in /etc/pgorigin/tls.key do not belong together"
	o.Reloads = append([]health.Reload{{At: ago(40 * time.Minute), Result: health.ReloadFailed, Text: broken}}, o.Reloads...)
	o.Failures = []health.Failure{{Problem: health.Problem{Reason: "auth_rejected", Text: "the server refused the login: SQLSTATE 28P01", Cures: []string{"Check user, password and database; the server's own message says more."}}, Count: 15, Last: ago(3 * time.Minute)}}
	s := healthy(o)
	s.Notes = []health.Note{
		{Name: "certificates", Text: "reload failed, the old certificates stay in force since 2026-03-01T08:35:02Z: " + broken},
		{Name: health.NoteKeyExchange, Text: "10.2.0.7:6432 uses the fallback classical: " + boxed},
		{Name: "expiry", Text: `client certificate "orders" expires 2026-03-01T16:15:02Z`},
	}
	return s
}

// fail makes o an origin whose upstream has been down for a while.
func fail(o *health.OriginSnapshot, p health.Problem) {
	o.Probe = health.Probe{
		IntervalSeconds: 15, State: health.ProbeDown, Since: ago(138 * time.Second), LastTry: ago(4 * time.Second), TookSeconds: .0006,
		LastSuccess: ago(151 * time.Second), Failures: 9, Problem: &p,
	}
	if o.Verified != nil {
		o.Verified.At = ago(151 * time.Second)
	}
	o.Failures = []health.Failure{
		{Problem: p, Count: 37, Last: ago(4 * time.Second)},
		{Problem: health.Problem{Reason: "client_timeout", Text: "the client sent no startup packet within 10s", Cures: []string{"Let the client send its startup packet at once.", "Or raise PGORIGIN_LOGIN_TIMEOUT."}}, Count: 1, Last: ago(5 * time.Hour)},
	}
	if o.Sessions.Limit > 0 {
		for i := chartMinutes - 3; i < chartMinutes; i++ {
			o.Sessions.Minutes[i].Failed = o.Sessions.Minutes[i].Opened
		}
	}
}

func refusedProblem() health.Problem {
	return health.Problem{Reason: "upstream_refused", Text: "upstream pgbouncer.prod:6432: TCP connection to 10.2.0.7:6432 refused", Cures: []string{"Check that the upstream runs.", "Check the port in PGORIGIN_UPSTREAM_ADDR: pgbouncer usually has 6432, PostgreSQL 5432."}}
}

func upstreamDown() health.Snapshot {
	o := serving("default", "pgbouncer.prod:6432")
	fail(&o, refusedProblem())
	o.Sessions.Open, o.Spares.Ready = 0, 0
	s := healthy(o)
	s.Notes = []health.Note{{Name: health.NoteUpstream, Text: downText(o)}}
	return s
}

// upstreamAway is an origin whose upstream went away a moment ago.
func upstreamAway() health.Snapshot {
	o := serving("default", "pgbouncer.prod:6432")
	p := refusedProblem()
	o.Probe.Problem, o.Probe.Failures, o.Spares.Ready = &p, 1, 0
	o.Wait = health.Wait{LimitSeconds: 14, Away: true, Since: ago(4 * time.Second), Waiting: 23, Problem: &p}
	o.Addresses[0].State, o.Addresses[0].Since, o.Addresses[0].Problem = health.AddressRefused, ago(4*time.Second), &p
	o.Addresses[0].NextTry = ago(-500 * time.Millisecond)
	s := healthy(o)
	s.Notes = []health.Note{{Name: health.NoteUpstream, Text: o.Wait.Note(pageNow())}}
	return s
}

// addressSilent has one hung address, beside one that works.
func addressSilent() health.Snapshot {
	o := serving("default", "pgbouncer-a.prod:6432")
	o.Upstream = append(o.Upstream, "pgbouncer-b.prod:6432")
	silent := health.Problem{
		Reason: "upstream_silent", Text: "upstream pgbouncer-a.prod:6432 (10.2.0.6): accepted TCP but gave no answer to SSLRequest within 10s",
		Cures: []string{"Restart the upstream at PGORIGIN_UPSTREAM_ADDR, if it hangs."},
	}
	o.Addresses[0].Upstream = "pgbouncer-b.prod:6432"
	o.Addresses = append(o.Addresses, health.Address{
		Upstream: "pgbouncer-a.prod:6432", Address: "10.2.0.6:6432", State: health.AddressSilent, Since: ago(12 * time.Minute),
		Verified: ago(13 * time.Minute), Problem: &silent, NextTry: ago(-21 * time.Second),
	})
	return healthy(o)
}

func expiredProblem() health.Problem {
	return health.Problem{Reason: "cert_expired", Text: `upstream pgbouncer.prod:6432: certificate "pgbouncer.prod" expired 2026-03-01T09:12:31Z, 2 minutes ago`, Cures: []string{"Renew the certificate of the upstream at PGORIGIN_UPSTREAM_ADDR."}}
}

func certificateExpired() health.Snapshot {
	o := serving("default", "pgbouncer.prod:6432")
	fail(&o, expiredProblem())
	leaf := &o.Verified.Chain[2]
	leaf.NotAfter, leaf.DaysLeft = ago(151*time.Second), -1
	s := healthy(o)
	s.Notes = []health.Note{{Name: health.NoteUpstream, Text: downText(o)}, {Name: "expiry", Text: `upstream certificate "pgbouncer.prod" has expired 2026-03-01T09:12:31Z`}}
	return s
}

// serverFull is an origin whose upstream has proved who it is, and refuses every login.
func serverFull() health.Snapshot {
	o := serving("default", "pgbouncer.prod:6432")
	fail(&o, health.Problem{
		Reason: "server_full", Text: `the upstream refused the login: "sorry, too many clients already"`,
		Cures: []string{"Use fewer connections.", "Or raise max_connections of the upstream at PGORIGIN_UPSTREAM_ADDR."},
	})
	s := healthy(o)
	s.Notes = []health.Note{{Name: health.NoteUpstream, Text: downText(o)}}
	return s
}

// notReady is a process with PGORIGIN_READINESS=upstream that has not tried yet.
func notReady() health.Snapshot {
	s := healthy(fresh("default", "pgbouncer.prod:6432"))
	s.Ready, s.Conditions = false, append(s.Conditions, health.Condition{Name: "upstream", Reason: "not tried yet"})
	s.Origins[0].Probe.Active = true
	return s
}

func stuck() health.Snapshot {
	s := healthy(serving("default", "pgbouncer.prod:6432"))
	s.Live = false
	return s
}

func draining() health.Snapshot {
	s := healthy(serving("default", "pgbouncer.prod:6432"))
	s.Draining, s.Ready = true, false
	s.Conditions = append(s.Conditions, health.Condition{Name: "draining", Reason: "told to stop; running sessions may finish"})
	return s
}

func several() health.Snapshot {
	reporting := serving("reporting", "reports.example.net:5432")
	reporting.Listen, reporting.Upstream = []string{"/run/pgorigin/.s.PGSQL.5432"}, []string{"reports.example.net:5432", "reports-2.example.net:5432"}
	fail(&reporting, health.Problem{Reason: "cert_name_mismatch", Text: `upstream reports.example.net:5432: certificate "db-7.internal" is not for reports.example.net but for "db-7.internal"`, Cures: []string{"Set PGORIGIN_REPORTING_TLS_SERVER_NAME=db-7.internal.", "Or get a certificate for the host in PGORIGIN_REPORTING_UPSTREAM_ADDR."}})
	s := healthy(serving("default", "pgbouncer.prod:6432"), reporting, fresh("archive", "archive.example.net:6432"))
	s.Notes = []health.Note{{Name: "reporting/" + health.NoteUpstream, Text: downText(reporting)}}
	return s
}

// hostileTexts are what somebody may write into a certificate who means harm. All of them got past whoever
// was to clean them.
func hostileTexts() []string {
	return []string{
		`<script>window.pwned=1</script>`, `"><img src=x onerror="window.pwned=1">`, `' onmouseover='window.pwned=1`, `</style><style>*{display:none}</style>`,
		"a\x00b\x1b[31mc\rd\x7f\u0085e", "\u202egnp.exe\u2066\u200f\u061c", "\xff\xfe\xc0", "&lt;b&gt;&amp;", strings.Repeat("x", 10<<10), "]]><!--", "שלום עולם",
		strings.Repeat("<b>", 10<<10), "javascript:window.pwned=1",
	}
}

// hostilePage has those texts wherever a text can be.
func hostilePage(texts []string) health.Snapshot {
	next := 0
	evil := func() string {
		next++
		return texts[next%len(texts)]
	}
	o := serving(evil(), evil())
	for i := range o.Verified.Chain {
		c := &o.Verified.Chain[i]
		c.Subject, c.Issuer, c.Key, c.SHA256, c.Names = evil(), evil(), evil(), evil(), texts
	}
	v := o.Verified
	v.Upstream, v.Address, v.Version, v.Cipher, v.Group = evil(), evil(), evil(), evil(), evil()
	o.Listen, o.Upstream, o.ServerName, o.Verify, o.MinVersion = texts, texts, evil(), evil(), evil()
	o.KeyExchange = []health.KeyExchange{{Upstream: evil(), Address: evil(), State: evil(), Fallback: evil(), Cause: evil(), Cure: evil()}}
	o.Reloads, o.Own, o.Addresses = nil, nil, nil
	o.Wait = health.Wait{LimitSeconds: 14, Away: true, Since: ago(time.Minute), Waiting: 2, Problem: &health.Problem{Reason: evil(), Text: evil(), Cures: []string{evil(), evil()}}}
	for range len(texts) / 4 { // each has four texts
		o.Addresses = append(o.Addresses, health.Address{Upstream: evil(), Address: evil(), State: evil(), Problem: &health.Problem{Reason: evil(), Text: evil()}, NextTry: ago(-time.Minute)})
	}
	for range texts {
		o.Failures = append(o.Failures, health.Failure{Problem: health.Problem{Reason: evil(), Text: evil(), Cures: []string{evil(), evil()}}, Count: 1, Last: ago(time.Minute)})
		o.Reloads = append(o.Reloads, health.Reload{At: ago(time.Minute), Result: evil(), Text: evil()})
		o.Own = append(o.Own, health.Expiry{Role: evil(), Subject: evil(), NotAfter: pageNow()})
	}
	o.Probe.State, o.Probe.Problem = health.ProbeDown, &health.Problem{Reason: evil(), Text: evil(), Cures: []string{evil(), evil()}}
	s := healthy(o, o)
	s.About = health.About{Version: evil(), Revision: evil(), Go: evil(), Platform: evil(), GODEBUG: evil()}
	for range texts {
		s.Notes = append(s.Notes, health.Note{Name: evil(), Text: evil()})
		s.Conditions = append(s.Conditions, health.Condition{Name: evil(), Reason: evil()}, health.Condition{Name: evil(), OK: true, Detail: evil()})
	}
	return s
}

// downText is what Prober.Note says of o.
func downText(o health.OriginSnapshot) string {
	p := o.Probe
	return fmt.Sprintf("%s (%s since %s, last try %v ago). %s", p.Problem.Text, p.Problem.Reason,
		p.Since.Format(time.RFC3339), pageNow().Sub(p.LastTry), strings.Join(p.Problem.Cures, " "))
}
