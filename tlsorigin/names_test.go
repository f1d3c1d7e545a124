package tlsorigin

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

type nameRow struct {
	name, addr, serverName string
	reason                 Reason // empty: it connects
	sni                    string
	wants                  string
}

// nameRows are dialled to a certificate for db.internal, *.pool.internal, the DNS name 10.9.9.9, and the IP
// addresses 10.0.0.1 and ::1.
func nameRows() []nameRow {
	return []nameRow{
		{"host of the address", "db.internal:6432", "", "", "db.internal", ""},
		{"other case", "DB.Internal:6432", "", "", "DB.Internal", ""},
		{"final dot", "db.internal.:6432", "", "", "db.internal", ""},
		{"ServerName instead of the host", "lb.example.com:6432", "db.internal", "", "db.internal", ""},
		{"ServerName with final dot", "lb.example.com:6432", "db.internal.", "", "db.internal", ""},
		{"ServerName instead of an IP", "10.7.7.7:6432", "db.internal", "", "db.internal", ""},
		{"ServerName overrides a host that would do", "db.internal:6432", "other.internal", ReasonCertNameMismatch, "other.internal", `not "other.internal"`},
		{"wildcard and underscore", "pg_main.pool.internal:6432", "", "", "pg_main.pool.internal", ""},
		{"wildcard is one label", "a.b.pool.internal:6432", "", ReasonCertNameMismatch, "a.b.pool.internal", ""},
		{"IP SAN", "10.0.0.1:6432", "", "", "", ""},
		{"other IP", "10.0.0.2:6432", "", ReasonCertNameMismatch, "", `"10.0.0.1", "::1", not "10.0.0.2"`},
		{"IP only as a DNS name", "10.9.9.9:6432", "", ReasonCertNameMismatch, "", "stands there as a DNS name"},
		{"IPv6 SAN", "[::1]:6432", "", "", "", ""},
		{"IPv6 SAN, other spelling", "[0:0:0:0:0:0:0:1]:6432", "", "", "", ""},
		{"IP as ServerName", "db.example.com:6432", "10.0.0.1", "", "", ""},
		{"IPv6 zone with a ServerName", "[fe80::1%eth0]:6432", "db.internal", "", "db.internal", ""},
	}
}

func TestNames(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	sni := make(chan string, 1)
	config := peertest.ServerConfig(ca.Issue(tlstest.Leaf{
		DNSNames: []string{"db.internal", "*.pool.internal", "10.9.9.9"},
		IPs:      []net.IP{net.IPv4(10, 0, 0, 1), net.IPv6loopback},
	}))
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		sni <- hello.ServerName
		return nil, nil
	}
	p := peertest.Start(t, peertest.SpeaksTLS(config))
	for _, row := range nameRows() {
		t.Run(row.name, func(t *testing.T) {
			var dialled string
			d := newTestDialer(t, ca, func(c *Config) {
				c.ServerName = row.serverName
				c.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					dialled = addr
					return new(net.Dialer).DialContext(ctx, network, p.Addr)
				}
			}, row.addr)
			conn, err := d.Dial(t.Context(), nil)
			if err == nil {
				peertest.CheckEcho(t, conn)
				conn.Close()
			}
			if dialled != row.addr {
				t.Errorf("dialled %s, want the address as configured", dialled)
			}
			if got := <-sni; got != row.sni {
				t.Errorf("SNI %q, want %q", got, row.sni)
			}
			var failure *Error
			switch {
			case row.reason == "" && err != nil:
				t.Error(err)
			case row.reason != "" && (!errors.As(err, &failure) || failure.Kind != row.reason || !strings.Contains(failure.Error(), row.wants)):
				t.Errorf("got %v, want %s with %q", err, row.reason, row.wants)
			}
		})
	}
}
