// Package servers starts real programs on free loopback ports for the end-to-end suite, the demo and the benchmarks:
// PostgreSQL, pgbouncer and pgorigin itself, with certificates of a throw-away CA.
//
// Everything belongs to a Lab. Closing it stops every process that it started, by process id, and removes its folder.
// Nothing here waits for a fixed time: readiness is read off logs and health endpoints.
package servers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// The account and database that every upstream of a Lab knows.
const (
	User     = "app"
	Password = "correct-horse-7d1f"
	Database = "app"
)

// ServerName is the DNS name that the servers' certificates carry, beside localhost and 127.0.0.1.
const ServerName = "db.pgorigin.test"

// Lab is a folder, a CA and the processes started in them. Make it with NewLab, end it with Close.
type Lab struct {
	// CA signs every certificate of the Lab; its key is P-521, as in the installations that broke other TLS stacks.
	CA *tlstest.CA
	// CAFile is the CA's certificate in PEM.
	CAFile string

	dir      string
	bin      binaries
	user     *syscall.Credential // nil: whoever runs this
	number   atomic.Int64
	template func() (string, error) // a fresh data directory to copy

	mu        sync.Mutex
	processes []*Process
	ports     map[int]bool
}

// binaries are the programs of a Lab, as absolute paths.
type binaries struct{ initdb, postgres, psql, pgbench, pgbouncer string }

// NewLab finds the server programs and makes folder and CA. A program that is not installed is an error that says so.
// When ctx ends, the Lab stops its processes; Close is needed all the same.
func NewLab(ctx context.Context) (*Lab, error) {
	bin, err := findBinaries()
	if err != nil {
		return nil, err
	}
	account, err := serviceAccount()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pgorigin-lab-")
	if err != nil {
		return nil, fmt.Errorf("create folder: %w", err)
	}
	// The servers' user has to pass through it.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	l := &Lab{
		CA: tlstest.NewCA("pgorigin throw-away CA", tlstest.P521), CAFile: filepath.Join(dir, "ca.crt"),
		dir: dir, bin: bin, user: account, ports: map[int]bool{},
	}
	l.template = sync.OnceValues(func() (string, error) { return l.initdb(l.bin) })
	context.AfterFunc(ctx, l.stopAll)
	if err := os.WriteFile(l.CAFile, l.CA.PEM(), 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("write CA file: %w", err), l.Close())
	}
	return l, nil
}

// Close stops the processes, the last started first, and removes the folder.
func (l *Lab) Close() error {
	l.stopAll()
	return os.RemoveAll(l.dir)
}

func (l *Lab) stopAll() {
	l.mu.Lock()
	processes := slices.Clone(l.processes)
	l.mu.Unlock()
	for _, p := range slices.Backward(processes) {
		p.Stop()
	}
}

// Dir is the Lab's folder.
func (l *Lab) Dir() string { return l.dir }

// Port returns a port below 32768 that was free on 127.0.0.1 a moment ago and that the Lab has not given out before.
// Ports above may be in use as the near end of outgoing connections.
func (l *Lab) Port() (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var listen net.ListenConfig
	for range 200 {
		port := 20000 + rand.IntN(12000)
		if l.ports[port] {
			continue
		}
		ln, err := listen.Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		_ = ln.Close()
		l.ports[port] = true
		return strconv.Itoa(port), nil
	}
	return "", errors.New("no free port between 20000 and 32000")
}

// serverFolder makes a folder that belongs to the servers' user.
func (l *Lab) serverFolder(name string) (string, error) {
	dir := filepath.Join(l.dir, fmt.Sprintf("%s-%d", name, l.number.Add(1)))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("create folder: %w", err)
	}
	return dir, l.Give(dir)
}

// Give hands a file or folder to the servers' user.
func (l *Lab) Give(paths ...string) error {
	if l.user == nil {
		return nil
	}
	for _, path := range paths {
		if err := os.Chown(path, int(l.user.Uid), int(l.user.Gid)); err != nil {
			return fmt.Errorf("give to the servers' user: %w", err)
		}
	}
	return nil
}

// serverCommand is a command that runs as the servers' user. It is not bound to a context: the Lab stops its processes
// in their own, orderly way.
func (l *Lab) serverCommand(orphaned syscall.Signal, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), path, args...)
	cmd.Dir = l.dir
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = sysProcAttr(l.user, orphaned)
	return cmd
}

// serviceAccount says whom the servers run as: PostgreSQL and pgbouncer refuse root, so root lends them the user
// postgres, which comes with the packages. Anybody else runs them as themselves.
func serviceAccount() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("find a user for the servers: %w", err)
	}
	uid, errUID := strconv.ParseUint(account.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(errUID, errGID); err != nil {
		return nil, fmt.Errorf("read ids of user postgres: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
