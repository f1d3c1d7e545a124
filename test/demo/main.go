// Command demo is "make demo": a real PostgreSQL behind a real pgbouncer that demands TLS, a pgorigin in front, and a
// psql that speaks plaintext. It prints a transcript, ends non-zero if a step does not do what it says, and leaves
// nothing behind. KEEP=1 leaves everything running until Ctrl-C. Colour is for terminals; NO_COLOR turns it off.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// limit is how long the demo may take, compiling included.
const limit = 5 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	p := &printer{out: os.Stdout, colour: wantsColour(os.Stdout)}
	err := run(ctx, p, os.Getenv("KEEP") == "1")
	stop()
	if err != nil {
		p.failure(err)
		os.Exit(1)
	}
}

func run(ctx context.Context, p *printer, keep bool) (err error) {
	lab, err := servers.NewLab(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := lab.Close(); err == nil {
			err = closeErr
		}
	}()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s, err := setUp(limited, lab, p)
	if err != nil {
		return err
	}
	failed := 0
	for number, step := range s.steps() {
		p.heading(fmt.Sprintf("%d. %s", number+1, step.title))
		outcome, err := step.run(limited)
		if err != nil {
			failed++
			p.cross(err)
			continue
		}
		p.check(outcome)
	}
	if failed > 0 {
		return fmt.Errorf("%d steps did not do what they say", failed)
	}
	if keep {
		s.keep(ctx, lab)
	}
	return nil
}

// scene is what the steps play in.
type scene struct {
	*printer
	lab      *servers.Lab
	binary   string
	postgres *servers.Postgres
	bouncer  *servers.PgBouncer // demands TLS, with a certificate for servers.ServerName
	impostor *servers.PgBouncer // the same, with a certificate for impostorName
	origin   *servers.Origin
}

// impostorName is a name that the CA vouches for, but not the one that pgorigin was told.
const impostorName = "reports.pgorigin.test"

func setUp(ctx context.Context, lab *servers.Lab, p *printer) (*scene, error) {
	p.heading("pgorigin demo")
	p.line("starting PostgreSQL, pgbouncer and pgorigin under a throw-away P-521 CA ...")
	s := &scene{printer: p, lab: lab}
	var err error
	if s.binary, err = lab.Build(ctx); err != nil {
		return nil, err
	}
	if s.postgres, err = lab.Postgres(ctx, servers.PostgresOptions{}); err != nil {
		return nil, err
	}
	if s.bouncer, err = lab.PgBouncer(ctx, s.postgres, servers.PgBouncerOptions{Certificate: lab.ServerCertificate(tlstest.P521)}); err != nil {
		return nil, err
	}
	wrong := lab.CA.Issue(tlstest.Leaf{CommonName: impostorName, DNSNames: []string{impostorName}, Key: tlstest.P521})
	if s.impostor, err = lab.PgBouncer(ctx, s.postgres, servers.PgBouncerOptions{Certificate: wrong}); err != nil {
		return nil, err
	}
	if s.origin, err = s.startOrigin(ctx, s.bouncer); err != nil {
		return nil, err
	}
	p.line("")
	p.line("  psql ── plaintext ──► pgorigin ── TLS, verified ──► pgbouncer ── TLS ──► PostgreSQL")
	p.line(fmt.Sprintf("  %22s :%-20s :%-17s :%s", "", port(s.origin.Addr), port(s.bouncer.Addr), port(s.postgres.Addr)))
	p.line("")
	p.note("psql has its password from PGPASSWORD; the ports are free ones")
	return s, nil
}

// startOrigin starts a pgorigin that expects the name servers.ServerName.
func (s *scene) startOrigin(ctx context.Context, upstream *servers.PgBouncer) (*servers.Origin, error) {
	return s.lab.Origin(ctx, s.binary, upstream.Addr, "PGORIGIN_TLS_SERVER_NAME="+servers.ServerName)
}

// keep leaves everything running until ctx ends, which Ctrl-C does.
func (s *scene) keep(ctx context.Context, lab *servers.Lab) {
	s.heading("KEEP=1: everything stays up until Ctrl-C")
	s.line("through pgorigin:         PGPASSWORD=" + servers.Password + " psql '" + conninfo(s.origin.Addr) + "'")
	s.line("refused by pgbouncer:     PGPASSWORD=" + servers.Password + " psql '" + conninfo(s.bouncer.Addr) + "'")
	s.line("health and metrics:       " + s.origin.Health + "/readyz  " + s.origin.Health + "/metrics")
	s.line("logs and certificates:    " + lab.Dir())
	<-ctx.Done()
	s.line("stopping")
}

// conninfo is a connection string as an application that knows no TLS has it; the password comes separately.
func conninfo(addr string) string {
	return "host=127.0.0.1 port=" + port(addr) + " user=" + servers.User + " dbname=" + servers.Database + " sslmode=disable"
}

func port(addr string) string {
	_, port, _ := net.SplitHostPort(addr) // made by package servers
	return port
}
