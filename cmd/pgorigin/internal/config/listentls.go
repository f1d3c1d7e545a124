package config

import (
	"net"
	"slices"
	"strings"
)

// Values of LISTEN_TLS besides off.
const (
	listenSelfSigned = "self-signed"
	listenFiles      = "files"
)

// ListensSelfSigned reports whether clients get TLS with a certificate that is made at the start.
func (o *Origin) ListensSelfSigned() bool { return o.Listen.TLS == listenSelfSigned }

// ListensWithFiles reports whether clients get TLS with a certificate from files.
func (o *Origin) ListensWithFiles() bool { return o.Listen.TLS == listenFiles }

// checkListenTLS finds files that LISTEN_TLS needs, and files that it makes no use of.
func (o *Origin) checkListenTLS(found []finding) []finding {
	if about(found, "LISTEN_TLS") {
		return nil
	}
	var wrong []finding
	rule := func(word, value string, needed, allowed bool, without, with string) {
		switch {
		case needed && value == "":
			wrong = append(wrong, finding{word: word, unset: true, text: without})
		case !allowed && value != "" && !o.inherited[word]:
			wrong = append(wrong, finding{word: word, value: value, text: with})
		}
	}
	files := o.ListensWithFiles()
	const unused = "only {LISTEN_TLS}=files uses it; set that, or leave this out"
	rule("LISTEN_TLS_CERT_FILE", o.Listen.TLSCertFile, files, files,
		"{LISTEN_TLS}=files needs the certificate that clients see; set it to a PEM file", unused)
	rule("LISTEN_TLS_KEY_FILE", o.Listen.TLSKeyFile, files, files,
		"{LISTEN_TLS}=files needs the key of the certificate; set it to a PEM file", unused)
	rule("LISTEN_TLS_CA_FILE", o.Listen.TLSCAFile, false, o.ListensSelfSigned(), "",
		"only {LISTEN_TLS}=self-signed has a CA of its own to write there; set that, or leave this out")
	return wrong
}

// ListenTLSProblems makes a problem of err, which is about the files of LISTEN_TLS. It returns none if found has one
// for either file already.
func (o *Origin) ListenTLSProblems(err error, found []Problem) []Problem {
	variable := o.Variable("LISTEN_TLS_CERT_FILE")
	if mentions(found, variable) || mentions(found, o.Variable("LISTEN_TLS_KEY_FILE")) {
		return nil
	}
	text := o.Fill("{}; expected readable PEM files with the certificate that clients see, and in "+
		"{LISTEN_TLS_KEY_FILE} its unencrypted key", err.Error())
	return []Problem{{Variable: variable, File: true, Text: text, Fault: faultOf(err)}}
}

// ListenerNames returns the names and IP addresses by which clients may know the listener. A client that a hosts
// file leads here connects to the name of the upstream.
func (o *Origin) ListenerNames() []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	tcp := slices.DeleteFunc(slices.Clone(o.Listen.Addr),
		func(addr string) bool { return strings.HasPrefix(addr, UnixScheme) })
	candidates := slices.Concat(hosts(tcp), hosts(o.Upstream.Addr), []string{o.TLS.ServerName})
	for _, name := range candidates {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		ip := net.ParseIP(name)
		if name != "" && (ip == nil || !ip.IsUnspecified()) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
