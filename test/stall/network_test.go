//go:build stall

package stall

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgorigin/pgorigin/test/servers"
)

// The two ends of a network.
const (
	serverIP, clientIP = "10.83.7.1", "10.83.7.2"
	serverEnd          = "pgserver"
)

// vanishLimit is how long a session may outlive its network. pgorigin promises about half a minute.
const vanishLimit = time.Minute

// tuned are the settings without which libpq would not notice for hours.
const tuned = " keepalives_idle=10 keepalives_interval=5 keepalives_count=4 tcp_user_timeout=30000"

// vanished is one row of the table.
type vanished struct {
	name     string
	outcomes map[string]outcome
}

// cuts are the commands, at the server's end, that let a network vanish without a word.
var cuts = map[string][]string{
	"link down": {"ip link set " + serverEnd + " down"},
	"DROP":      {"iptables -A INPUT -i " + serverEnd + " -j DROP", "iptables -A OUTPUT -o " + serverEnd + " -j DROP"},
}

// state is what a session does when its network vanishes.
type state struct {
	name string
	// sql brings a session into the state. $table and $rows are there for it, and $enough is a file that ends
	// what psql sends. An empty text leaves the session idle.
	sql string
	// settle is how long it takes until nothing changes any more.
	settle time.Duration
	// unaware says that psql does not notice by itself, because it does not look for an answer.
	unaware bool
}

var states = []state{
	{name: "idle", unaware: true},
	{name: "waiting", sql: "SELECT pg_sleep(600) /* $table */;\n", settle: 5 * time.Second},
	{
		name: "sending", settle: 5 * time.Second, unaware: true,
		sql: "ALTER TABLE $table DROP CONSTRAINT ${table}_pkey;\n" +
			`\copy $table from program 'while [ ! -e $enough ]; do tail -n 40 $rows; sleep 0.2; done'` + "\n",
	},
	// A window that was shut for long is asked about less and less often.
	{name: "sending into a shut window", sql: `\copy $table from '$rows'` + "\n", settle: 40 * time.Second},
}

// vanish makes a network for each cut and lets it vanish. It returns a function that waits for the outcomes.
func vanish(t *testing.T) func() []vanished {
	var list []vanished
	var all sync.WaitGroup
	for cut, commands := range cuts {
		first := len(list)
		for _, state := range states {
			list = append(list, vanished{"network vanishes (" + cut + "), " + state.name, map[string]outcome{}})
		}
		rows := list[first:len(list):len(list)]
		all.Go(func() {
			outcomes, err := vanishBy(t.Context(), strings.ReplaceAll(cut, " ", "_"), commands)
			for i, state := range states {
				for _, way := range ways {
					rows[i].outcomes[way] = outcomes[state.name+way]
					if err != nil {
						rows[i].outcomes[way] = outcome{saw: "error: " + err.Error()}
					}
				}
			}
		})
	}
	return func() []vanished { all.Wait(); return list }
}

// vanishBy runs a session for each state and way over a network of its own, and cuts that. The key of an
// outcome is state and way.
func vanishBy(ctx context.Context, cut string, commands []string) (map[string]outcome, error) {
	server, err := newNamespace()
	if err != nil {
		return nil, err
	}
	defer server.close()
	client, err := newNamespace()
	if err != nil {
		return nil, err
	}
	defer client.close()
	err = errors.Join(
		server.run("ip link add name "+serverEnd+" type veth peer name pgclient netns "+client.path()),
		server.run("ip address add "+serverIP+"/24 dev "+serverEnd), server.run("ip link set "+serverEnd+" up"),
		client.run("ip address add "+clientIP+"/24 dev pgclient"), client.run("ip link set pgclient up"))
	if err != nil {
		return nil, err
	}
	var pg *servers.Postgres
	err = server.do(func() (err error) {
		pg, err = startPostgres(ctx, shared.lab, "listen_addresses = '*'")
		return err
	})
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	outcomes := map[string]outcome{}
	var ready, over sync.WaitGroup
	gone := make(chan struct{})
	for _, state := range states {
		for _, way := range ways {
			ready.Add(1)
			over.Go(func() {
				v := victim{cut: cut, state: state, way: way, pg: pg, client: client}
				v.marker = strings.ReplaceAll(state.name, " ", "_") + "_" + way
				o := v.run(ctx, ready.Done, gone)
				mu.Lock()
				defer mu.Unlock()
				outcomes[state.name+way] = o
			})
		}
	}
	ready.Wait()
	var failed error
	for _, command := range commands {
		failed = errors.Join(failed, server.run(command))
	}
	close(gone)
	over.Wait()
	return outcomes, failed
}

// victim is a session that loses its network.
type victim struct {
	state            state
	cut, way, marker string
	pg               *servers.Postgres
	client           *namespace

	origin *servers.Origin // nil for the direct way
	psql   *session
}

// run brings the session into its state, calls ready once, and says how it ends after gone is closed.
func (v *victim) run(ctx context.Context, ready func(), gone <-chan struct{}) outcome {
	err := v.begin(ctx)
	ready()
	if v.psql != nil {
		defer v.psql.end()
	}
	if err != nil {
		return outcome{saw: "error: " + err.Error()}
	}
	<-gone
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, vanishLimit+15*time.Second, errors.New("still there"))
	defer cancel()
	if v.origin != nil {
		// Two of the clients do not notice by themselves: the log says when the session ended.
		if _, err := v.origin.AwaitSession(ctx, `"`+v.marker+`"`); err != nil {
			return outcome{"the session lives on", time.Since(began)}
		}
	} else if v.state.unaware {
		pause(ctx, vanishLimit)
	}
	if v.state.sql == "" {
		_, _ = v.psql.stdin.WriteString("SELECT 'again';\n") // psql may have ended
	}
	if err := os.WriteFile(v.enough(), nil, 0o644); err != nil {
		return outcome{saw: "error: " + err.Error()}
	}
	if _, err := v.psql.log.ExitCode(ctx); err != nil {
		return outcome{"the client waits on", time.Since(began)}
	}
	took := time.Since(began)
	if v.origin != nil && took > vanishLimit {
		return outcome{"ended late", took}
	}
	return outcome{"ended", took}
}

// enough is the file that ends what psql sends: libpq does not report that it cannot send before it looks for
// an answer.
func (v *victim) enough() string { return filepath.Join(shared.lab.Dir(), "enough-"+v.cut+v.marker) }

// begin logs in through the network and returns when the session is in its state.
func (v *victim) begin(ctx context.Context) error {
	if err := makeTable(ctx, v.pg, v.marker, 600); err != nil {
		return err
	}
	dsn, err := v.reach(ctx)
	if err != nil {
		return err
	}
	err = v.client.do(func() (err error) {
		v.psql, err = startPsql(ctx, dsn+" application_name="+v.marker)
		return err
	})
	if err != nil {
		return err
	}
	if err := v.psql.ask(ctx, "SELECT 'ready';\n", "ready"); err != nil || v.state.sql == "" {
		return err
	}
	names := map[string]string{"table": v.marker, "rows": shared.rowsFile, "enough": v.enough()}
	sql := os.Expand(v.state.sql, func(name string) string { return names[name] })
	if _, err := v.psql.stdin.WriteString(sql); err != nil {
		return err
	}
	if _, err := awaitBackend(ctx, v.pg, v.marker); err != nil {
		return err
	}
	pause(ctx, v.state.settle)
	return nil
}

// reach starts a pgorigin at the client's end of the network, unless the way is direct.
func (v *victim) reach(ctx context.Context) (string, error) {
	_, port, _ := net.SplitHostPort(v.pg.Addr) // made by the lab
	if v.way == direct {
		return servers.DSN(servers.ServerName+":"+port, "hostaddr="+serverIP, "sslmode=verify-full",
			"sslrootcert="+shared.lab.CAFile) + tuned, nil
	}
	err := v.client.do(func() (err error) {
		env := append([]string{"PGORIGIN_TLS_SERVER_NAME=" + servers.ServerName}, modes[v.way]...)
		v.origin, err = shared.lab.Launch(shared.binary, serverIP+":"+port, env...)
		return err
	})
	if err != nil {
		return "", err
	}
	return servers.DSN(v.origin.Addr), v.origin.Await(ctx, `"ready"`)
}

// namespace is a network namespace, with a loopback device.
type namespace struct{ file *os.File }

func newNamespace() (*namespace, error) {
	n := new(namespace)
	err := onThread(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() (err error) {
		n.file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make a network namespace, which takes root: %w", err)
	}
	return n, n.run("ip link set lo up")
}

// close gives the namespace back; it lives as long as its processes.
func (n *namespace) close() { _ = n.file.Close() }

// path names the namespace to other processes.
func (n *namespace) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd()) }

// do calls f, and the processes that f starts are in the namespace.
func (n *namespace) do(f func() error) error {
	return onThread(func() error { return unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET) }, f)
}

// run runs a command in the namespace.
func (n *namespace) run(command string) error {
	words := strings.Fields(command)
	return n.do(func() error {
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
		cmd.Path = lookPath(words[0])
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("run %q: %w: %s", command, err, out)
		}
		return nil
	})
}

// lookPath finds a program of the administrator's, whose folders are missing from the PATH of many.
func lookPath(name string) string {
	for _, folder := range []string{"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"} {
		if _, err := os.Stat(folder + name); err == nil {
			return folder + name
		}
	}
	return name
}

// onThread calls enter and f on one thread, and brings the thread back. The thread lives on, because the
// kernel would stop the lab's processes with the thread that started them.
func onThread(enter, f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer func() { _ = home.Close() }()
	if err := enter(); err != nil {
		return err
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, back) // the thread stays locked, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}
