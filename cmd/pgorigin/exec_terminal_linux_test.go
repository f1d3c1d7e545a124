package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
)

// terminal is a pseudo-terminal with a program that has it as its controlling terminal.
type terminal struct {
	wrapped
	keys *os.File // what is typed
}

// openTerminal starts cmd, which is the leader of a session of its own.
func openTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	number := 0
	controlFile(t, keys, func(fd int) (err error) {
		if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		}
		return err
	})
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = screen, screen, screen
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	w := &terminal{keys: keys}
	w.Cmd, w.stdout, w.stderr, w.ended = cmd, cmdtest.NewLogWatcher(), cmdtest.NewLogWatcher(), make(chan int, 1)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		text := make([]byte, 4096)
		for {
			n, err := keys.Read(text)
			if err != nil {
				return
			}
			_, _ = w.stdout.Write(text[:n])
		}
	}()
	go func() {
		_ = cmd.Wait()
		w.ended <- cmd.ProcessState.ExitCode()
	}()
	return w
}

// controlFile calls do with the descriptor of file, which can still be closed while somebody reads.
func controlFile(t *testing.T, file *os.File, do func(fd int) error) {
	t.Helper()
	conn, err := file.SyscallConn()
	if err == nil {
		controlErr := conn.Control(func(fd uintptr) { err = do(int(fd)) })
		err = errors.Join(err, controlErr)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w *terminal) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := w.keys.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

const (
	ctrlC         = "\x03"
	ctrlZ         = "\x1a"
	ctrlBackslash = "\x1c"
)

// TestExecInATerminal: what the terminal sends to all of its processes reaches the command once. A container
// with a terminal is like this.
func TestExecInATerminal(t *testing.T) {
	t.Parallel()
	w := openTerminal(t, pgoriginCommand(t.Context(), []string{cmdtest.Upstream}, append([]string{"exec"}, role("signals")...)...))
	w.await(t, "pid ")
	time.Sleep(100 * time.Millisecond) // until then, a signal may count as one from before the command
	want := ""
	resize := func() {
		size := unix.Winsize{Row: 30, Col: uint16(90 + len(want))}
		controlFile(t, w.keys, func(fd int) error { return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &size) })
	}
	send := func(sig syscall.Signal) func() {
		return func() {
			if err := w.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, step := range []struct {
		do  func()
		got string
	}{
		{func() { w.press(t, ctrlC) }, "^Cgot interrupt"},
		{send(syscall.SIGTERM), "got terminated"},
		{func() { w.press(t, ctrlC) }, "^Cgot interrupt"},
		{func() { w.press(t, ctrlZ) }, "^Zgot stopped"},
		{resize, "got window changed"},
		{func() { w.press(t, ctrlBackslash) }, "^\\got quit"},
		{send(syscall.SIGHUP), "got hangup"},
		{resize, "got window changed"},
	} {
		step.do()
		want += step.got + "\r\n"
		w.await(t, want)
	}
	send(syscall.SIGUSR2)()
	w.await(t, "got the last one\r\n")
	cmdtest.WantCode(t, w.ended, 42)
	all, _ := w.stdout.Text()
	if _, got, _ := strings.Cut(all, "\n"); got != want+"got the last one\r\n" {
		t.Errorf("%q, want %q", got, want)
	}
}

// startShell starts an interactive bash, in which pgorigin is an alias.
func startShell(t *testing.T) *terminal {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "--norc", "--noprofile", "-i")
	cmd.Env = append(pgoriginCommand(t.Context(), nil).Env, cmdtest.Upstream, "PS1=$ ", "TERM=dumb")
	w := openTerminal(t, cmd)
	w.press(t, "alias pgorigin="+os.Args[0]+"; stty -echo; set -b; bind 'set enable-bracketed-paste off'; echo \"be\"gin\n")
	w.await(t, "begin")
	return w
}

// TestExecIsAJob: Ctrl-Z, bg, fg and Ctrl-C work as without pgorigin.
func TestExecIsAJob(t *testing.T) {
	t.Parallel()
	w := startShell(t)
	w.press(t, `pgorigin exec -- sh -c 'echo started; read line; echo "line: $line"'`+"\n")
	w.await(t, "started")
	for _, step := range []struct{ keys, shows string }{
		{ctrlZ, "Stopped"},
		{"echo \"in\" \"between\"\n", "in between"},
		{"bg\n", "Stopped"}, // it reads, so the terminal stops it again
		{"fg\n", "exec -- sh"},
		{"first\n", "line: first\r\n"},
		{"echo code=$?, jobs: $(jobs).\n", "code=0, jobs: .\r\n"},
		{"pgorigin exec -- sh -c 'trap \"exit 5\" INT; trap \"echo con''tinues\" CONT; echo \"trap\" set; while :; do read line; done'\n", "trap set"},
		{ctrlZ, "Stopped"},
		{"fg\n", "continues"},
		{ctrlC, "$ "},
		{"echo code=$?\n", "code=5"},
		{"pgorigin exec -- sh -c 'trap \"\" TSTP; echo \"not\" stopped; read x; echo end'\n", "not stopped"},
		{ctrlZ, ""},
		{"go\n", "end"},
		{"pgorigin exec -- sh -c 'kill -KILL $$' | cat; echo ${PIPESTATUS[0]}=killed\n", "137=killed"},
		{"for i in 1 2; do pgorigin exec -- sh -c 'echo \"loop\" $0; exec sleep 20' $i; done\n", "loop 1"},
		{ctrlC, "$ "},
		{"echo i=$i\n", "i=1"},
		{"pgorigin exec -- sh -c 'kill -STOP $$; echo \"went\" on'\n", "Stopped"},
		{"fg\n", "went on"},
		{"exit 3\n", "exit"},
	} {
		before, _ := w.stdout.Text()
		w.press(t, step.keys)
		if step.shows == "" {
			continue
		}
		limit := time.After(cmdtest.Patience)
		for shown := false; !shown; {
			all, changed := w.stdout.Text()
			if shown = strings.Contains(all[len(before):], step.shows); shown {
				break
			}
			select {
			case <-changed:
			case <-limit:
				t.Fatalf("%q shows no %q in\n%s", step.keys, step.shows, all)
			}
		}
	}
	cmdtest.WantCode(t, w.ended, 3)
}

// TestExecLosesItsTerminal: command and pgorigin end when the window is closed.
func TestExecLosesItsTerminal(t *testing.T) {
	t.Parallel()
	w := startShell(t)
	w.press(t, "pgorigin exec -- sh -c 'echo shell $$; sleep 100'\n")
	w.await(t, "shell ")
	all := w.await(t, "\r\n")
	_ = w.keys.Close()
	select {
	case <-w.ended:
	case <-time.After(cmdtest.Patience):
		t.Fatalf("it does not end: %s", all)
	}
}
