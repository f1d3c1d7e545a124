package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
)

// TestExecAsTheFirstProcess: as PID 1, pgorigin reaps orphans, passes signals and returns the exit code.
func TestExecAsTheFirstProcess(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("a PID namespace needs root")
	}
	t.Parallel()
	const script = `
		i=0; while [ $i -lt 20 ]; do (sh -c 'exec sleep 0.1' & exit); i=$((i+1)); done # orphans
		i=0; while [ $i -lt 400 ] && ! [ "$(grep -l "^PPid:.1$" /proc/[0-9]*/status | wc -l)" = 1 ]; do sleep 0.05; i=$((i+1)); done
		echo parents reaped
		trap 'echo terminated; exit 7' TERM
		echo ready
		i=0; while [ $i -lt 400 ]; do sleep 0.05; i=$((i+1)); done`
	args := append([]string{"-fp", "--mount-proc", "--kill-child=KILL", os.Args[0], "exec", "--"}, "sh", "-c", script)
	w := &wrapped{stdout: cmdtest.NewLogWatcher(), stderr: cmdtest.NewLogWatcher(), ended: make(chan int, 1)}
	w.Cmd = exec.CommandContext(t.Context(), "unshare", args...)
	w.Env = append(pgoriginCommand(t.Context(), nil).Env, cmdtest.Upstream)
	w.run(t)
	w.await(t, "parents reaped\nready\n")
	for _, pid := range childrenOf(t, w.Process.Pid) {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	w.await(t, "terminated\n")
	cmdtest.WantCode(t, w.ended, 7)
}

// childrenOf returns the processes whose parent is pid.
func childrenOf(t *testing.T, pid int) (children []int) {
	t.Helper()
	lists, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task/*/children"))
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for _, list := range lists {
		more, err := os.ReadFile(list)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, more...)
	}
	for word := range strings.FieldsSeq(string(text)) {
		child, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		children = append(children, child)
	}
	return children
}

// TestExecIsKilled: the command does not go on without its database.
func TestExecIsKilled(t *testing.T) {
	t.Parallel()
	w := startExec(t, []string{cmdtest.Upstream}, role("signals")...)
	w.await(t, "pid ")
	pid := childrenOf(t, w.Process.Pid)[0]
	if err := w.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	w.await(t, "got terminated\n")
	if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
		t.Error(err)
	}
	cmdtest.WantCode(t, w.ended, 137)
}

// TestExecKeepsIgnoredSignalsIgnored: nohup, and a shell that starts something in the background, count on that.
func TestExecKeepsIgnoredSignalsIgnored(t *testing.T) {
	t.Parallel()
	cmd := pgoriginCommand(t.Context(), []string{cmdtest.Upstream})
	cmd.Path, cmd.Err = "/bin/sh", nil
	cmd.Args = []string{"sh", "-c", `trap "" HUP INT; exec "$0" exec -- sh -c 'kill -HUP $PPID $$; kill -INT $PPID $$; echo alive'`, os.Args[0]}
	if got := runProgram(t, cmd); got.code != 0 || got.stdout != "alive\n" {
		t.Errorf("%+v", got)
	}
}

// TestExecOutlivesItsLog: a reader of stderr that is gone ends neither pgorigin nor the command.
func TestExecOutlivesItsLog(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := pgoriginCommand(t.Context(), append(cmdtest.StartUpstream(t), "PGORIGIN_LOG_LEVEL=debug"),
		append([]string{"exec"}, role("login")...)...)
	_ = reader.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = writer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	text, _ := io.ReadAll(stdout)
	if err := cmd.Wait(); err != nil || string(text) != "message R\nmessage K\nmessage Z\n" {
		t.Errorf("%v, %q", err, text)
	}
}

// TestExecInAPipeline: it reads what its neighbour writes, and ends with the neighbour that reads.
func TestExecInAPipeline(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]outcome{
		`echo one | "$0" exec cat | tr o O`:                                     {stdout: "One\n"},
		`"$0" exec yes | head -1`:                                               {stdout: "y\n"},
		`echo two | "$0" exec -- sh -c "cat >&4" 4>&1`:                          {stdout: "two\n"},
		`"$0" exec -- sh -c "sleep 0.1; exit 4" & wait $!; echo code $?`:        {stdout: "code 4\n"},
		`"$0" exec -- sh -c "exit 143"; echo $?`:                                {stdout: "143\n"},
		`set -e; "$0" exec false; echo no`:                                      {code: 1},
		`x=$("$0" exec -- echo word); echo "[$x]"`:                              {stdout: "[word]\n"},
		`"$0" exec -- "$0" exec --url-env=U true 2>/dev/null; echo $?`:          {stdout: "78\n"},
		`"$0" exec -- sh -c "ulimit -n; ulimit -Hn" | uniq | wc -l | tr -d " "`: {stdout: soft(t) + "\n"},
	} {
		cmd := pgoriginCommand(t.Context(), []string{cmdtest.Upstream})
		cmd.Path, cmd.Err = "/bin/sh", nil
		cmd.Args = []string{"sh", "-c", script, os.Args[0]}
		if got := runProgram(t, cmd); got.code != want.code || got.stdout != want.stdout {
			t.Errorf("%s: %+v, want %+v", script, got, want)
		}
	}
}

// soft is how many limits of open files a shell here prints: 1 if both are the same.
func soft(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `(ulimit -n; ulimit -Hn) | uniq | wc -l`).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestExecLeavesNobodyBehind: a session of a process that the command left behind ends between two
// transactions.
func TestExecLeavesNobodyBehind(t *testing.T) {
	t.Parallel()
	w := &wrapped{stdout: cmdtest.NewLogWatcher(), stderr: cmdtest.NewLogWatcher(), ended: make(chan int, 1)}
	w.Cmd = pgoriginCommand(t.Context(),
		append(cmdtest.StartUpstream(t), "PGORIGIN_SHUTDOWN_DELAY=1h", "PGORIGIN_EXIT_WHEN_IDLE=1ms"),
		"exec", "sh", "-c", `"$0" role=login stays </dev/null & read line; exit 3`, os.Args[0])
	stdin, err := w.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.run(t)
	w.await(t, "message Z\n")
	_ = stdin.Close()
	w.await(t, "message E\n")
	cmdtest.WantCode(t, w.ended, 3)
}

// TestExecGoesOnWithoutPgorigin: when pgorigin is told to end, it says so, and the command decides.
func TestExecGoesOnWithoutPgorigin(t *testing.T) {
	t.Parallel()
	admin := cmdtest.FreeAddr(t)
	w := startExec(t, []string{cmdtest.Upstream, "PGORIGIN_ADMIN_ADDR=" + admin}, role("signals")...)
	w.await(t, "pid ")
	got := runProgram(t, pgoriginCommand(t.Context(), []string{"PGORIGIN_ADMIN_ADDR=" + admin}, "shutdown", "--wait", "20s"))
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	if err := w.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.await(t, "got terminated\n")
	if err := w.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	cmdtest.WantCode(t, w.ended, 42)
	log, _ := w.stderr.Text()
	cmdtest.Contains(t, log, "clients cannot connect any more; the command goes on")
}

// TestExecRemovesItsSockets: nothing is left of them, whatever the end.
func TestExecRemovesItsSockets(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	got := runExec(t, []string{cmdtest.Upstream, "XDG_RUNTIME_DIR=" + folder}, "--listen=socket", "sh", "-c",
		`stat -c %a "$PGHOST"; ls -A "$PGHOST" | head -1; echo "$PGHOST"`)
	lines := bufio.NewScanner(strings.NewReader(got.stdout))
	var seen []string
	for lines.Scan() {
		seen = append(seen, lines.Text())
	}
	if len(seen) != 3 || seen[0] != "700" || seen[1] != ".s.PGSQL.5432" || !strings.HasPrefix(seen[2], folder) {
		t.Errorf("%+v", got)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	long := filepath.Join(t.TempDir(), strings.Repeat("long", 25))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	got = runExec(t, []string{cmdtest.Upstream, "XDG_RUNTIME_DIR=" + long}, "--listen=socket", "sh", "-c", `echo "$PGHOST"`)
	if regexp.MustCompile("^"+long).MatchString(got.stdout) || got.code != 0 {
		t.Errorf("%+v", got)
	}
}
