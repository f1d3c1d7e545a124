//go:build stall

package stall

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// long is how long a stall lasts: longer than each timeout of pgorigin, LOGIN_TIMEOUT's 60s included.
var long = flag.Duration("long", 75*time.Second, "how long each stall lasts")

// rows is the length of every COPY. It is more than all socket buffers on the way take.
const rows = 122881

// direct is the way past pgorigin. The others are modes of pgorigin.
const direct = "direct"

var ways = []string{direct, "strip", "bridge", "spares"}

// modes are the environments of the ways through pgorigin.
var modes = map[string][]string{
	"strip":  nil,
	"bridge": {"PGORIGIN_AUTH_CHANNEL_BINDING=bridge"},
	"spares": {"PGORIGIN_WARM_SPARES=4"},
}

// suite is what all stalls share.
type suite struct {
	lab      *servers.Lab
	binary   string
	postgres *servers.Postgres
	rowsFile string // for COPY: an id and 300 letters
}

var shared suite

func TestMain(m *testing.M) {
	os.Exit(servers.RunSuite(m, func(ctx context.Context, lab *servers.Lab) (err error) {
		shared = suite{lab: lab, rowsFile: filepath.Join(lab.Dir(), "rows")}
		if shared.binary, err = lab.Build(ctx); err != nil {
			return err
		}
		if err := errors.Join(writeRows(shared.rowsFile), os.WriteFile(hbaFile(lab), []byte(hba), 0o644)); err != nil {
			return err
		}
		shared.postgres, err = startPostgres(ctx, lab)
		return err
	}))
}

func writeRows(path string) error {
	var text strings.Builder
	note := strings.Repeat("x", 300)
	for id := range rows {
		fmt.Fprintf(&text, "%d\t%s\n", id+1, note)
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}

// hba also lets clients in from other machines and, for the client that half-closes its connection, which
// libpq cannot, without TLS.
const hba = `
local     all all              trust
hostssl   all all all          scram-sha-256
hostnossl all all 127.0.0.1/32 scram-sha-256
`

func hbaFile(lab *servers.Lab) string { return filepath.Join(lab.Dir(), "hba.conf") }

func startPostgres(ctx context.Context, lab *servers.Lab, settings ...string) (*servers.Postgres, error) {
	return lab.Postgres(ctx, servers.PostgresOptions{Settings: append(settings, "hba_file = '"+hbaFile(lab)+"'")})
}

// stall is one way of standing still.
type stall struct {
	name string
	// run takes a client the given way through the stall and says what the client saw.
	run func(ctx context.Context, way string) (string, error)
}

// outcome is what one client saw.
type outcome struct {
	saw  string
	took time.Duration
}

// TestStalls is all of them at once.
func TestStalls(t *testing.T) {
	stalls := []stall{
		{"COPY behind a locked row", copyBehindRow},
		{"COPY behind a trigger that sleeps", copyBehindTrigger},
		{"frozen backend (SIGSTOP)", copyIntoFrozenBackend},
		{"paused pgbouncer, waiting", waitForPausedBouncer},
		{"paused pgbouncer, sending", sendToPausedBouncer},
		{"blocked pipe of the log", logInWhileLogIsBlocked},
		{"silent first address", logInPastSilentAddress},
		{"first address that drops SYN", logInPastFullAddress},
		{"half-closed client waits", halfCloseAndWait},
		{"client does not read", readLate},
		{"client killed with -9", killClient},
	}
	results := make([]map[string]outcome, len(stalls))
	var all sync.WaitGroup
	var mu sync.Mutex
	for i, s := range stalls {
		results[i] = map[string]outcome{}
		for _, way := range ways {
			all.Go(func() {
				began := time.Now()
				saw, err := s.run(t.Context(), way)
				if err != nil {
					saw = "error: " + err.Error()
				}
				mu.Lock()
				defer mu.Unlock()
				results[i][way] = outcome{saw, time.Since(began)}
			})
		}
	}
	names := make([]string, 0, len(stalls))
	for _, s := range stalls {
		names = append(names, s.name)
	}
	vanished := vanish(t) // runs beside the others
	all.Wait()
	for _, v := range vanished() {
		names, results = append(names, v.name), append(results, v.outcomes)
	}
	t.Log(table(names, results))
	for i, name := range names {
		t.Run(name, func(t *testing.T) { compare(t, results[i]) })
	}
}

// compare requires that pgorigin made no difference to what the client saw.
func compare(t *testing.T, outcomes map[string]outcome) {
	t.Helper()
	want := outcomes[direct].saw
	if strings.HasPrefix(want, "error: ") {
		t.Fatalf("without pgorigin: %s", want)
	}
	for _, way := range ways {
		if got := outcomes[way]; got.saw != want {
			t.Errorf("%s after %s: %s\nwithout pgorigin: %s", way, got.took.Round(time.Second), got.saw, want)
		}
	}
}

func table(names []string, results []map[string]outcome) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nstall\t%s\n", strings.Join(ways, "\t"))
	for i, name := range names {
		fmt.Fprint(w, name)
		for _, way := range ways {
			o := results[i][way]
			saw := strings.Join(strings.Fields(o.saw), " ")
			fmt.Fprintf(w, "\t%.40s, %.1fs", saw, o.took.Seconds())
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // to memory
	return text.String()
}

// reach returns the connection string for one way to upstream. It starts a pgorigin if the way leads through
// one.
func reach(ctx context.Context, way, upstream string) (string, *servers.Origin, error) {
	if way == direct {
		return servers.DSN(upstream, "sslmode=verify-full", "sslrootcert="+shared.lab.CAFile), nil, nil
	}
	origin, err := shared.lab.Origin(ctx, shared.binary, upstream, modes[way]...)
	if err != nil {
		return "", nil, err
	}
	return servers.DSN(origin.Addr), origin, nil
}

// psql runs statements one after the other and returns the last line of what psql prints.
func psql(ctx context.Context, dsn string, statements ...string) (string, error) {
	args := []string{"-At", "-v", "ON_ERROR_STOP=1"}
	for _, statement := range statements {
		args = append(args, "-c", statement)
	}
	out, err := shared.lab.Psql(ctx, dsn, args...).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return fmt.Sprintf("exit code %d: %s", exit.ExitCode(), strings.Join(lines, " ")), nil
	case err != nil:
		return "", fmt.Errorf("run psql: %w", err)
	}
	return lines[len(lines)-1], nil
}

// superuser is the connection string of PostgreSQL's Unix socket, past everything under test.
func superuser(pg *servers.Postgres) string {
	_, port, _ := net.SplitHostPort(pg.Addr) // made by the lab
	return "host=" + pg.SocketDir() + " port=" + port + " user=postgres dbname=" + servers.Database
}

// pause lets a stall last.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
