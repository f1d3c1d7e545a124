//go:build hostile

package hostile

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// TestSocketBesidePostgreSQL: a mistake in the address must not take PostgreSQL's socket and lock file away.
func TestSocketBesidePostgreSQL(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	pg, err := shared.lab.Postgres(ctx, servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Stop()
	_, port, err := net.SplitHostPort(pg.Addr)
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(pg.SocketDir(), ".s.PGSQL."+port)
	before := identity(t, socket) + identity(t, socket+".lock")
	for _, signal := range []bool{false, true} {
		if signal { // a server that does not answer is still there
			if err := pg.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		}
		p := startProcess(t, nil, pg.Addr, nil, "PGORIGIN_LISTEN_ADDR=unix:"+socket)
		select {
		case <-p.ended:
		case <-time.After(3 * time.Second):
			t.Errorf("it listens at PostgreSQL's own socket")
			_ = p.Process.Signal(syscall.SIGTERM)
			<-p.ended
		}
		if signal {
			if err := pg.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
		}
	}
	if after := identity(t, socket) + identity(t, socket+".lock"); after != before {
		t.Errorf("socket and lock file were %s, and are %s", before, after)
	}
	if out, err := pg.Exec(ctx, "SELECT 1"); err != nil || out != "1" {
		t.Errorf("through its socket PostgreSQL says %q, %v", out, err)
	}
}

// identity says which file it is and what it holds.
func identity(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		return err.Error()
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no inode")
	}
	text, _ := os.ReadFile(path) // a socket cannot be read
	return fmt.Sprintf("[%d %s %d bytes %q]", stat.Ino, info.Mode(), info.Size(), text)
}

// TestSymbolicLinks: whoever may write in the socket's folder wants pgorigin to remove or overwrite another file.
func TestSymbolicLinks(t *testing.T) {
	t.Parallel()
	for _, name := range []string{".s.PGSQL.6432", ".s.PGSQL.6432.lock"} {
		for _, target := range []string{"file", "socket", "nothing"} {
			t.Run(name+" to "+target, func(t *testing.T) {
				t.Parallel()
				folder, err := os.MkdirTemp("", "link") // short enough for a socket
				if err != nil {
					t.Fatal(err)
				}
				defer os.RemoveAll(folder)
				victim := filepath.Join(folder, "victim")
				switch target {
				case "file":
					err = os.WriteFile(victim, []byte("4711\nprecious\n"), 0o644)
				case "socket":
					var ln net.Listener
					if ln, err = net.Listen("unix", victim); err == nil {
						ln.(*net.UnixListener).SetUnlinkOnClose(false)
						err = ln.Close() // a stale socket of somebody else
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(victim, filepath.Join(folder, name)); err != nil {
					t.Fatal(err)
				}
				before := identity(t, victim)
				p := startProcess(t, nil, "127.0.0.1:1", nil, "PGORIGIN_LISTEN_ADDR=unix:"+folder)
				select {
				case <-p.ended:
				case <-time.After(2 * time.Second):
					_ = p.Process.Signal(syscall.SIGTERM)
					select {
					case <-p.ended:
					case <-time.After(patience):
						t.Error("deaf to SIGTERM")
					}
				}
				if after := identity(t, victim); after != before {
					t.Errorf("what the link points to was %s, and is %s", before, after)
				}
			})
		}
	}
}
