package tlsorigin

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/alert"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
)

// This file explains alerts, and why a peer and this dialer found nothing in common. An alert names no more
// than the kind of failure. What was offered decides which setting is the likeliest.

// alertFailure explains an alert that the peer sent before any data. Nil means that err is not an alert.
func alertFailure(err error, auth *clientAuth) *problem {
	number, ok := alert.Number(err)
	if !ok {
		return nil
	}
	name := alert.Name(number)
	if found := auth.failure(number, name, time.Now()); found != nil {
		return found
	}
	if number == alert.NoProtocol {
		return because(ReasonTLSALPN, "does not know the protocol %s (ALPN): %s", protocolName, name)
	}
	return because(ReasonTLSAlert, "refused the TLS handshake with %s", name)
}

// smallestServerHello is the size of the smallest record with a ServerHello.
const smallestServerHello = recordHeader + 42

// inHandshake says more of found, the alert in err, than alertFailure can. The peer has sent received bytes. If
// they hold a ServerHello, the alert is no answer to the ClientHello.
func (a *attempt) inHandshake(found *problem, err error, received int64) *problem {
	switch {
	case found.reason == ReasonTLSAlert && received < smallestServerHello:
		number, _ := alert.Number(err)
		return a.refusedHello(number, alert.Name(number))
	case found.reason == ReasonTLSALPN && !a.route.direct:
		return found.as(CaseNoProtocol)
	}
	return found
}

// refusedHello explains the alert with number, called name, that answered a ClientHello.
func (a *attempt) refusedHello(number uint8, name string) *problem {
	switch number {
	case alert.ProtocolVersion:
		return a.noCommonVersion("supports no TLS version that was offered, " + a.versions() + ": " + name)
	case alert.HandshakeFailure, alert.InsufficientSecurity:
		return a.nothingInCommon(name)
	case alert.UnexpectedMessage, alert.IllegalParameter, alert.DecodeError:
		if a.hybrid() {
			return because(ReasonTLSAlert, "does not understand the ClientHello: %s", name).as(CaseLargeHello)
		}
		if number == alert.IllegalParameter {
			return a.nothingInCommon(name)
		}
	case alert.UnrecognizedName:
		return a.unknownServerName(name)
	}
	return because(ReasonTLSAlert, "refused the TLS handshake with %s", name)
}

// noCommonVersion is the problem of a peer with other versions of TLS.
func (a *attempt) noCommonVersion(text string) *problem {
	found := because(ReasonTLSNoCommon, "%s", text)
	switch {
	case a.exchange.policy == PostQuantumRequire:
		return found.as(CaseOnlyHybrid)
	case a.state.template.MinVersion == tls.VersionTLS13:
		return found.as(CaseOnlyTLS13)
	}
	return found.as(CaseOldTLS)
}

// nothingInCommon is the problem of a peer that lacks something else: a group, a cipher, or the signature that
// its own certificate needs.
func (a *attempt) nothingInCommon(why string) *problem {
	if a.exchange.policy == PostQuantumRequire {
		return because(ReasonTLSNoCommon, "probably has no post-quantum key exchange, and nothing else was "+
			"offered (%s): %s", a.groups(), why).as(CaseOnlyHybrid)
	}
	found := because(ReasonTLSNoCommon, "has no cipher, key-exchange group or signature in common with what was "+
		"offered, %s with %s: %s", a.versions(), a.groups(), why)
	if a.exchange.listed && !slices.Contains(a.exchange.groups, tls.CurveP256) {
		return found.as(CaseGroups)
	}
	return found
}

// unknownServerName is the problem of a peer that serves other names.
func (a *attempt) unknownServerName(why string) *problem {
	if _, err := netip.ParseAddr(a.route.name); err == nil {
		return because(ReasonTLSServerName, "wants a server name (SNI), and an IP address such as %s is never "+
			"sent as one: %s", a.route.name, why).as(CaseNoServerName)
	}
	return because(ReasonTLSServerName, "does not know the server name %s (SNI): %s",
		safetext.Quote(a.route.name), why)
}

// versions says which versions of TLS were offered.
func (a *attempt) versions() string {
	switch {
	case a.exchange.policy == PostQuantumRequire:
		return "TLS 1.3 alone, because post-quantum key exchange needs it"
	case a.state.template.MinVersion == tls.VersionTLS13:
		return "TLS 1.3 alone"
	}
	return "TLS 1.2 and 1.3"
}

// groups says which key-exchange groups were offered.
func (a *attempt) groups() string {
	for _, groups := range [][]tls.CurveID{a.variant.groups, a.exchange.groups} {
		if groups != nil {
			return strings.Join(GroupNames(groups), ", ")
		}
	}
	return strings.Join(GroupNames(Groups()), ", ")
}

// unofferedChoice explains a peer that chose what was not offered. Only the text of crypto/tls says so. Nil
// means that err is about something else.
func (a *attempt) unofferedChoice(err error) *problem {
	text := err.Error()
	if _, version, ok := strings.Cut(text, "server selected unsupported protocol version "); ok {
		var number uint16
		_, _ = fmt.Sscanf(version, "%x", &number)
		return a.noCommonVersion("chose " + tls.VersionName(number) + ", and was offered " + a.versions())
	}
	for words, choice := range map[string]string{
		"server chose an unconfigured cipher suite": "it chose a cipher that was not offered",
		"server selected unsupported group":         "it chose a group that was not offered",
		"server selected unsupported curve":         "it chose a group that was not offered",
		"server selected unoffered curve":           "it chose a group that was not offered",
	} {
		if strings.Contains(text, words) {
			return a.nothingInCommon(choice)
		}
	}
	return nil
}
