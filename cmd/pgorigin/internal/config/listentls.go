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
	for _, file := range []struct{ word, value, mode, what string }{
		{"LISTEN_TLS_CERT_FILE", o.Listen.TLSCertFile, listenFiles, "the certificate that clients see"},
		{"LISTEN_TLS_KEY_FILE", o.Listen.TLSKeyFile, listenFiles, "the key of the certificate"},
		{"LISTEN_TLS_CA_FILE", o.Listen.TLSCAFile, listenSelfSigned, ""},
	} {
		switch used := o.Listen.TLS == file.mode; {
		case used && file.value == "" && file.what != "":
			wrong = append(wrong, finding{
				word: file.word, unset: true,
				text: "{LISTEN_TLS}=" + file.mode + " needs " + file.what + "; set it to a PEM file",
			})
		case !used && file.value != "" && !o.inherited[file.word]:
			wrong = append(wrong, finding{
				word: file.word, value: file.value,
				text: "only {LISTEN_TLS}=" + file.mode + " uses it; set that, or leave this out",
			})
		}
	}
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
