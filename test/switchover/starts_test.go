//go:build switchover

package switchover

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// apart is how long after the one the next thing appears at a start: all within 30 s.
const apart = 5 * time.Second

// thing is something that a start needs.
type thing struct {
	name   string
	appear func(s *beginning) error
}

// beginning is a pgorigin that starts with nothing.
type beginning struct {
	host, folder string
	addr         string // where the database will be
}

func things() []thing {
	return []thing{
		{"DNS", func(s *beginning) error { shared.names.set(s.host, s.addr); return nil }},
		{"database", func(s *beginning) error { return lead(s.addr, postgresPort, shared.postgres.Addr) }},
		{"certificates", func(s *beginning) error {
			pair := shared.lab.CA.Issue(tlstest.Leaf{
				CommonName: servers.User, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			})
			if _, _, err := pair.WriteFiles(s.folder, "client"); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(s.folder, "ca.crt"), shared.lab.CA.PEM(), 0o644)
		}},
	}
}

// TestStarts lets name, database and certificate files appear in any order after pgorigin has started. The
// first client is there from the beginning, and is served. The database demands a client certificate.
func TestStarts(t *testing.T) {
	t.Parallel()
	list := things()
	orders := [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
	rows := make([][]string, len(orders))
	var all sync.WaitGroup
	for i, order := range orders {
		all.Go(func() {
			var names []string
			for _, k := range order {
				names = append(names, list[k].name)
			}
			s := &beginning{
				host: fmt.Sprintf("start%d.pgorigin.test", i), addr: ip(netStarts, i+1), folder: t.TempDir(),
			}
			took, err := s.run(t.Context(), []thing{list[order[0]], list[order[1]], list[order[2]]})
			order := strings.Join(names, ", ")
			rows[i] = []string{order, "served after " + seconds(took) + " s"}
			if err != nil {
				rows[i][1] = "not served"
				t.Errorf("%s: %v", order, err)
			}
		})
	}
	all.Wait()
	tab := newTable("order", "the first client, from the last one on")
	for _, row := range rows {
		tab.row(row...)
	}
	t.Logf("\na start with nothing; one thing appears every %v%s", apart, tab)
}

// run returns how long after the last thing the first client was served.
func (s *beginning) run(ctx context.Context, order []thing) (time.Duration, error) {
	file := func(name string) string { return filepath.Join(s.folder, name) }
	o, err := shared.lab.Launch(shared.binary, s.host+":"+postgresPort, wait, unknown,
		"PGORIGIN_TLS_CA_FILE="+file("ca.crt"),
		"PGORIGIN_TLS_CERT_FILE="+file("client.crt"), "PGORIGIN_TLS_KEY_FILE="+file("client.key"))
	if err != nil {
		return 0, err
	}
	client := make(chan result, 1)
	go func() { client <- s.first(ctx, o) }()
	for _, thing := range order {
		pause(ctx, apart)
		if err := thing.appear(s); err != nil {
			return 0, err
		}
	}
	complete := time.Now()
	if r := <-client; r.err != nil {
		return 0, fmt.Errorf("%w; the log begins with:\n%.2000s", r.err, o.Log)
	}
	return time.Since(complete), nil
}

// first is the first client. It connects as soon as there is a listener.
func (s *beginning) first(ctx context.Context, o *servers.Origin) result {
	listening, cancel := context.WithTimeout(ctx, apart/2)
	defer cancel()
	err := servers.Poll(listening, func() error {
		conn, err := new(net.Dialer).DialContext(listening, "tcp", o.Addr)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	if err != nil {
		return result{err: err}
	}
	ctx, cancel = context.WithTimeout(ctx, patience)
	defer cancel()
	return byPgx(through(o.Addr) + " dbname=" + servers.MutualDatabase)(ctx)
}
