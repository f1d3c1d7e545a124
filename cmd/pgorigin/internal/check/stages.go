package check

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// newStage returns a stage that went well. A time of zero is not shown.
func newStage(stage diagnose.Stage, took time.Duration, text string) Stage {
	s := Stage{Stage: stage, Result: resultOK, Text: text}
	if took > 0 {
		s.took(took)
	}
	return s
}

// fail makes s a failure.
func (s *Stage) fail(found advice.Finding) {
	s.Result, s.Reason, s.Text, s.Cure = resultFailed, found.Reason, found.Text, found.Cure()
}

// finding is what a dial that failed says, without the other addresses that it tried.
func (c *originChecker) finding(err *tlsorigin.Error) advice.Finding {
	found, _ := c.cures.Find(err)
	found.Text = err.Text
	return found
}

// newUpstream reports on one configured address, without the addresses that its name resolved to.
func (c *originChecker) newUpstream(d *diagnose.Upstream) *Upstream {
	text := fmt.Sprintf("%d addresses", d.Resolved)
	switch {
	case d.Lookup == 0:
		text = "an IP address, no lookup"
	case d.Resolved == 1:
		text = "1 address"
	}
	if n := len(d.Addresses); n < d.Resolved {
		text += fmt.Sprintf(", the first %d of which are checked", n)
	}
	if d.Lookup > 0 && d.Servers != nil {
		text += ", past /etc/hosts, by " + strings.Join(d.Servers, " or ")
	}
	dns := newStage(diagnose.StageDNS, d.Lookup, text)
	if d.Err != nil {
		dns.fail(c.finding(d.Err))
	}
	return &Upstream{
		Origin: c.origin.Name(), Upstream: d.Addr, ServerName: d.ServerName,
		DNS: dns, Addresses: []Address{},
	}
}

// newAddress turns the diagnosis of one address into its stages, up to the first that failed.
func (c *originChecker) newAddress(d *diagnose.Address, u *diagnose.Upstream, trials []Trial) *Address {
	a := &Address{Address: d.Addr.String(), Trials: trials, failed: d.Failed}
	if d.Skipped {
		stage := newStage(diagnose.StageTCP, 0, "")
		stage.fail(advice.Finding{
			Reason: string(tlsorigin.ReasonUpstreamTimeout), Text: "no time was left to find out",
			Cures: []string{"Raise --timeout, so that check has time for every address."},
		})
		a.Stages = []Stage{stage}
		return a
	}
	if d.Handshake.Version != 0 {
		a.TLS = newTLS(&d.Handshake)
		a.ClientCertificate = &ClientCertificate{d.ClientCertificate.Requested, d.ClientCertificate.Presented}
	}
	if len(d.Certificate.Path) > 0 {
		a.Chain = c.newChain(&d.Certificate)
		a.Name = &Name{Expected: u.ServerName, Presented: d.Certificate.Names}
	}
	a.Stages = c.stages(d, u)
	if d.Failed != "" {
		failed := slices.IndexFunc(a.Stages, func(s Stage) bool { return s.Stage == d.Failed })
		if failed < 0 { // none of these, so it is not known which of them succeeded
			a.Stages, failed = []Stage{{Stage: d.Failed}}, 0
		}
		a.Stages = a.Stages[:failed+1]
		a.Stages[failed].fail(withTrials(c.finding(d.Err), trials))
	}
	c.addKeyExchange(a, d)
	return a
}

// stages are those of a walk that comes to its end, with what can be said of each.
func (c *originChecker) stages(d *diagnose.Address, u *diagnose.Upstream) []Stage {
	request := newStage(diagnose.StageSSLRequest, d.SSLRequest, "answered S")
	if u.Direct {
		request.Result, request.Text = resultSkipped, "not sent: TLS begins at once"
	}
	handshake := newStage(diagnose.StageTLS, d.TLS, handshakeText(&d.Handshake))
	if d.Fallback != "" {
		handshake.Result = resultWarning
		handshake.Text += fmt.Sprintf(", only after falling back (%s, because the first ClientHello was %s)",
			d.Fallback, d.Cause)
	}
	presented := "presented " + d.Certificate.Names
	name := newStage(diagnose.StageName, 0, "expected "+safetext.Quote(u.ServerName)+", "+presented)
	if c.origin.TLS.Verify == config.VerifyCA {
		name.Result = resultSkipped
		name.Text = c.origin.Fill("not checked: {TLS_VERIFY}=verify-ca; ") + presented
	}
	return []Stage{
		newStage(diagnose.StageTCP, d.Connect, ""), request, handshake, c.chainStage(&d.Certificate), name,
		newStage(diagnose.StageClientCertificate, 0, clientCertificateText(&d.ClientCertificate)),
	}
}

func handshakeText(h *diagnose.Handshake) string {
	if h.Version == 0 {
		return ""
	}
	t := newTLS(h)
	text := fmt.Sprintf("TLS %s, %s, %s", t.Version, t.Cipher, t.Group)
	if t.HelloRetryRequest {
		text += " after a HelloRetryRequest"
	}
	return text
}

func newTLS(h *diagnose.Handshake) *TLS {
	return &TLS{
		Version: advice.VersionName(h.Version), Cipher: tls.CipherSuiteName(h.CipherSuite),
		Group: tlsorigin.GroupName(h.Group), HelloRetryRequest: h.HelloRetryRequest,
	}
}

// trustedBy names where the trusted certificates come from.
func (c *originChecker) trustedBy() string {
	switch {
	case c.origin.TLS.CAFile != "":
		return c.origin.Fill("{TLS_CA_FILE}")
	case c.origin.TLS.CAPem != "":
		return c.origin.Fill("{TLS_CA_PEM}")
	}
	return "system roots"
}

// chainStage warns of certificates that expire soon. With a certificate that has expired, the stage fails.
func (c *originChecker) chainStage(chain *diagnose.Chain) Stage {
	s := newStage(diagnose.StageChain, 0, "trusting "+c.trustedBy())
	for i := range chain.Path {
		cert := &chain.Path[i]
		urgency := advice.Expiry(cert.NotBefore, cert.NotAfter, time.Now())
		if urgency != advice.NotUrgent && cert.DaysLeft >= 0 {
			s.Result = resultWarning
			s.Text += fmt.Sprintf("; %s has %s", cert.Subject, daysLeft(cert.DaysLeft))
		}
	}
	return s
}

func clientCertificateText(asked *tlsorigin.ClientCertificate) string {
	switch {
	case !asked.Requested:
		return "not asked for"
	case asked.Presented == "":
		return "asked for, none configured, accepted"
	case asked.Unlisted:
		return asked.Presented + " presented, though its issuer is not in the list that the server sent"
	default:
		return asked.Presented + " presented"
	}
}

func (c *originChecker) newChain(chain *diagnose.Chain) *Chain {
	out := &Chain{
		Verified: chain.Verified, TrustedBy: c.trustedBy(), Certificates: chain.Path, Unused: chain.Unused,
	}
	if chain.Verified {
		out.TrustAnchor = chain.Path[0].Subject
	}
	return out
}

// addKeyExchange adds the matrix. Its stage fails only if a usual ClientHello of pgorigin vanishes and a
// smaller one gets an answer. Connections are then late, or fail. An upstream may lack a group.
func (c *originChecker) addKeyExchange(a *Address, d *diagnose.Address) {
	if len(d.KeyExchange) == 0 {
		return
	}
	var works []string
	for i := range d.KeyExchange {
		row := newKeyExchange(&d.KeyExchange[i])
		a.KeyExchange = append(a.KeyExchange, row)
		if i > 0 && d.KeyExchange[i].Outcome == diagnose.TrialWorks {
			works = append(works, row.Offered)
		}
	}
	stage := newStage(diagnose.StageKeyExchange, 0, "no group works alone")
	if len(works) > 0 {
		stage.Text = "working alone: " + strings.Join(works, ", ")
	}
	if hello := vanished(d.KeyExchange); hello != nil {
		stage.fail(withTrials(advice.Finding{
			Reason: hello.Err.Reason(), Cures: []string{advice.VanishCure(c.origin)},
			Text: fmt.Sprintf("a ClientHello of %d bytes (%s) gets no answer, smaller ones do: "+
				"something on the way drops or swallows it", hello.Hello.Bytes, offeredName(hello)),
		}, a.Trials))
		if d.Failed == diagnose.StageTLS {
			a.Stages[len(a.Stages)-1].Cure = stage.Cure // the same thing, seen earlier
		}
	} else if d.Failed != "" {
		stage.Result = resultSkipped // for reading only: it explains the failure before
	}
	a.Stages = append(a.Stages, stage)
}

// vanished returns the largest ClientHello in use that vanished although a smaller one was answered; nil if
// there is none.
func vanished(rows []diagnose.Trial) *diagnose.Trial {
	hybrid, answered := rows[0].Outcome == diagnose.TrialVanishes, false
	found := &rows[0]
	for i := range rows[1:] {
		row := &rows[1+i]
		if row.Outcome == diagnose.TrialVanishes && row.Hybrid() && rows[0].Hybrid() {
			hybrid, found = true, row
		}
		answered = answered || !row.Hybrid() && row.Outcome == diagnose.TrialWorks
	}
	if !hybrid || !answered || found.Err == nil {
		return nil
	}
	return found
}

func offeredName(row *diagnose.Trial) string {
	if len(row.Offered) == 0 {
		return "configured"
	}
	return tlsorigin.GroupName(row.Offered[0])
}

func newKeyExchange(row *diagnose.Trial) KeyExchange {
	out := KeyExchange{
		Offered: offeredName(row), Outcome: string(row.Outcome),
		ClientHello: row.Hello.Bytes, Milliseconds: milliseconds(row.Took),
		Group: tlsorigin.GroupName(row.Group), HelloRetryRequest: row.HelloRetryRequest,
	}
	if row.Err != nil {
		out.Reason = row.Err.Reason()
	}
	return out
}
