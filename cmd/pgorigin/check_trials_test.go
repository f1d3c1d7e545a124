package main

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/check"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// directTLS accepts TLS from the first byte, and nothing else.
func directTLS(config *tls.Config, reply []byte) func(net.Conn) {
	config = config.Clone()
	config.NextProtos = []string{"postgresql"}
	return func(raw net.Conn) {
		conn := tls.Server(raw, config)
		if cmdtest.ReadStartup(conn) == nil {
			conn.Write(reply)
			io.Copy(io.Discard, conn)
		}
	}
}

// refusing is good unless refuse finds something in the ClientHello.
func (w checkWorld) refusing(refuse func(*tls.ClientHelloInfo) bool) *tls.Config {
	config := w.good.Clone()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if refuse(hello) {
			return nil, net.ErrClosed
		}
		return nil, nil
	}
	return config
}

// clientPair writes a client certificate that no server of these tests trusts.
func clientPair(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	pair := tlstest.NewCA("Client Root", tlstest.P256).Issue(tlstest.Leaf{CommonName: "app"})
	certFile, keyFile = filepath.Join(t.TempDir(), "client.crt"), filepath.Join(t.TempDir(), "client.key")
	for path, data := range map[string][]byte{certFile: pair.CertPEM(), keyFile: pair.KeyPEM()} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// trialCase is a fault that a change of one setting cures.
type trialCase struct {
	name   string
	script func(net.Conn)
	env    []string
	cure   string // the first sentence
}

func settingCures(t *testing.T, w checkWorld) []trialCase {
	t.Helper()
	classical, old, p256 := w.good.Clone(), w.good.Clone(), w.good.Clone()
	classical.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
	old.MaxVersion = tls.VersionTLS12
	p256.CurvePreferences = []tls.CurveID{tls.CurveP256}
	optional := w.good.Clone()
	optional.ClientAuth, optional.ClientCAs = tls.VerifyClientCertIfGiven, w.ca.Pool()
	certFile, keyFile := clientPair(t)
	const patient = "PGORIGIN_DIAL_TIMEOUT=4s" // after which something must work, on a busy machine too
	return []trialCase{
		{
			"only direct TLS", directTLS(w.good, sasl()),
			[]string{patient},
			"Set PGORIGIN_TLS_NEGOTIATION=direct (tried: it connects).",
		},
		{
			"no direct TLS", overTLS(w.good, sasl()),
			[]string{"PGORIGIN_TLS_NEGOTIATION=direct", patient},
			"Set PGORIGIN_TLS_NEGOTIATION=postgres (tried: it connects).",
		},
		{
			"hybrid required, none there", overTLS(classical, sasl()),
			[]string{"PGORIGIN_TLS_POST_QUANTUM=require"},
			"Set PGORIGIN_TLS_POST_QUANTUM=prefer (tried: it connects).",
		},
		{
			"TLS 1.3 required, 1.2 there", overTLS(old, sasl()),
			[]string{"PGORIGIN_TLS_MIN_VERSION=1.3"},
			"Set PGORIGIN_TLS_MIN_VERSION=1.2 (tried: it connects).",
		},
		{
			"another group", overTLS(p256, sasl()),
			[]string{"PGORIGIN_TLS_GROUPS=P-384"},
			"Set PGORIGIN_TLS_GROUPS=P-256 (tried: it connects).",
		},
		{
			"hellos with a hybrid refused", overTLS(w.refusing(func(hello *tls.ClientHelloInfo) bool {
				return slices.Contains(hello.SupportedCurves, tls.X25519MLKEM768)
			}), sasl()), nil, "Set PGORIGIN_TLS_POST_QUANTUM=off (tried: it connects).",
		},
		{
			"client certificate of a stranger", overTLS(optional, sasl()),
			[]string{"PGORIGIN_TLS_CERT_FILE=" + certFile, "PGORIGIN_TLS_KEY_FILE=" + keyFile},
			"Unset PGORIGIN_TLS_CERT_FILE and PGORIGIN_TLS_KEY_FILE (tried: it connects).",
		},
		{
			"another name", overTLS(certified(w.ca.Issue(tlstest.Leaf{DNSNames: []string{"*.example", "other.test"}})), sasl()),
			nil, "Set PGORIGIN_TLS_SERVER_NAME=other.test, if that is the server that you mean (tried: it connects).",
		},
		{
			"slow", func(conn net.Conn) {
				time.Sleep(2500 * time.Millisecond)
				overTLS(w.good, sasl())(conn)
			}, []string{"PGORIGIN_DIAL_TIMEOUT=2s"}, "Set PGORIGIN_DIAL_TIMEOUT=6s (tried: it connects).",
		},
		{
			"large hellos swallowed, hybrid required", swallowing(w.good, sasl()),
			[]string{"PGORIGIN_TLS_POST_QUANTUM=require", patient},
			"Set PGORIGIN_TLS_POST_QUANTUM=prefer (tried: it connects).",
		},
	}
}

// TestCheckTriesWhatItAdvises: the first advice has connected, and it does so again when it is applied.
func TestCheckTriesWhatItAdvises(t *testing.T) {
	t.Parallel()
	w := newCheckWorld()
	for _, row := range settingCures(t, w) {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			env := w.env(startScripted(t, row.script).addr, row.env...)
			out, got := checked(t, env)
			if got.code != cli.ExitFailed || out.Failed == nil || !strings.HasPrefix(out.Failed.Cure, row.cure) {
				t.Fatalf("want cure %q in %s", row.cure, got.stdout)
			}
			if n := strings.Count(out.Failed.Cure, row.cure[:len(row.cure)-len(" (tried: it connects).")]+"."); n > 0 {
				t.Errorf("the cure says it twice: %s", out.Failed.Cure)
			}
			works := 0
			for _, trial := range out.Upstreams[0].Addresses[0].Trials {
				if trial.Outcome == "works" && trial.Variable != "" {
					works++
				}
			}
			if works == 0 {
				t.Errorf("no trial works in %s", got.stdout)
			}
			if after, cured := checked(t, applied(env, row.cure)); cured.code != cli.ExitOK {
				t.Errorf("cured, it says %+v", after.Failed)
			}
		})
	}
}

// applied does what a cure says.
func applied(env []string, cure string) []string {
	env = slices.Clone(env)
	for word := range strings.FieldsSeq(cure) {
		word = strings.TrimSuffix(word, ",")
		name, _, sets := strings.Cut(word, "=")
		if !strings.HasPrefix(name, "PGORIGIN_") {
			continue
		}
		env = slices.DeleteFunc(env, func(entry string) bool { return strings.HasPrefix(entry, name+"=") })
		if sets {
			env = append(env, word)
		}
	}
	return env
}

func TestCheckTriesAnotherPort(t *testing.T) {
	w := newCheckWorld()
	const host = "127.0.0.43"
	ln, err := net.Listen("tcp", host+":5432")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	s := startScriptedOn(t, host+":5432", overTLS(w.good, sasl()))
	out, got := checked(t, w.env(host+":6432"))
	want := "Set PGORIGIN_UPSTREAM_ADDR=" + s.addr + " (tried: it connects)."
	if out.Failed == nil || out.Failed.Reason != "upstream_refused" || !strings.HasPrefix(out.Failed.Cure, want) {
		t.Errorf("want %q in %s", want, got.stdout)
	}
	cmdtest.Contains(t, unwrapped(runWith(t, w.env(host+":6432"), "check").stdout), "tried, one change at a time", want)
	out, got = checked(t, w.env(host+":6432,"+host+":6433"))
	want = "Set PGORIGIN_UPSTREAM_ADDR=" + s.addr + "," + host + ":6433 (tried: it connects)."
	if out.Failed == nil || !strings.HasPrefix(out.Failed.Cure, want) {
		t.Errorf("want %q in %s", want, got.stdout)
	}
}

// TestCheckTriesAnotherPortLast: a pooler may stand in front of the server that fails, and a server without TLS
// is the right one. Then the advice of a client comes first.
func TestCheckTriesAnotherPortLast(t *testing.T) {
	w := newCheckWorld()
	const host = "127.0.0.47"
	pooler := startScriptedOn(t, host+":6432", overTLS(w.good, sasl()))
	for first, address := range map[string]string{
		"Check that the upstream runs.":   host + ":5432",
		"Turn TLS on in the upstream (pg": startScriptedOn(t, host+":6433", answersSSL("N")).addr,
	} {
		out, got := checked(t, w.env(address))
		last := "Or set PGORIGIN_UPSTREAM_ADDR=" + pooler.addr + " (tried: it connects)."
		if out.Failed == nil || !strings.HasPrefix(out.Failed.Cure, first) || !strings.HasSuffix(out.Failed.Cure, last) {
			t.Errorf("want %q and %q in %s", first, last, got.stdout)
		}
	}
}

// TestCheckTriesWhatNoSettingDoes: if only a narrower hello passes, the report says where the fault is.
func TestCheckTriesWhatNoSettingDoes(t *testing.T) {
	w := newCheckWorld()
	for _, row := range []struct {
		name   string
		refuse func(*tls.ClientHelloInfo) bool
		cure   string
	}{
		{
			"TLS 1.3 is broken",
			func(h *tls.ClientHelloInfo) bool { return slices.Contains(h.SupportedVersions, tls.VersionTLS13) },
			"Update TLS 1.3 of the upstream",
		},
		{
			"the name is unknown", func(h *tls.ClientHelloInfo) bool { return h.ServerName != "" },
			"Let the upstream, or the proxy before it, accept the name db.test",
		},
		{
			"one of two certificates is broken",
			func(h *tls.ClientHelloInfo) bool {
				return slices.Contains(h.SupportedVersions, tls.VersionTLS13) ||
					slices.Contains(h.CipherSuites, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)
			},
			"Correct the certificates of the upstream: with one of ECDSA alone",
		},
		{
			"the protocol is unknown", func(h *tls.ClientHelloInfo) bool { return len(h.SupportedProtos) > 0 },
			"Let the upstream, or the proxy before it, accept the protocol postgresql (ALPN)",
		},
	} {
		s := startScripted(t, overTLS(w.refusing(row.refuse), sasl()))
		out, got := checked(t, w.env(s.addr))
		if out.Failed == nil || !strings.HasPrefix(out.Failed.Cure, row.cure) {
			t.Errorf("%s: want %q in %s", row.name, row.cure, got.stdout)
		}
	}
}

// TestCheckKnowsWhatComesAndGoes: if the same again works, no change of a setting has proved anything.
func TestCheckKnowsWhatComesAndGoes(t *testing.T) {
	t.Parallel()
	w := newCheckWorld()
	var connections atomic.Int32
	both := make(chan struct{})
	s := startScripted(t, func(conn net.Conn) {
		n := connections.Add(1)
		if n > 2 {
			overTLS(w.good, sasl())(conn)
			return
		}
		if n == 2 { // a walk and a connection have begun
			close(both)
		}
		<-both
		conn.Close()
	})
	out, got := checked(t, w.env(s.addr))
	if out.Failed == nil || out.Failed.Reason != "upstream_gone" || !strings.HasPrefix(out.Failed.Cure, "Connect again: the second attempt") {
		t.Errorf("%s", got.stdout)
	}
}

// TestCheckTriesNothingForAnAttacker: whoever injects plaintext gets no further connections, and no trial
// asks less of a certificate.
func TestCheckTriesNothingForAnAttacker(t *testing.T) {
	t.Parallel()
	w := newCheckWorld()
	stranger := certified(tlstest.NewCA("Strange Root", tlstest.P256).Issue(tlstest.Leaf{DNSNames: []string{"db.test"}}))
	for name, script := range map[string]func(net.Conn){
		"injection": answersSSL("Sgive me your password"), "unknown authority": overTLS(stranger),
	} {
		out, got := checked(t, w.env(startScripted(t, script).addr))
		if trials := trialsOf(out); len(trials) > 0 {
			t.Errorf("%s: trials %+v in %s", name, trials, got.stdout)
		}
	}
	// A stranger that takes only direct TLS is still a stranger.
	out, got := checked(t, w.env(startScripted(t, directTLS(stranger, sasl())).addr, "PGORIGIN_DIAL_TIMEOUT=1s"))
	for _, trial := range trialsOf(out) {
		if trial.Outcome == "works" {
			t.Errorf("%+v in %s", trial, got.stdout)
		}
	}
	if out.Failed == nil || strings.Contains(out.Failed.Cure, "tried: it connects") {
		t.Errorf("%s", got.stdout)
	}
}

func trialsOf(r check.Report) []check.Trial {
	var all []check.Trial
	for _, u := range r.Upstreams {
		for _, a := range u.Addresses {
			all = append(all, a.Trials...)
		}
	}
	return all
}
