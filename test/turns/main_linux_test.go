package turns

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgorigin/pgorigin/test/servers"
)

// What the scripts refer to. The trigger of refuse fails after the server asked for data and before it reads
// any; a second row of the same number in once fails at the end of its transaction.
const tables = `
CREATE TABLE rows (n int);
CREATE TABLE refuse (n int);
CREATE TABLE once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO once VALUES (1);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON refuse EXECUTE FUNCTION refuse();
GRANT ALL ON rows, refuse, once TO app;
GRANT pg_read_all_stats TO app;
`

var (
	trials = flag.Int("trials", 150, "random sequences")
	seed   = flag.Uint64("seed", 1, "of the first sequence")

	postgres *servers.Postgres
	truth    observer
)

// observer asks PostgreSQL, past all that is under test.
type observer struct {
	mu   sync.Mutex
	conn *pgx.Conn
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(servers.RunSuite(m, func(ctx context.Context, lab *servers.Lab) (err error) {
		if postgres, err = lab.Postgres(ctx, servers.PostgresOptions{NoTLS: true}); err != nil {
			return err
		}
		if _, err = postgres.Exec(ctx, tables); err != nil {
			return err
		}
		if truth.conn, err = pgx.Connect(ctx, servers.DSN(postgres.Addr)); err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		return nil
	}))
}

// activity is what PostgreSQL says of a session.
type activity struct {
	waits bool // for its client
	idle  bool // and outside a transaction
	text  string
}

func (o *observer) look(ctx context.Context, pid uint32) (a activity, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	err = o.conn.QueryRow(ctx, `SELECT coalesce(wait_event = 'ClientRead', false),
		state = 'idle' AND xact_start IS NULL AND backend_xid IS NULL,
		format('%s, %s, transaction since %s, last query %s', state, wait_event, xact_start, query)
		FROM pg_stat_activity WHERE pid = $1`, pid).Scan(&a.waits, &a.idle, &a.text)
	if err != nil {
		return a, fmt.Errorf("look at session %d: %w", pid, err)
	}
	return a, nil
}
