package health

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// pageNow is when all pages of the tests were made.
func pageNow() time.Time { return time.Date(2026, 3, 1, 9, 15, 2, 0, time.UTC) }

func ago(d time.Duration) time.Time { return pageNow().Add(-d) }

// pageState is a snapshot in which the page is tested.
type pageState struct {
	name     string
	snapshot Snapshot
}

// pageStates returns the states that a process can be in, in the order in which they come.
func pageStates() []pageState {
	return []pageState{
		{"starting", starting()},
		{"untried", healthy(fresh("default", "pgbouncer.prod:6432"))},
		{"ready", healthy(serving("default", "pgbouncer.prod:6432"))},
		{"attention", attention()},
		{"upstream-down", upstreamDown()},
		{"certificate-expired", certificateExpired()},
		{"readiness-upstream", notReady()},
		{"stuck", stuck()},
		{"draining", draining()},
		{"several-origins", several()},
		{"hostile", hostilePage(hostileTexts())},
	}
}

// stateNamed returns the snapshot of that name.
func stateNamed(name string) Snapshot {
	states := pageStates()
	return states[slices.IndexFunc(states, func(s pageState) bool { return s.name == name })].snapshot
}

func starting() Snapshot {
	s := healthy(fresh("default", "pgbouncer.prod:6432"))
	s.Started, s.Ready, s.Conditions = false, false, []Condition{{Name: "listener", Reason: "not bound yet"}}
	s.Origins[0].Listen = []string{}
	return s
}

func healthy(origins ...OriginSnapshot) Snapshot {
	return Snapshot{
		Time:  pageNow(),
		About: About{Version: "v1.2.3", Revision: "0f3c9d5b71e2", Go: "go1.26.1", Platform: "linux/amd64", StartedAt: ago(26 * time.Hour)},
		Live:  true, Started: true, Ready: true, Conditions: []Condition{{Name: "listener", OK: true}}, Origins: origins,
	}
}

// fresh is an origin to which nothing has happened.
func fresh(name, upstream string) OriginSnapshot {
	return OriginSnapshot{
		Name: name, Listen: []string{"127.0.0.1:6432"}, Upstream: []string{upstream}, Verify: "verify-full", MinVersion: "1.2",
		Own:      []Expiry{{Role: RoleCA, Subject: `"Example Root CA"`, NotAfter: ago(-900 * 24 * time.Hour), DaysLeft: 900}},
		Sessions: Sessions{Minutes: []Minute{{Start: ago(2 * time.Second)}}},
		Probe:    Probe{IntervalSeconds: 15, State: ProbeUnknown},
	}
}

// serving is an origin in the middle of its work.
func serving(name, upstream string) OriginSnapshot {
	o := fresh(name, upstream)
	o.Verified = &Verified{
		At: ago(4 * time.Second), Upstream: upstream, Address: "10.2.0.7:6432", Version: "1.3", Cipher: "TLS_AES_128_GCM_SHA256",
		Group: "X25519MLKEM768", PostQuantum: true, Chain: exampleChain(upstream),
	}
	o.KeyExchange = []KeyExchange{{Upstream: upstream, Address: "10.2.0.7:6432", State: "negotiated"}}
	o.Own = append([]Expiry{{Role: RoleClient, Subject: `"orders"`, NotAfter: ago(-21 * 24 * time.Hour), DaysLeft: 21}}, o.Own...)
	o.Sessions = Sessions{Open: 12, Total: 48213, Limit: 200, Minutes: busyHour()}
	o.Cancels = Cancels{Forwarded: 3}
	o.Reloads = []Reload{{ago(9 * time.Hour), ReloadOK, "new client certificate, valid until 2026-03-22T09:15:02Z"}}
	o.Probe = Probe{IntervalSeconds: 15, State: ProbeUp, Since: ago(26 * time.Hour), LastTry: ago(4 * time.Second), TookSeconds: .0042, LastSuccess: ago(4 * time.Second)}
	o.Spares = &Spares{Wanted: 2, Ready: 2}
	return o
}

func exampleChain(upstream string) []Certificate {
	host, _, _ := strings.Cut(upstream, ":")
	year := 365 * 24 * time.Hour
	return []Certificate{
		{`"Example Root CA"`, `"Example Root CA"`, nil, "ECDSA P-521", strings.Repeat("3e91", 16), ago(5 * year), ago(-900 * 24 * time.Hour), 900},
		{`"Example Databases 2026"`, `"Example Root CA"`, nil, "ECDSA P-384", strings.Repeat("b07a", 16), ago(year / 4), ago(-275 * 24 * time.Hour), 275},
		{fmt.Sprintf("%q", host), `"Example Databases 2026"`, []string{fmt.Sprintf("%q", host), `"pgbouncer"`}, "ECDSA P-256", strings.Repeat("c2d4", 16), ago(year / 12), ago(-61 * 24 * time.Hour), 61},
	}
}

// busyHour has a quiet beginning, a rush and a few failures.
func busyHour() []Minute {
	minutes := make([]Minute, keptMinutes)
	for i := range minutes {
		rush := max(0, 18-(i-38)*(i-38)/6)
		minutes[i] = Minute{Start: ago(time.Duration(keptMinutes-1-i) * time.Minute).Truncate(time.Minute), Open: 6 + i%5 + rush, Opened: 9 + i*7%11 + 3*rush}
	}
	minutes[37].Failed, minutes[38].Failed = 4, 11
	return minutes
}

func attention() Snapshot {
	o := serving("default", "pgbouncer.prod:6432")
	const boxed = "the hello was delivered but not answered: an inspection box or a server that reads once"
	o.Verified.Group, o.Verified.PostQuantum, o.Verified.Resumed = "X25519", false, true
	o.KeyExchange = []KeyExchange{{
		Upstream: o.Upstream[0], Address: "10.2.0.7:6432", State: "path_blocked", Fallback: "classical", Cause: boxed, Until: ago(-8 * time.Minute),
		Cure: "let the box on the way pass a ClientHello in two segments; PGORIGIN_TLS_POST_QUANTUM=off stops asking, =require refuses to go without",
	}}
	o.Own[0].NotAfter, o.Own[0].DaysLeft = ago(-7*time.Hour), 0
	broken := "PGORIGIN_TLS_CERT_FILE: /etc/pgorigin/tls.crt and the key in /etc/pgorigin/tls.key do not belong together"
	o.Reloads = append([]Reload{{ago(40 * time.Minute), ReloadFailed, broken}}, o.Reloads...)
	o.Failures = []Failure{{Problem{"auth_rejected", "the server refused the login: SQLSTATE 28P01", "Check user, password and database; the server's own message says more."}, 15, ago(3 * time.Minute)}}
	s := healthy(o)
	s.Notes = []Note{
		{"certificates", "reload failed, the old certificates stay in force since 2026-03-01T08:35:02Z: " + broken},
		{NoteKeyExchange, "10.2.0.7:6432 goes by classical: " + boxed},
		{"expiry", `client certificate "orders" expires 2026-03-01T16:15:02Z`},
	}
	return s
}

// fail makes o an origin whose upstream has been down for a while.
func fail(o *OriginSnapshot, p Problem) {
	o.Probe = Probe{
		IntervalSeconds: 15, State: ProbeDown, Since: ago(138 * time.Second), LastTry: ago(4 * time.Second), TookSeconds: .0006,
		LastSuccess: ago(151 * time.Second), Failures: 9, Problem: &p,
	}
	if o.Verified != nil {
		o.Verified.At = ago(151 * time.Second)
	}
	o.Failures = []Failure{
		{p, 37, ago(4 * time.Second)},
		{Problem{"client_timeout", "the client sent no startup packet within 10s", "Let the client send its startup packet at once, or raise PGORIGIN_LOGIN_TIMEOUT."}, 1, ago(5 * time.Hour)},
	}
	if o.Sessions.Limit > 0 {
		for i := keptMinutes - 3; i < keptMinutes; i++ {
			o.Sessions.Minutes[i].Failed = o.Sessions.Minutes[i].Opened
		}
	}
}

func refusedProblem() Problem {
	return Problem{
		"upstream_refused", "upstream pgbouncer.prod:6432: TCP connection to 10.2.0.7:6432 refused",
		"Check that the server runs and that PGORIGIN_UPSTREAM_ADDR has its port; pgbouncer usually has 6432, PostgreSQL 5432.",
	}
}

func upstreamDown() Snapshot {
	o := serving("default", "pgbouncer.prod:6432")
	fail(&o, refusedProblem())
	o.Sessions.Open, o.Spares.Ready = 0, 0
	s := healthy(o)
	s.Notes = []Note{{NoteUpstream, o.Probe.downText(pageNow())}}
	return s
}

func expiredProblem() Problem {
	return Problem{
		"cert_expired", `upstream pgbouncer.prod:6432: certificate "pgbouncer.prod" expired 2026-03-01T09:12:31Z, 2 minutes ago`,
		"Renew the server's certificate (the one at PGORIGIN_UPSTREAM_ADDR) and check this machine's clock; an expired CA is replaced in PGORIGIN_TLS_CA_FILE.",
	}
}

func certificateExpired() Snapshot {
	o := serving("default", "pgbouncer.prod:6432")
	fail(&o, expiredProblem())
	leaf := &o.Verified.Chain[2]
	leaf.NotAfter, leaf.DaysLeft = ago(151*time.Second), -1
	s := healthy(o)
	s.Notes = []Note{{NoteUpstream, o.Probe.downText(pageNow())}, {"expiry", `upstream certificate "pgbouncer.prod" has expired 2026-03-01T09:12:31Z`}}
	return s
}

// notReady is a process with PGORIGIN_READINESS=upstream that has not tried yet.
func notReady() Snapshot {
	s := healthy(fresh("default", "pgbouncer.prod:6432"))
	s.Ready, s.Conditions = false, append(s.Conditions, Condition{Name: "upstream", Reason: "not tried yet"})
	s.Origins[0].Probe.Active = true
	return s
}

func stuck() Snapshot {
	s := healthy(serving("default", "pgbouncer.prod:6432"))
	s.Live = false
	return s
}

func draining() Snapshot {
	s := healthy(serving("default", "pgbouncer.prod:6432"))
	s.Draining, s.Ready = true, false
	s.Conditions = append(s.Conditions, Condition{Name: "draining", Reason: "told to stop; running sessions may finish"})
	return s
}

func several() Snapshot {
	reporting := serving("reporting", "reports.example.net:5432")
	reporting.Listen, reporting.Upstream = []string{"/run/pgorigin/.s.PGSQL.5432"}, []string{"reports.example.net:5432", "reports-2.example.net:5432"}
	fail(&reporting, Problem{
		"cert_name_mismatch", `upstream reports.example.net:5432: certificate "db-7.internal" is not for reports.example.net but for "db-7.internal"`,
		"Set PGORIGIN_REPORTING_TLS_SERVER_NAME to a name that the certificate carries, if that is the server you mean, or get a certificate for the host in PGORIGIN_REPORTING_UPSTREAM_ADDR.",
	})
	s := healthy(serving("default", "pgbouncer.prod:6432"), reporting, fresh("archive", "archive.example.net:6432"))
	s.Notes = []Note{{"reporting/" + NoteUpstream, reporting.Probe.downText(pageNow())}}
	return s
}

// hostileTexts are what somebody may write into a certificate who means harm. All of them got past whoever was to clean them.
func hostileTexts() []string {
	return []string{
		`<script>window.pwned=1</script>`, `"><img src=x onerror="window.pwned=1">`, `' onmouseover='window.pwned=1`, `</style><style>*{display:none}</style>`,
		"a\x00b\x1b[31mc\rd\x7f\u0085e", "\u202egnp.exe\u2066\u200f\u061c", "\xff\xfe\xc0", "&lt;b&gt;&amp;", strings.Repeat("x", 10<<10), "]]><!--", "שלום עולם",
		strings.Repeat("<b>", 10<<10), "javascript:window.pwned=1",
	}
}

// hostilePage has those texts wherever a text can be.
func hostilePage(texts []string) Snapshot {
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
	o.KeyExchange = []KeyExchange{{Upstream: evil(), Address: evil(), State: evil(), Fallback: evil(), Cause: evil(), Cure: evil()}}
	o.Reloads, o.Own = nil, nil
	for range texts {
		o.Failures = append(o.Failures, Failure{Problem{evil(), evil(), evil()}, 1, ago(time.Minute)})
		o.Reloads = append(o.Reloads, Reload{ago(time.Minute), evil(), evil()})
		o.Own = append(o.Own, Expiry{Role: evil(), Subject: evil(), NotAfter: pageNow()})
	}
	o.Probe.State, o.Probe.Problem = ProbeDown, &Problem{evil(), evil(), evil()}
	s := healthy(o, o)
	s.About = About{Version: evil(), Revision: evil(), Go: evil(), Platform: evil(), GODEBUG: evil()}
	for range texts {
		s.Notes = append(s.Notes, Note{evil(), evil()})
		s.Conditions = append(s.Conditions, Condition{Name: evil(), Reason: evil()}, Condition{Name: evil(), OK: true, Detail: evil()})
	}
	return s
}
