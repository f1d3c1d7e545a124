//go:build switchover

package switchover

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// clusterHBA also lets a standby in.
const clusterHBA = `
local   all         all     trust
local   replication all     trust
hostssl all         all all scram-sha-256
`

// cluster is a primary and a standby in streaming replication. Server 0 has the addresses ip(…, 1), server 1
// has ip(…, 2).
type cluster struct {
	servers [2]*servers.Postgres
	primary int
}

// start starts a new server. It follows primary, if there is one, and takes no logins then: to clients it says
// that it is starting (SQLSTATE 57P03). All data directories are copies of one, so it needs no backup.
func (c *cluster) start(ctx context.Context, i int, primary *servers.Postgres) (err error) {
	var listen []string
	for network := range netWays + 10 {
		listen = append(listen, ip(network, i+1))
	}
	options := servers.PostgresOptions{
		Port: postgresPort, HBA: clusterHBA, Files: certificateFiles(),
		Settings: []string{
			"listen_addresses = '" + strings.Join(listen, ",") + "'", "max_connections = 2500",
			"hot_standby = off", "wal_keep_size = '1GB'", "log_connections = off",
		},
	}
	if primary != nil {
		options.Files["standby.signal"] = "on\n"
		options.Ready = "started streaming WAL"
		options.Settings = append(options.Settings, fmt.Sprintf(
			"primary_conninfo = 'host=%s port=%s user=postgres'", primary.SocketDir(), postgresPort))
	}
	c.servers[i], err = shared.lab.Postgres(ctx, options)
	return err
}

// renew starts a new primary with a new standby, where the last ones were. An older primary would cost a standby
// seconds for each promotion since. It makes sure that the standby has what the primary has.
func (c *cluster) renew(ctx context.Context) error {
	for _, pg := range c.servers {
		if pg == nil {
			continue
		}
		pg.Stop()
		if err := os.RemoveAll(pg.SocketDir()); err != nil { // the folder of its data, too
			return err
		}
	}
	if err := c.start(ctx, c.primary, nil); err != nil {
		return err
	}
	primary := c.servers[c.primary]
	if err := c.start(ctx, 1-c.primary, primary); err != nil {
		return err
	}
	standby := c.servers[1-c.primary]
	if _, err := primary.Exec(ctx, "CREATE TABLE replicated ()"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return servers.Poll(ctx, func() error {
		lag, err := primary.Exec(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) FROM pg_stat_replication")
		if err == nil && lag != "0" {
			err = fmt.Errorf("the standby lags by %q bytes; its log ends with:\n%s", lag, standby.Log.Tail(10))
		}
		return err
	})
}

// promote makes the standby the primary, and returns when it takes logins.
func (c *cluster) promote(ctx context.Context) error {
	c.primary = 1 - c.primary
	pg := c.servers[c.primary]
	if err := pg.Write("promote", "now\n"); err != nil {
		return err
	}
	if err := pg.Signal(syscall.SIGUSR1); err != nil {
		return err
	}
	return pg.Await(ctx, "database system is ready to accept connections")
}

// verify makes sure that the primary has what the old one had.
func (c *cluster) verify(ctx context.Context) error {
	_, err := c.servers[c.primary].Exec(ctx, "TABLE replicated")
	return err
}
