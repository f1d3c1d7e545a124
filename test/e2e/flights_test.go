package e2e

import (
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

// TestFlightsOfALogin: a login waits for the network once for TCP, and once for each flight that is counted here, down to
// ReadyForQuery: SSLRequest; ClientHello; Finished, after which TLS 1.3 lets the startup packet follow at once; and what the
// method of authentication asks for. Not one of them is pgorigin's: a client with TLS of its own would send the same.
// pgbouncer is asked for TLS 1.2, which has one flight more: the session tickets of its TLS 1.3, for which nobody waits,
// arrive sometimes before the startup packet and sometimes behind it.
func TestFlightsOfALogin(t *testing.T) {
	ctx := testContext(t)
	older := func(settings ...string) string {
		settings = append(settings, "client_tls_protocols = tlsv1.2")
		bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{Settings: settings})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(bouncer.Stop)
		return bouncer.Addr
	}
	for _, row := range []struct {
		name, upstream string
		env            []string
		flights        int
	}{
		{"PostgreSQL, SCRAM", shared.postgres.Addr, nil, 5},
		{"PostgreSQL, SCRAM by pgorigin", shared.postgres.Addr, []string{bridgeMode}, 5},
		{"pgbouncer, TLS 1.2, SCRAM", older(), nil, 6},
		{"pgbouncer, TLS 1.2, SCRAM by pgorigin", older(), []string{bridgeMode}, 6},
		{"pgbouncer, TLS 1.2, MD5", older("auth_type = md5"), nil, 5},
	} {
		t.Run(row.name, func(t *testing.T) {
			box := startMiddlebox(t, row.upstream)
			origin := startOrigin(t, box.addr, append([]string{"PGORIGIN_TLS_SERVER_NAME=" + servers.ServerName}, row.env...)...)
			connect(ctx, t, origin.Addr) // learns the server's key exchange, which may cost one flight more
			for range 3 {
				before := box.flights()
				connect(ctx, t, origin.Addr)
				if n := box.flights() - before; n != row.flights {
					t.Errorf("a login took %d flights, want %d", n, row.flights)
				}
			}
		})
	}
}
