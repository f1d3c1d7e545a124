package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// Present makes PostgreSQL serve another certificate and returns when new connections get it. It must not run twice at a
// time.
func (pg *Postgres) Present(ctx context.Context, pair *tlstest.Pair) error {
	for name, text := range map[string][]byte{"server.crt": pair.CertPEM(), "server.key": pair.KeyPEM()} {
		if err := os.WriteFile(filepath.Join(pg.data, name), text, 0o600); err != nil {
			return fmt.Errorf("replace certificate: %w", err)
		}
	}
	const reloading = "received SIGHUP"
	before := len(pg.Log.Lines(reloading))
	if err := pg.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	err := Poll(ctx, func() error {
		if len(pg.Log.Lines(reloading)) == before {
			return errors.New("PostgreSQL does not react to SIGHUP")
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := pg.awaitTurn(ctx); err != nil {
		return err
	}
	text := pg.Log.String()
	if tail := text[strings.LastIndex(text, reloading):]; strings.Contains(tail, "SSL configuration was not reloaded") {
		return fmt.Errorf("PostgreSQL does not load the certificate: %s", firstLine(tail, "could not load"))
	}
	pg.Certificate = pair
	return nil
}

// awaitTurn connects and waits until the log mentions it: the postmaster accepts nobody while it reloads.
func (pg *Postgres) awaitTurn(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", pg.Addr)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer func() { _ = conn.Close() }()
	_, port, err := net.SplitHostPort(conn.LocalAddr().String())
	if err != nil {
		return fmt.Errorf("read own address: %w", err)
	}
	_, err = pg.Log.AwaitLine(ctx, "connection received", "port="+port)
	return err
}

// firstLine returns the first line of text that contains words.
func firstLine(text, words string) string {
	for line := range strings.SplitSeq(text, "\n") {
		if strings.Contains(line, words) {
			return line
		}
	}
	return ""
}
