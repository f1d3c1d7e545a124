//go:build switchover

package switchover

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

const (
	// cutOff is how many logins are on their way when the server stops.
	cutOff = 20
	// held is how long PostgreSQL holds logins before it stops, and how long it is away after that.
	held = 2 * time.Second
)

// TestSevered stops PostgreSQL while logins are on their way. Before the server has said anything, each of them
// goes on at the next server. Later, it does so only if pgorigin has the password, as in the mode bridge: the
// client's part of the proof is for one connection alone.
func TestSevered(t *testing.T) {
	t.Parallel()
	// A login waits where it reads the catalog that is locked: for the secret, and for the settings of the role.
	moments := []struct{ name, catalog string }{
		{"before the first message", "pg_authid"},
		{"after the client's proof", "pg_db_role_setting"},
	}
	tab := newTable("the server stops", "mode", "logins", "served", "severed", "failed", "p50/p99/max")
	var all sync.WaitGroup
	var mu sync.Mutex
	for i, moment := range moments {
		addr := ip(netSevered, i+1)
		pg, err := shared.lab.Postgres(t.Context(), servers.PostgresOptions{
			Port: postgresPort, HBA: clusterHBA, Files: certificateFiles(),
			Settings: []string{"listen_addresses = '" + addr + "'"},
		})
		must(t, err)
		must(t, hold(t.Context(), pg, moment.catalog))
		all.Go(func() {
			for mode, f := range sever(t, pg, addr) {
				mu.Lock()
				tab.row(moment.name, mode, fmt.Sprint(f.n), fmt.Sprint(f.told[served]), fmt.Sprint(f.told[severed]),
					fmt.Sprint(f.told[failed]), f.times())
				mu.Unlock()
				if want := i == 0 || mode == "bridge"; want && f.told[served] != cutOff {
					t.Errorf("%s, %s: %d of %d logins were served, want all: %v", moment.name, mode, f.told[served], cutOff, f.example)
				}
			}
		})
	}
	all.Wait()
	t.Log(tab)
}

// sever returns what became of the logins in each mode.
func sever(t *testing.T, pg *servers.Postgres, addr string) map[string]figures {
	t.Helper()
	loads := map[string]*load{}
	var all sync.WaitGroup
	for _, mode := range []string{"strip", "bridge"} {
		o, err := startOrigin(t, addr+":"+postgresPort, "PGORIGIN_AUTH_CHANNEL_BINDING="+mode)
		if err != nil {
			t.Error(err)
			return nil
		}
		loads[mode] = &load{connect: byPgx(through(o.Addr))}
	}
	for _, l := range loads {
		for range cutOff {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				l.add(l.connect(ctx))
			})
		}
	}
	pause(t.Context(), held)
	pg.Stop()
	pause(t.Context(), held)
	if err := pg.Start(t.Context()); err != nil {
		t.Error(err)
	}
	all.Wait()
	sums := map[string]figures{}
	for mode, l := range loads {
		sums[mode] = sum(l.results, func(result) bool { return true })
	}
	return sums
}

// hold lets logins wait for catalog until the server stops.
func hold(ctx context.Context, pg *servers.Postgres, catalog string) error {
	dsn := "host=" + pg.SocketDir() + " port=" + postgresPort + " user=postgres dbname=" + servers.Database
	p, err := shared.lab.Start("holder", shared.lab.Psql(context.Background(), dsn, "-Atq", "-c", "BEGIN",
		"-c", "LOCK TABLE "+catalog+" IN ACCESS EXCLUSIVE MODE", "-c", "SELECT 'locked'", "-c", "SELECT pg_sleep(600)"))
	if err != nil {
		return err
	}
	return p.Await(ctx, "locked")
}
