package e2e

import (
	"crypto/x509"
	"net"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// Root (the Lab's), intermediate, server, client's intermediate, client and key exchange: all of it P-521, which other TLS
// stacks refuse, with both sides proving themselves.
func TestEverythingP521(t *testing.T) {
	ctx := testContext(t)
	issuer := shared.lab.CA.Intermediate("issuer of servers", tlstest.P521)
	server := issuer.Issue(tlstest.Leaf{
		CommonName: servers.ServerName, DNSNames: []string{servers.ServerName}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Key: tlstest.P521,
	})
	client := shared.lab.CA.Intermediate("issuer of clients", tlstest.P521).Issue(tlstest.Leaf{
		CommonName: servers.User, Key: tlstest.P521, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	certificate, key, err := client.WriteFiles(t.TempDir(), "client")
	if err != nil {
		t.Fatal(err)
	}
	pg, err := shared.lab.Postgres(ctx, servers.PostgresOptions{Settings: []string{"ssl_ecdh_curve = 'secp521r1'"}})
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Stop()
	if err := pg.Present(ctx, server); err != nil {
		t.Fatal(err)
	}
	bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{
		Certificate: server, Mutual: true, Settings: []string{"client_tls_ecdhcurve = secp521r1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer bouncer.Stop()
	for name, row := range map[string]struct{ upstream, database string }{
		"postgres":  {pg.Addr, servers.MutualDatabase},
		"pgbouncer": {bouncer.Addr, servers.Database},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			origin := startOrigin(t, row.upstream, "PGORIGIN_TLS_CERT_FILE="+certificate, "PGORIGIN_TLS_KEY_FILE="+key)
			if code, out := psql(ctx, t, servers.DSN(origin.Addr, "dbname="+row.database), "select current_user"); code != 0 || out != servers.User+"\n" {
				t.Fatalf("psql ended with %d: %s", code, out)
			}
			session, err := origin.AwaitSession(ctx, `"reason":"ok"`, `"tls_group":"P-521"`)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%v, TLS %v, %v", session["tls_peer"], session["tls_version"], session["tls_group"])
		})
		t.Run(name+" without a client certificate", func(t *testing.T) {
			refusal(testContext(t), t, startOrigin(t, row.upstream).Addr, "dbname="+row.database)
		})
	}
}
