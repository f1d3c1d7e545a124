package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pgorigin/pgorigin/test/servers"
)

// obstacle is what may stand in place of a file. Opening or reading it would hang.
type obstacle struct {
	name string
	make func(t *testing.T) (path string)
	says string // in the log, at the start and at a reload
}

// obstacles has a hung mount where the suite may mount: as root, and not in every container.
func obstacles(t *testing.T) []obstacle {
	t.Helper()
	all := []obstacle{{"pipe", makePipe, "is a pipe, but has to be a regular file"}}
	if _, unmount, err := mountHung(); err == nil {
		if err := unmount(); err != nil {
			t.Fatal(err)
		}
		all = append(all, obstacle{"hung mount", makeHung, "has not been read within 10s"})
	}
	return all
}

func makePipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func makeHung(t *testing.T) string {
	t.Helper()
	path, unmount, err := mountHung()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unmount(); err != nil {
			t.Error(err)
		}
	})
	return path
}

// mountHung mounts a file system whose server never answers, and returns the path of a file there.
func mountHung() (path string, unmount func() error, err error) {
	server, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "hung-") // not t.TempDir: its removal must come behind the unmount
	if err == nil {
		options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", server)
		err = unix.Mount("hung", dir, "fuse", unix.MS_NODEV|unix.MS_NOSUID, options)
	}
	if err != nil {
		return "", nil, errors.Join(err, unix.Close(server), os.RemoveAll(dir))
	}
	return filepath.Join(dir, "file"), func() error {
		_ = unix.Close(server) // everything that hangs there fails now
		return errors.Join(unix.Unmount(dir, unix.MNT_DETACH), os.Remove(dir))
	}, nil
}

// At the start, a file that blocks is an error, or SIGTERM ends the wait for it.
func TestStartWithFilesThatBlock(t *testing.T) {
	for _, o := range obstacles(t) {
		for _, variable := range []string{
			"PGORIGIN_TLS_CA_FILE", "PGORIGIN_TLS_CRL_FILE", "PGORIGIN_TLS_CERT_FILE", "PGORIGIN_TLS_KEY_FILE", "PGORIGIN_AUTH_PASSWORD_FILE",
		} {
			for _, signal := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, signal %v", o.name, variable, signal), func(t *testing.T) {
					t.Parallel()
					ctx := testContext(t)
					env := []string{"PGORIGIN_TLS_CERT_FILE=/etc/hostname", "PGORIGIN_TLS_KEY_FILE=/etc/hostname", variable + "=" + o.make(t)}
					if variable == "PGORIGIN_AUTH_PASSWORD_FILE" {
						env = append(env, bridgeMode)
					}
					origin, err := shared.lab.Launch(shared.binary, shared.postgres.Addr, env...)
					if err != nil {
						t.Fatal(err)
					}
					if signal && o.name != "pipe" { // that one ends by itself
						if err := servers.Poll(ctx, hangs(origin.PID())); err != nil {
							t.Fatal(err)
						}
						if err := origin.Signal(syscall.SIGTERM); err != nil {
							t.Fatal(err)
						}
						awaitExit(ctx, t, origin.Process, 0)
						return
					}
					awaitExit(ctx, t, origin.Process, 78)
					if log := origin.Log.String(); !strings.Contains(log, variable+": saw ") || !strings.Contains(log, o.says) {
						t.Errorf("its log is\n%s", log)
					}
				})
			}
		}
	}
}

// hangs reports by nil that a thread of the process waits for the file system that never answers.
func hangs(pid int) func() error {
	return func() error {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/wchan", pid))
		var places []string
		for _, thread := range threads {
			place, _ := os.ReadFile(thread) // a thread may have ended
			if strings.HasPrefix(string(place), "fuse") {
				return nil
			}
			places = append(places, string(place))
		}
		return errors.Join(err, fmt.Errorf("no thread hangs: %q", places))
	}
}

// At a reload, the old state stays in force and everything says so; sessions and SIGTERM work.
func TestReloadOfFilesThatBlock(t *testing.T) {
	for _, o := range obstacles(t) {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			ctx := testContext(t)
			link := filepath.Join(t.TempDir(), "ca.crt")
			if err := os.Symlink(shared.lab.CAFile, link); err != nil {
				t.Fatal(err)
			}
			origin := startOrigin(t, shared.postgres.Addr, "PGORIGIN_TLS_CA_FILE="+link, "PGORIGIN_TLS_RELOAD_INTERVAL=1s")
			if err := errors.Join(os.Symlink(o.make(t), link+".new"), os.Rename(link+".new", link)); err != nil {
				t.Fatal(err)
			}
			if err := origin.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			if _, err := origin.Log.AwaitLine(ctx, "the old certificates stay in force", o.says, "PGORIGIN_TLS_CA_FILE"); err != nil {
				t.Fatal(err)
			}
			for path, says := range map[string]string{
				"/metrics": `pgorigin_tls_reload_failing{origin="default"} 1`, "/statusz": o.says, "/readyz?verbose": o.says,
			} {
				if status, body, err := origin.Get(ctx, path); err != nil || status != 200 || !strings.Contains(body, says) {
					t.Errorf("%s answers %d, %v:\n%s", path, status, err, body)
				}
			}
			conn := connect(ctx, t, origin.Addr)
			mustExec(ctx, t, conn, "SELECT 1")
			if err := conn.Close(ctx); err != nil {
				t.Error(err)
			}
			if err := origin.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			awaitExit(ctx, t, origin.Process, 0)
		})
	}
}

// A login that needs a password from a file that blocks fails; it does not hang.
func TestPasswordFileThatBlocks(t *testing.T) {
	for _, o := range obstacles(t) {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			ctx := testContext(t)
			path := filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(path, []byte(servers.Password), 0o600); err != nil {
				t.Fatal(err)
			}
			origin := startOrigin(t, shared.postgres.Addr, bridgeMode, "PGORIGIN_AUTH_PASSWORD_FILE="+path)
			mustExec(ctx, t, connect(ctx, t, origin.Addr), "SELECT 1")
			if err := errors.Join(os.Symlink(o.make(t), path+".new"), os.Rename(path+".new", path)); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				refusal(ctx, t, origin.Addr)
			}
			if _, err := origin.Log.AwaitLine(ctx, `"session ended"`, o.says); err != nil {
				t.Error(err)
			}
		})
	}
}
