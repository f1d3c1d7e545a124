package health

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// anchor is what links to an origin: its place, for its name may be anything.
func anchor(i int) string { return "origin-" + strconv.Itoa(i) }

// card is one box about an origin.
func card(title, id string, inside ...node) node { return box("h3", title, id, inside...) }

// box is a part of the page with a heading of that rank.
func box(heading markup, title, id string, inside ...node) node {
	return el("section.card", append([]node{attr("aria-labelledby", id), el(heading, attr("id", id), text(title))}, inside...)...)
}

// list is a description list of terms.
func list(terms ...node) node { return el("dl", terms...) }

func term(name string, value ...node) node {
	return el("div", el("dt", text(name)), el("dd", value...))
}

// code is a text to be compared or copied letter by letter.
func code(s string) node {
	if s == "" {
		return text("unknown")
	}
	return el("code", foreign(s))
}

// tag is a word in a colour.
func tag(l level, word string) node {
	return el("strong", attr("class", "tag "+l.class()), text(word))
}

// times is a count of events.
func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return strconv.FormatInt(n, 10) + " times"
}

// section is all about o.
func (o OriginSnapshot) section(now time.Time, i int, named bool) node {
	title := text("Upstream " + strings.Join(o.Upstream, ", "))
	if named {
		title = all(text(o.Name), text(" "), el("small", text(strings.Join(o.Upstream, ", "))))
	}
	id := anchor(i)
	return el("section.origin", attr("id", id), attr("aria-labelledby", id+"-title"),
		el("h2", attr("id", id+"-title"), title), o.sessionsCard(id), el("div.columns",
			o.failuresCard(now, id), o.chainCard(now, id), o.tlsCard(now, id), o.reachCard(now, id), o.ownCard(now, id), o.reloadsCard(now, id)))
}

// state says in a word whether o can be reached.
func (o OriginSnapshot) state() node {
	switch {
	case o.Probe.State == ProbeDown:
		return tag(bad, "down")
	case o.Probe.State == ProbeUnknown:
		return tag(wait, "not tried yet")
	case o.Probe.Problem != nil:
		return tag(warn, "up, failed last")
	}
	return tag(good, "up")
}

// firstToEnd shows which of the verified certificates ends first.
func (o OriginSnapshot) firstToEnd(now time.Time) node {
	if o.Verified == nil || len(o.Verified.Chain) == 0 {
		return text("not seen yet")
	}
	first := slices.MinFunc(o.Verified.Chain, func(a, b Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	return remaining(now, first.NotAfter, first.DaysLeft)
}

// now is how many sessions there are, and may be.
func (s Sessions) now() string {
	if s.Limit == 0 {
		return strconv.Itoa(s.Open)
	}
	return strconv.Itoa(s.Open) + " of " + strconv.Itoa(s.Limit)
}

func (o OriginSnapshot) sessionsCard(id string) node {
	cancels := o.Cancels
	return card("Sessions", id+"-sessions",
		el("p.figures", el("b", text(o.Sessions.now())), text(" open, "), el("b", text(strconv.FormatInt(o.Sessions.Total, 10))), text(" since the start")),
		sessionCharts(o.Sessions.Minutes),
		el("p", text("Cancel requests: "+strconv.FormatInt(cancels.Forwarded, 10)+" forwarded, "+strconv.FormatInt(cancels.Failed, 10)+" failed, "+
			strconv.FormatInt(cancels.UnknownKey, 10)+" for no session here.")))
}

func (o OriginSnapshot) failuresCard(now time.Time, id string) node {
	if len(o.Failures) == 0 {
		return card("Latest failures", id+"-failures", el("p", text("None since the start.")))
	}
	list := el("ol.failures")
	for _, f := range o.Failures {
		item := el("li", el("h4", code(f.Reason), text(" "), el("small", text(times(f.Count)+", last at "), moment(now, f.Last))), el("p", foreign(f.Text)))
		if f.Cure != "" {
			item.inside = append(item.inside, cure(f.Cure))
		}
		list.inside = append(list.inside, item)
	}
	return card("Latest failures", id+"-failures", list)
}

// chainCard shows who the upstream is, from the authority down.
func (o OriginSnapshot) chainCard(now time.Time, id string) node {
	if o.Verified == nil {
		return card("Verified identity", id+"-chain", el("p", text("The upstream has not proved who it is since the start.")))
	}
	chain := el("ol.chain")
	for i, c := range o.Verified.Chain {
		role := "Intermediate"
		switch i {
		case len(o.Verified.Chain) - 1:
			role = "Server"
		case 0:
			role = "Authority"
		}
		item := el("li", el("p", el("small", text(role)), el("b", foreign(c.Subject))), el("p", text(c.Key+", "), remaining(now, c.NotAfter, c.DaysLeft), text(", until "), day(c.NotAfter)))
		if len(c.Names) > 0 {
			names := el("p", text("Names: "))
			for j, name := range c.Names {
				if j > 0 {
					names.inside = append(names.inside, text(", "))
				}
				names.inside = append(names.inside, foreign(name))
			}
			item.inside = append(item.inside, names)
		}
		item.inside = append(item.inside, el("details", el("summary", text("Issuer and fingerprint")),
			el("p", text("Issued by "), foreign(c.Issuer), text(", from "), day(c.NotBefore)), el("p", text("SHA-256 "), code(c.SHA256))))
		chain.inside = append(chain.inside, item)
	}
	return card("Verified identity", id+"-chain", chain)
}

func (o OriginSnapshot) tlsCard(now time.Time, id string) node {
	name := text("the host of the upstream")
	if o.ServerName != "" {
		name = code(o.ServerName)
	}
	terms := []node{}
	if v := o.Verified; v != nil {
		quantum := tag(warn, "not post-quantum")
		if v.PostQuantum {
			quantum = tag(good, "post-quantum")
		}
		terms = append(terms, term("Version", text("TLS "+v.Version)), term("Cipher", code(v.Cipher)), term("Key exchange", code(v.Group), text(" "), quantum),
			term("Verified", moment(now, v.At)), term("Address", code(v.Address)))
		if v.Resumed {
			terms = append(terms, term("Resumed", text("a session that an earlier handshake has proved")))
		}
	}
	checks := "chain and name"
	if o.Verify != "verify-full" {
		checks = "chain, not the name"
	}
	terms = append(terms, term("Checked", text(checks+" ("+o.Verify+")")), term("Name", name), term("At least", text("TLS "+o.MinVersion)))
	return card("TLS", id+"-tls", list(terms...), o.fallbacks(now))
}

// fallbacks shows what is known about key exchange with each address.
func (o OriginSnapshot) fallbacks(now time.Time) node {
	states := map[string]string{
		"negotiated": "post-quantum", "server_lacks": "classical, the server has no other",
		"path_blocked": "post-quantum is blocked on the way", "disabled": "post-quantum is switched off",
	}
	kinds := map[string]string{"small_segments": "small segments", "classical": "classical only"}
	list := el("ul.checks")
	for _, k := range o.KeyExchange {
		l, fallback := good, text(", no fallback")
		if k.Fallback != "" {
			l, fallback = warn, all(text("; fallback: "), tag(warn, kinds[k.Fallback]), text(" until "), moment(now, k.Until))
		}
		list.inside = append(list.inside, el("li", attr("class", l.class()), l.sign(), code(k.Address), text(" "+states[k.State]), fallback))
	}
	return list
}

// reachCard shows how to get here and there.
func (o OriginSnapshot) reachCard(now time.Time, id string) node {
	p := o.Probe
	probe := "none; sessions tell"
	if p.Active {
		probe = "every " + strconv.FormatFloat(p.IntervalSeconds, 'f', -1, 64) + " s"
	}
	terms := []node{term("State", o.state())}
	if !p.Since.IsZero() {
		terms = append(terms, term("Since", moment(now, p.Since)))
	}
	if !p.LastTry.IsZero() {
		terms = append(terms, term("Last try", moment(now, p.LastTry), text(", took "+took(p.TookSeconds))), term("Last success", moment(now, p.LastSuccess)))
	}
	terms = append(terms, term("Background probe", text(probe)))
	if p.Failures > 0 {
		terms = append(terms, term("Failures in a row", text(strconv.Itoa(p.Failures))))
	}
	spares := "none are kept"
	if o.Spares != nil {
		spares = strconv.Itoa(o.Spares.Ready) + " ready of " + strconv.Itoa(o.Spares.Wanted)
	}
	listen := []node{}
	for _, addr := range o.Listen {
		if _, err := netip.ParseAddrPort(addr); err != nil {
			addr = "unix:" + addr
		}
		listen = append(listen, el("div", code(addr)))
	}
	return card("Reaching it", id+"-reach", list(append(terms, term("Warm spares", text(spares)), term("Clients connect to", listen...))...))
}

func (o OriginSnapshot) ownCard(now time.Time, id string) node {
	if len(o.Own) == 0 {
		return card("Configured certificates", id+"-own", el("p", text("None; the authorities of the system are trusted.")))
	}
	names := map[string]string{RoleCA: "Authority", RoleClient: "Client", RoleCRL: "Revocation list"}
	rows := el("tbody")
	for _, e := range o.Own {
		rows.inside = append(rows.inside, el("tr", header("row", el("span.word", text(names[e.Role]))), el("td", foreign(e.Subject)), el("td", remaining(now, e.NotAfter, e.DaysLeft))))
	}
	return card("Configured certificates", id+"-own", el("table",
		el("thead", el("tr", header("col", text("For")), header("col", text("Subject")), header("col", text("Ends")))), rows))
}

func (o OriginSnapshot) reloadsCard(now time.Time, id string) node {
	if len(o.Reloads) == 0 {
		return card("Reloads", id+"-reloads", el("p", text("The files hold what was read at the start.")))
	}
	rows := el("tbody")
	for _, r := range o.Reloads {
		result := tag(good, "taken over")
		if r.Result != ReloadOK {
			result = tag(bad, "refused")
		}
		rows.inside = append(rows.inside, el("tr", header("row", moment(now, r.At)), el("td", result), el("td", foreign(r.Text))))
	}
	return card("Reloads", id+"-reloads", el("table",
		el("thead", el("tr", header("col", text("At")), header("col", text("Result")), header("col", text("What was found")))), rows))
}
