package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// roleVariable makes the test binary play a program: pgorigin itself, or a command that it runs.
const roleVariable = "TEST_ROLE"

// init is before TestMain, on every system that has the tests below.
func init() { playRole() }

// playRole does not return if the test binary has a role. The command of "pgorigin exec" is another one.
func playRole() {
	role := os.Getenv(roleVariable)
	if role == "pgorigin" && len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "role=") {
		role = strings.TrimPrefix(os.Args[1], "role=")
	}
	switch role {
	case "":
		return
	case "pgorigin":
		main()
	case "signals":
		recordSignals()
	case "login":
		logIn()
	}
	os.Exit(99)
}

// recordSignals prints each signal that it gets. SIGUSR2 ends it with 42. The end of its stdin, which the test
// holds, and that of its reader end it, too.
func recordSignals() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(98)
	}()
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	signal.Reset(syscall.SIGPIPE)
	fmt.Printf("pid %d\n", os.Getpid())
	for sig := range signals {
		var err error
		switch sig {
		case syscall.SIGURG, syscall.SIGCHLD:
		case syscall.SIGUSR2:
			fmt.Println("got the last one")
			os.Exit(42)
		default:
			_, err = fmt.Printf("got %v\n", sig)
		}
		if err != nil {
			os.Exit(97)
		}
	}
}

// logIn opens a session and begins a transaction, where PGHOST and PGPORT lead. It prints what it gets, until
// the session ends.
func logIn() {
	network, addr := "tcp", net.JoinHostPort(os.Getenv("PGHOST"), os.Getenv("PGPORT"))
	if strings.HasPrefix(addr, "/") {
		network, addr = "unix", filepath.Join(os.Getenv("PGHOST"), ".s.PGSQL."+os.Getenv("PGPORT"))
	}
	conn, err := net.Dial(network, addr)
	if err == nil {
		_, err = conn.Write(pgtest.Startup("user", "app", "database", "shop"))
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for {
		var head [5]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		_, _ = io.CopyN(io.Discard, conn, int64(head[3])<<8+int64(head[4])-4)
		fmt.Printf("message %c\n", head[0])
		if head[0] == 'Z' && len(os.Args) < 3 {
			_, _ = conn.Write(pgtest.Message('X', ""))
			os.Exit(0)
		}
	}
}

// wrapped is a "pgorigin exec" that runs as a process.
type wrapped struct {
	*exec.Cmd
	stdout, stderr *cmdtest.LogWatcher
	ended          chan int
}

// pgoriginCommand returns pgorigin as a program. Its environment has nothing but env and PATH.
func pgoriginCommand(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append([]string{
		roleVariable + "=pgorigin", "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "PGORIGIN_LOG_FORMAT=json",
		"GOCOVERDIR=" + os.TempDir(),
	}, env...)
	return cmd
}

// startExec starts "pgorigin exec" with args.
func startExec(t *testing.T, env []string, args ...string) *wrapped {
	t.Helper()
	w := &wrapped{
		Cmd:    pgoriginCommand(t.Context(), env, append([]string{"exec"}, args...)...),
		stdout: cmdtest.NewLogWatcher(), stderr: cmdtest.NewLogWatcher(), ended: make(chan int, 1),
	}
	if _, err := w.StdinPipe(); err != nil { // it ends with this process
		t.Fatal(err)
	}
	w.run(t)
	return w
}

func (w *wrapped) run(t *testing.T) {
	t.Helper()
	w.Stdout, w.Stderr = w.stdout, w.stderr
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = w.Wait()
		w.ended <- shellCode(w.ProcessState)
	}()
}

// await waits until text is in what the command printed.
func (w *wrapped) await(t *testing.T, text string) string {
	t.Helper()
	limit := time.After(cmdtest.Patience)
	for {
		all, changed := w.stdout.Text()
		if strings.Contains(all, text) {
			return all
		}
		select {
		case <-changed:
		case <-limit:
			log, _ := w.stderr.Text()
			t.Fatalf("no %q in\n%s\n%s", text, all, log)
		}
	}
}

// role is this test binary as a command.
func role(name string) []string { return []string{os.Args[0], "role=" + name} }

// runExec runs "pgorigin exec" to its end.
func runExec(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	return runProgram(t, pgoriginCommand(t.Context(), env, append([]string{"exec"}, args...)...))
}

// shellCode is the exit code as a shell has it.
func shellCode(state *os.ProcessState) int {
	if status := state.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

func runProgram(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{shellCode(cmd.ProcessState), stdout.String(), stderr.String()}
}

func TestExecReturnsTheExitCode(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, row := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"true"}, 0, ""},
		{[]string{"--", "false"}, 1, ""},
		{[]string{"sh", "-c", "exit 255"}, 255, ""},
		{[]string{"sh", "-c", "kill -KILL $$"}, 137, ""},
		{[]string{"sh", "-c", "kill -TERM $$"}, 143, ""},
		{[]string{"sh", "-c", "kill -PIPE $$"}, 141, ""},
		{[]string{"-listen", "tcp", "test", "-listen", "=", "-listen"}, 0, ""},
		{[]string{"exec"}, 127, "there is no such command"},
		{[]string{"check"}, 127, "there is no such command"},
		{[]string{"no-such-command"}, 127, "there is no such command; check its name and PATH"},
		{[]string{"/no/such/command"}, 127, "there is no such command; check its name and PATH"},
		{[]string{"ls -l"}, 127, "write the command and its arguments as separate words"},
		{[]string{""}, 127, "there is no such command"},
		{[]string{folder}, 126, "it is a folder"},
		{[]string{file("plain", "#!/bin/sh\n", 0o600)}, 126, "it cannot be executed; check its file mode"},
		{[]string{file("noline", "exit 0\n", 0o700)}, 126, "needs #!/bin/sh as its first line"},
		{[]string{file("interpreter", "#!/no/such/program\n", 0o700)}, 126, "the interpreter in its first line"},
		{nil, 2, "expected a command, such as: pgorigin exec -- ./server"},
		{[]string{"--"}, 2, "expected a command"},
		{[]string{"--listen", "udp", "true"}, 2, "--listen: expected auto, socket or tcp"},
		{[]string{"--url-env", "A,,B", "true"}, 2, "--url-env: expected names of variables"},
		{[]string{"--url-env", "A,_", "true"}, 2, "--url-env: expected names of variables"},
		{[]string{"--urlenv", "A", "true"}, 2, "did you mean --url-env?"},
		{[]string{"--url-env", "A", "true"}, 78, "A: not set: --url-env names it"},
	} {
		t.Run(strings.Join(row.args, " "), func(t *testing.T) {
			t.Parallel()
			got := runExec(t, []string{"PGORIGIN_UPSTREAM_ADDR=db.internal"}, row.args...)
			if got.code != row.code || !strings.Contains(got.stderr, row.stderr) || row.stderr == "" && got.stderr != "" {
				t.Errorf("%+v, want %d and %q", got, row.code, row.stderr)
			}
		})
	}
}

// TestExecLeavesArgumentsAlone: what follows COMMAND is for COMMAND.
func TestExecLeavesArgumentsAlone(t *testing.T) {
	t.Parallel()
	words := []string{"-version", "--help", "-json", "--", "--listen", "x y", ""}
	for _, before := range [][]string{{}, {"--"}, {"-listen", "tcp"}, {"--listen=tcp", "--"}, {"-url-env=U"}} {
		args := append(append(before, "printf", "<%s>"), words...)
		got := runExec(t, []string{"PGORIGIN_UPSTREAM_ADDR=db.internal", "U=postgres://db.internal:6432/"}, args...)
		if want := "<" + strings.Join(words, "><") + ">"; got != (outcome{stdout: want}) {
			t.Errorf("%v: %+v, want %q", before, got, want)
		}
	}
}

// TestExecConnects: a client with nothing but PGHOST and PGPORT gets a session, through TCP and a socket.
func TestExecConnects(t *testing.T) {
	t.Parallel()
	env := cmdtest.StartUpstream(t)
	for _, listen := range []string{"auto", "socket", "tcp"} {
		got := runExec(t, append(env, "XDG_RUNTIME_DIR="+t.TempDir()), append([]string{"--listen", listen}, role("login")...)...)
		if got.code != 0 || got.stdout != "message R\nmessage K\nmessage Z\n" || strings.Contains(got.stderr, "session") {
			t.Errorf("%s: %+v", listen, got)
		}
	}
}

// TestExecTenAtOnce: they meet nowhere.
func TestExecTenAtOnce(t *testing.T) {
	t.Parallel()
	env := append(cmdtest.StartUpstream(t), "XDG_RUNTIME_DIR="+t.TempDir())
	var all []*wrapped
	for i := range 10 {
		listen := []string{"tcp", "socket"}[i%2]
		all = append(all, startExec(t, env, append([]string{"--listen", listen}, role("signals")...)...))
	}
	for _, w := range all {
		w.await(t, "pid ")
	}
	for _, w := range all {
		if err := w.Process.Signal(syscall.SIGUSR2); err != nil {
			t.Error(err)
		}
	}
	for _, w := range all {
		cmdtest.WantCode(t, w.ended, 42)
		if log, _ := w.stderr.Text(); strings.Contains(log, `"error"`) {
			t.Error(log)
		}
	}
}

// TestExecPassesSignals: each signal reaches the command once, and none of them ends pgorigin.
func TestExecPassesSignals(t *testing.T) {
	t.Parallel()
	w := startExec(t, []string{cmdtest.Upstream}, role("signals")...)
	w.await(t, "pid ")
	want := ""
	for _, sig := range []syscall.Signal{
		syscall.SIGTERM, syscall.SIGTERM, syscall.SIGINT, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT,
		syscall.SIGUSR1, syscall.SIGWINCH, syscall.SIGALRM, syscall.SIGABRT, syscall.SIGIO, syscall.SIGPWR,
		syscall.Signal(35), syscall.Signal(64), syscall.SIGTERM,
	} {
		if err := w.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		want += fmt.Sprintf("got %v\n", sig)
		w.await(t, want)
	}
	if err := w.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	w.await(t, "got the last one\n")
	cmdtest.WantCode(t, w.ended, 42)
	all, _ := w.stdout.Text()
	if _, got, _ := strings.Cut(all, "\n"); got != want+"got the last one\n" {
		t.Errorf("%q, want %q", got, want)
	}
}
