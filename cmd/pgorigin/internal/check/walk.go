package check

import (
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// newCheckAddress turns the diagnosis of one address into its stages, up to the first that failed.
func (c *originChecker) newCheckAddress(d *diagnose.Address, u *diagnose.Upstream) *Address {
	a := &Address{Address: d.Addr.String(), failed: string(d.Failed)}
	if d.Skipped {
		stage := Stage{Stage: string(diagnose.StageTCP), Cure: "Raise --timeout, so that every address has its turn."}
		stage.fail(c.origin, string(tlsorigin.ReasonUpstreamTimeout), "no time was left to find out")
		a.Stages = []Stage{stage}
		return a
	}
	if d.Handshake.Version != 0 {
		a.TLS = newCheckTLS(&d.Handshake)
		a.ClientCertificate = &ClientCertificate{d.ClientCertificate.Requested, d.ClientCertificate.Presented}
	}
	if len(d.Certificate.Path) > 0 {
		a.Chain = c.newCheckChain(&d.Certificate)
		a.Name = &Name{Expected: u.ServerName, Presented: d.Certificate.Names}
	}
	for _, s := range c.stages(d, u) {
		if s.Stage == a.failed {
			s.fail(c.origin, d.Err.Reason(), d.Err.Text)
		}
		a.Stages = append(a.Stages, s.done())
		if s.Stage == a.failed {
			break
		}
	}
	c.addKeyExchange(a, d)
	return a
}

// stages are those of a walk that comes to its end, with what can be said of each.
func (c *originChecker) stages(d *diagnose.Address, u *diagnose.Upstream) []Stage {
	tcp := newStage(diagnose.StageTCP, d.Connect, "")
	request := newStage(diagnose.StageSSLRequest, d.SSLRequest, "answered S")
	if u.Direct {
		request.Result, request.Text = resultSkipped, "not sent: TLS begins at once"
	}
	handshake := newStage(diagnose.StageTLS, d.TLS, tlsText(&d.Handshake))
	if d.Fallback != "" {
		handshake.Result = resultWarning
		handshake.Text += fmt.Sprintf(", only after falling back (%s, because the first ClientHello was %s)", d.Fallback, d.Cause)
	}
	chain := newStage(diagnose.StageChain, 0, "trusting "+c.trustedBy())
	chainDoubts(&chain, d)
	name := newStage(diagnose.StageName, 0, fmt.Sprintf("expected %s, presented %s", safetext.Quote(u.ServerName), d.Certificate.Names))
	if c.origin.TLS.Verify == config.VerifyCA {
		name.Result, name.Text = resultSkipped, "not checked: "+c.origin.Variable("TLS_VERIFY")+"=verify-ca; presented "+d.Certificate.Names
	}
	return []Stage{tcp, request, handshake, chain, name, newStage(diagnose.StageClientCertificate, 0, clientCertificateText(d))}
}

func newStage(stage diagnose.Stage, took time.Duration, text string) Stage {
	s := Stage{Stage: string(stage), Text: text}
	if took > 0 {
		s.took(took)
	}
	return s
}

func tlsText(h *diagnose.Handshake) string {
	if h.Version == 0 {
		return ""
	}
	t := newCheckTLS(h)
	text := fmt.Sprintf("TLS %s, %s, %s", t.Version, t.Cipher, t.Group)
	if t.HelloRetryRequest {
		text += " after a HelloRetryRequest"
	}
	return text
}

func newCheckTLS(h *diagnose.Handshake) *TLS {
	return &TLS{
		Version: advice.VersionName(h.Version), Cipher: tls.CipherSuiteName(h.CipherSuite), Group: tlsorigin.GroupName(h.Group),
		HelloRetryRequest: h.HelloRetryRequest,
	}
}

// trustedBy names where the trusted certificates come from.
func (c *originChecker) trustedBy() string {
	switch {
	case c.origin.TLS.CA.File != "":
		return c.origin.Variable("TLS_CA_FILE")
	case c.origin.TLS.CA.PEM != "":
		return c.origin.Variable("TLS_CA_PEM")
	}
	return "system roots"
}

// chainDoubts says what will be wrong soon with a chain. A chain with which something is wrong now fails
// before its name.
func chainDoubts(s *Stage, d *diagnose.Address) {
	for i := range d.Certificate.Path {
		cert := &d.Certificate.Path[i]
		if advice.Expiry(cert.NotBefore, cert.NotAfter, time.Now()) != advice.NotUrgent && cert.DaysLeft >= 0 {
			s.Result = resultWarning
			s.Text += fmt.Sprintf("; %s ends in %s", cert.Subject, days(cert.DaysLeft))
		}
	}
}

func days(n int) string {
	if n == 1 || n == -1 {
		return fmt.Sprintf("%d day", n)
	}
	return fmt.Sprintf("%d days", n)
}

func clientCertificateText(d *diagnose.Address) string {
	switch asked := d.ClientCertificate; {
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

func (c *originChecker) newCheckChain(chain *diagnose.Chain) *Chain {
	out := &Chain{Verified: chain.Verified, TrustedBy: c.trustedBy()}
	if chain.Verified {
		out.TrustAnchor = chain.Path[0].Subject
	}
	for i := range chain.Path {
		out.Certificates = append(out.Certificates, newCheckCertificate(&chain.Path[i]))
	}
	for i := range chain.Unused {
		out.Unused = append(out.Unused, newCheckCertificate(&chain.Unused[i]))
	}
	return out
}

func newCheckCertificate(p *tlsorigin.PeerCertificate) Certificate {
	return Certificate{
		Subject: p.Subject, Issuer: p.Issuer, Key: p.Key, SignatureAlgorithm: p.SignatureAlgorithm, SHA256: p.SHA256,
		NotBefore: p.NotBefore.Format(time.RFC3339), NotAfter: p.NotAfter.Format(time.RFC3339),
		DaysLeft: p.DaysLeft, Sent: p.Sent,
	}
}

// addKeyExchange adds the matrix. It is a stage that fails only if a ClientHello that pgorigin sends as a rule vanishes
// while a smaller one is answered: connections are then late, or none. That a server lacks a group is no fault.
func (c *originChecker) addKeyExchange(a *Address, d *diagnose.Address) {
	if len(d.KeyExchange) == 0 {
		return
	}
	stage := Stage{Stage: string(diagnose.StageKeyExchange)}
	var works []string
	for i := range d.KeyExchange {
		row := newCheckKeyExchange(&d.KeyExchange[i])
		a.KeyExchange = append(a.KeyExchange, row)
		if i > 0 && row.Outcome == string(diagnose.TrialWorks) {
			works = append(works, row.Offered)
		}
	}
	stage.Text = "no group works alone"
	if len(works) > 0 {
		stage.Text = "working alone: " + strings.Join(works, ", ")
	}
	if hello, ok := vanished(d.KeyExchange); ok {
		stage.fail(c.origin, hello.Err.Reason(), fmt.Sprintf("a ClientHello of %d bytes (%s) gets no answer, smaller ones do: something on the way drops or swallows it",
			hello.Hello.Bytes, offeredName(hello)))
		stage.Cure = advice.VanishCure(c.origin)
		if i := len(a.Stages) - 1; d.Failed == diagnose.StageTLS {
			a.Stages[i].Cure = advice.VanishCure(c.origin) // the same thing, seen earlier
		}
	} else if d.Failed != "" {
		stage.Result = resultSkipped // for reading only: it explains the failure before
	}
	a.Stages = append(a.Stages, stage.done())
}

// vanished returns the largest ClientHello in use that vanished although a smaller one was answered.
func vanished(rows []diagnose.Trial) (*diagnose.Trial, bool) {
	hybrid, answered := rows[0].Outcome == diagnose.TrialVanishes, false
	found := &rows[0]
	for i := range rows[1:] {
		row := &rows[1+i]
		if row.Outcome == diagnose.TrialVanishes && row.Hybrid() && rows[0].Hybrid() {
			hybrid, found = true, row
		}
		answered = answered || !row.Hybrid() && row.Outcome == diagnose.TrialWorks
	}
	return found, hybrid && answered && found.Err != nil
}

func offeredName(row *diagnose.Trial) string {
	if len(row.Offered) == 0 {
		return "configured"
	}
	return tlsorigin.GroupName(row.Offered[0])
}

func newCheckKeyExchange(row *diagnose.Trial) KeyExchange {
	out := KeyExchange{
		Offered: offeredName(row), Outcome: string(row.Outcome), ClientHello: row.Hello.Bytes, Milliseconds: milliseconds(row.Took),
		Group: tlsorigin.GroupName(row.Group), HelloRetryRequest: row.HelloRetryRequest,
	}
	if row.Err != nil {
		out.Reason = row.Err.Reason()
	}
	return out
}
