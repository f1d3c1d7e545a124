package corpus

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// libpqRefusals are the words of libpq when it does not accept a certificate, or the server has none that it could use.
var libpqRefusals = []string{
	"SSL error: ",
	"does not match host name",
	"could not get server's host name from server certificate",
	"SSL certificate's name contains embedded null",
	"could not read root certificate file",
}

// askLibpq logs in by psql. The name needs no DNS: hostaddr says where it is.
func askLibpq(ctx context.Context, t *testing.T, mode, host, addr string, files trustFiles) (verdict, says string) {
	options := []string{"host='" + host + "'", "hostaddr=127.0.0.1", "sslmode=" + mode, "sslrootcert=" + files.roots, "channel_binding=disable"}
	if files.crls != "" {
		options = append(options, "sslcrl="+files.crls)
	}
	out, err := shared.lab.Psql(ctx, servers.DSN(addr, options...), "-Atc", "select 'logged in'").CombinedOutput()
	text := strings.Join(strings.Fields(string(out)), " ")
	var exit *exec.ExitError
	switch {
	case err == nil && text == "logged in":
		return accepts, ""
	case err != nil && !errors.As(err, &exit):
		t.Errorf("run psql: %v", err) // without a verdict of libpq there is nothing to compare with
		return "", err.Error()
	}
	for _, words := range libpqRefusals {
		if _, after, ok := strings.Cut(text, " failed: "); ok && strings.Contains(text, words) {
			return refuses, after
		}
	}
	t.Errorf("%s: psql says neither yes nor no: %s", host, text)
	return "", text
}

// askPgorigin dials. The name needs no DNS here, either.
func askPgorigin(ctx context.Context, t *testing.T, mode, host, addr string, files trustFiles) (verdict, reason string) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Error(err)
		return "", ""
	}
	dialer, err := tlsorigin.NewDialer(tlsorigin.Config{
		Addrs: []string{net.JoinHostPort(host, port)}, CAFile: files.roots, CRLFile: files.crls, VerifyCA: mode == "verify-ca",
		Timeout: time.Minute,
		NetDial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	})
	if err != nil {
		return refuses, "(configuration)"
	}
	conn, err := dialer.Dial(ctx, nil)
	if err == nil {
		_ = conn.Close()
		return accepts, ""
	}
	var failure *tlsorigin.Error
	if !errors.As(err, &failure) || strings.HasPrefix(failure.Reason(), "upstream_") {
		t.Errorf("%s: pgorigin says neither yes nor no: %v", host, err)
		return "", err.Error()
	}
	words := []string{failure.Reason()}
	for _, also := range failure.Also {
		words = append(words, string(also))
	}
	t.Logf("pgorigin, %s: %v", host, failure)
	return refuses, strings.Join(words, "+")
}
